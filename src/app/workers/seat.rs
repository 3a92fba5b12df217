//! Which of a server's workers a process is, as its master tells it.

use std::fmt::Write as _;

use crate::core::limits::WORKERS;

/// Bytes of what only the server's own processes know.
const SECRET_BYTES: usize = 32;

/// A worker's place.
#[derive(Clone, PartialEq, Eq)]
pub struct Seat {
    /// Its number, from 0; the first does what a server does once.
    pub number: usize,
    /// How many workers there are.
    pub count: usize,
    /// The process number of the master.
    pub master: u32,
    /// The id of the server, see [`super::super::identity::Identity`].
    pub server: String,
    /// The id of this start.
    pub service: String,
    /// What tickets for players are made with: they hold at each worker.
    pub secret: [u8; SECRET_BYTES],
}

impl Seat {
    /// As one text, for [`Seat::parse`].
    pub fn to_text(&self) -> String {
        let mut text = format!("{} {} {} {} ", self.number, self.count, self.master, self.service);
        for byte in self.secret {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text + " " + &self.server
    }

    /// Reads [`Seat::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.splitn(6, ' ');
        let mut next = || words.next();
        let (number, count, master) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
        let (service, secret, server) = (next()?.to_owned(), next()?, next()?.to_owned());
        let is_sound = number < count && count <= WORKERS && secret.len() == 2 * SECRET_BYTES && secret.is_ascii();
        let mut bytes = [0; SECRET_BYTES];
        for (at, byte) in bytes.iter_mut().enumerate().filter(|_| is_sound) {
            *byte = u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).ok()?;
        }
        is_sound.then_some(Seat {
            number,
            count,
            master,
            server,
            service,
            secret: bytes,
        })
    }

    /// The name of the Unix socket of a worker of this start.
    pub fn socket_of(&self, number: usize) -> String {
        format!("srs-may/{}/{}/{number}", self.master, self.service)
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seat({} of {}, master {})", self.number, self.count, self.master)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_read_back() {
        let seat = Seat {
            number: 1,
            count: 3,
            master: 77,
            server: "my server".to_owned(),
            service: "abcdefgh".to_owned(),
            secret: std::array::from_fn(|at| at as u8 * 7),
        };
        let text = seat.to_text();
        assert_eq!(Seat::parse(&text), Some(seat));
        for wrong in [
            "",
            "1 1 1 a b c",
            &text.replacen('1', "3", 1),
            &text.replacen('1', "x", 1),
        ] {
            assert_eq!(Seat::parse(wrong), None, "{wrong}");
        }
    }
}
