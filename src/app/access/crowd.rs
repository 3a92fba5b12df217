//! How many connections one address has, and how fast it makes new ones: the `limits` block.
//!
//! An IPv6 host has a whole network of addresses, so its first 64 bits count as one address. The table is bounded: when
//! it is full of addresses that have connections, further ones come in uncounted, and `max_connections` is what is left.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::time::Duration;

use crate::app::config::section::limits::Limits;
use crate::core::clock::Moment;
use crate::core::limits::COUNTED_ADDRESSES;

/// Over what new connections are counted; so many may come at once.
const SECOND: Duration = Duration::from_secs(1);
/// How often refusals are logged.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// Why one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `connections_per_ip` are connected.
    Connections,
    /// `new_connections_per_ip` came within a second.
    Rate,
}

impl Refused {
    /// The limit's name.
    pub fn directive(self) -> &'static str {
        match self {
            Refused::Connections => "connections_per_ip",
            Refused::Rate => "new_connections_per_ip",
        }
    }
}

/// What one address does.
#[derive(Debug)]
struct Visits {
    connected: u32,
    /// When all that came so far would be over if the rate were kept (the generic cell rate algorithm).
    even_at: Moment,
}

/// The connections of each address.
#[derive(Default)]
pub struct Crowd {
    by_address: RefCell<HashMap<IpAddr, Visits>>,
    pruned: Cell<Moment>,
    /// By [`Refused`].
    refused: [Cell<u64>; 2],
    /// The next line may be written then.
    log_at: Cell<Moment>,
    unlogged: Cell<u64>,
}

/// A connection that counts until this is dropped.
pub struct Guest {
    crowd: Rc<Crowd>,
    address: Option<IpAddr>,
}

impl Crowd {
    /// Counts a new connection of a client, unless it is one too many. Logs refusals, not each of them.
    ///
    /// # Errors
    /// Which limit it is above.
    pub fn enter(self: &Rc<Self>, limits: &Limits, client: IpAddr) -> Result<Guest, Refused> {
        self.enter_at(limits, client, Moment::now())
    }

    fn enter_at(self: &Rc<Self>, limits: &Limits, client: IpAddr, now: Moment) -> Result<Guest, Refused> {
        let mut guest = Guest {
            crowd: self.clone(),
            address: None,
        };
        if !limits.counts(client) {
            return Ok(guest);
        }
        let address = counted_as(client);
        if !self.has_room_for(address, now) {
            return Ok(guest);
        }
        let counted = self.count(limits, address, now);
        match counted {
            Ok(()) => {
                guest.address = Some(address);
                Ok(guest)
            }
            Err(refused) => {
                self.note(refused, client, now);
                Err(refused)
            }
        }
    }

    fn count(&self, limits: &Limits, address: IpAddr, now: Moment) -> Result<(), Refused> {
        let mut by_address = self.by_address.borrow_mut();
        let visits = by_address.entry(address).or_insert(Visits {
            connected: 0,
            even_at: now,
        });
        if limits.connections_per_ip > 0 && visits.connected >= limits.connections_per_ip {
            return Err(Refused::Connections);
        }
        if limits.new_connections_per_ip > 0 {
            let even_at = visits.even_at.max(now) + SECOND / limits.new_connections_per_ip;
            if even_at > now + SECOND {
                return Err(Refused::Rate);
            }
            visits.even_at = even_at;
        }
        visits.connected += 1;
        Ok(())
    }

    /// Whether an address is or can be counted. Those that are gone are forgotten when there is need, once a second at
    /// most.
    fn has_room_for(&self, address: IpAddr, now: Moment) -> bool {
        let mut by_address = self.by_address.borrow_mut();
        if by_address.len() >= COUNTED_ADDRESSES && now >= self.pruned.get() + SECOND {
            by_address.retain(|_, visits| visits.connected > 0 || visits.even_at > now);
            self.pruned.set(now);
        }
        by_address.len() < COUNTED_ADDRESSES || by_address.contains_key(&address)
    }

    fn note(&self, refused: Refused, client: IpAddr, now: Moment) {
        let counter = &self.refused[refused as usize];
        counter.set(counter.get() + 1);
        if now < self.log_at.get() {
            self.unlogged.set(self.unlogged.get() + 1);
            return;
        }
        self.log_at.set(now + LOG_PAUSE);
        let more = self.unlogged.take();
        log::warn!(
            "{client} is refused, it is above limits.{}; {more} more since the last such line",
            refused.directive()
        );
    }

    /// How many were refused for a reason.
    pub fn refused(&self, why: Refused) -> u64 {
        self.refused[why as usize].get()
    }

    fn leave(&self, address: IpAddr) {
        let mut by_address = self.by_address.borrow_mut();
        if let Some(visits) = by_address.get_mut(&address) {
            visits.connected = visits.connected.saturating_sub(1);
            if visits.connected == 0 && visits.even_at <= Moment::now() {
                by_address.remove(&address);
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.crowd.leave(address);
        }
    }
}

/// The address that stands for a client's.
fn counted_as(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::Network;

    fn limits(connections_per_ip: u32, new_connections_per_ip: u32) -> Limits {
        Limits {
            connections_per_ip,
            new_connections_per_ip,
            exempt: vec![Network::parse("10.0.0.0/8").unwrap()],
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_connections() {
        let (crowd, limits) = (Rc::new(Crowd::default()), limits(2, 0));
        let enter = |text: &str| crowd.enter(&limits, ip(text));
        let first = enter("192.0.2.1").unwrap();
        let _second = enter("::ffff:192.0.2.1").unwrap();
        assert_eq!(enter("192.0.2.1").err(), Some(Refused::Connections));
        assert!(enter("192.0.2.2").is_ok());
        drop(first);
        let _third = enter("192.0.2.1").unwrap();
        assert_eq!(enter("192.0.2.1").err(), Some(Refused::Connections));
        assert_eq!(
            (crowd.refused(Refused::Connections), crowd.refused(Refused::Rate)),
            (2, 0)
        );
        let many: Vec<_> = (0..100).map(|_| enter("10.1.2.3").unwrap()).collect();
        assert_eq!(many.len(), 100);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (crowd, limits) = (Rc::new(Crowd::default()), limits(1, 0));
        let _guest = crowd.enter(&limits, ip("2001:db8:0:1::1")).unwrap();
        assert!(crowd.enter(&limits, ip("2001:db8:0:1:ffff::2")).is_err());
        assert!(crowd.enter(&limits, ip("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn connections_come_at_a_rate() {
        let (crowd, limits) = (Rc::new(Crowd::default()), limits(0, 4));
        let begin = Moment::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let enter = |millis| crowd.enter_at(&limits, ip("192.0.2.1"), at(millis)).is_ok();
        assert_eq!([0, 0, 0, 0, 0, 100].map(enter), [true, true, true, true, false, false]);
        assert_eq!([250, 250, 500, 749, 750].map(enter), [true, false, true, false, true]);
        assert_eq!(
            [5000, 5000, 5000, 5000, 5000].map(enter),
            [true, true, true, true, false]
        );
        assert_eq!(crowd.refused(Refused::Rate), 5);
    }

    #[test]
    fn the_table_is_bounded_and_empties() {
        let (crowd, limits) = (Rc::new(Crowd::default()), limits(1, 1));
        let now = Moment::now();
        for number in 0..COUNTED_ADDRESSES as u32 + 10 {
            let client = std::net::Ipv4Addr::from_bits(number << 1 | 0x2000_0000);
            assert!(crowd.enter_at(&limits, client.into(), now).is_ok());
        }
        assert_eq!(crowd.by_address.borrow().len(), COUNTED_ADDRESSES);
        assert!(crowd.enter_at(&limits, ip("192.0.2.1"), now + SECOND * 2).is_ok());
        assert!(crowd.by_address.borrow().len() < 3);
    }

    #[test]
    fn without_limits_nothing_is_kept() {
        let crowd = Rc::new(Crowd::default());
        let _guest = crowd.enter(&limits(0, 0), ip("192.0.2.1")).unwrap();
        assert!(crowd.by_address.borrow().is_empty());
    }
}
