//! Reads that gather: what a peer sends in many small pieces is read a few times a second instead of piece by piece.
//!
//! A piece costs an event, a read and an acknowledgement, whatever its size. While pieces come fast, the kernel is told to
//! keep quiet below [`PLENTY_BYTES`] (SO_RCVLOWAT), and the socket is read when an interval has passed, or when there is
//! plenty, or when the peer ends. When an interval brings nothing, the kernel tells of each piece again.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use super::super::clock::Moment;
use super::super::reactor::Slot;
use super::set_option;

/// So much input is read at once, bytes. A socket's receive buffer takes twice as much at first.
const PLENTY_BYTES: libc::c_int = 32 << 10;
/// How many waits are looked at to see whether pieces come fast: at two an interval or more.
const WAITS: u32 = 8;
/// How many groups sockets form, so that not all are read at the same moment.
const PHASES: u32 = 8;

pub(super) struct Gathering {
    interval: Duration,
    state: Cell<State>,
}

#[derive(Clone, Copy)]
enum State {
    /// The kernel tells of each piece; so many have been waited for since that moment.
    Told { waits: u32, since: Moment },
    /// The kernel keeps quiet; so many bytes had been received when the interval began.
    Quiet { received: u64 },
}

impl Gathering {
    pub(super) fn new(interval: Duration) -> Self {
        Gathering {
            interval,
            state: Cell::new(State::Told {
                waits: 0,
                since: Moment::default(),
            }),
        }
    }

    /// Waits until a read is worth while, of a socket that has `received` so many bytes and is empty as far as is known;
    /// gives whether it is by `deadline`. Yields.
    ///
    /// # Errors
    /// `ConnectionAborted` when the coroutine is interrupted.
    pub(super) fn wait(&self, slot: &Slot, socket: &impl AsFd, received: u64, deadline: Moment) -> io::Result<bool> {
        match self.state.get() {
            State::Told { waits, since } => {
                if !self.begins(waits, since, socket) {
                    return slot.wait_readable(deadline);
                }
            }
            State::Quiet { received: before } if before == received => {
                self.end(socket);
                return slot.wait_readable(deadline);
            }
            State::Quiet { .. } => {}
        }
        self.state.set(State::Quiet { received });
        let next = self.next(Moment::now(), socket);
        if !slot.wait_readable(next.min(deadline))? && next < deadline {
            // No event has told of it, but there may be something.
            slot.readable.set(true);
        }
        Ok(slot.readable.get())
    }

    /// Has the kernel tell of each piece, also of what is there already.
    pub(super) fn end(&self, socket: &impl AsFd) {
        if let State::Quiet { .. } = self.state.get() {
            let _ = set_low_water(socket, 1);
        }
        self.state.set(State::Told {
            waits: 0,
            since: Moment::default(),
        });
    }

    /// Counts a wait; gives whether pieces come so fast that the kernel keeps quiet from now on.
    fn begins(&self, waits: u32, since: Moment, socket: &impl AsFd) -> bool {
        if waits > 0 && waits < WAITS {
            self.state.set(State::Told {
                waits: waits + 1,
                since,
            });
            return false;
        }
        let now = Moment::now();
        if waits == WAITS && now.since(since) < self.interval / 2 * WAITS && set_low_water(socket, PLENTY_BYTES).is_ok()
        {
            return true;
        }
        self.state.set(State::Told { waits: 1, since: now });
        false
    }

    /// When to read next: between a half and one and a half intervals from `now`, at a moment that many sockets share.
    fn next(&self, now: Moment, socket: &impl AsFd) -> Moment {
        let interval = (self.interval.as_micros() as u64).max(1);
        let group = socket.as_fd().as_raw_fd().unsigned_abs() % PHASES;
        let phase = interval * u64::from(group) / u64::from(PHASES);
        let soonest = now.as_micros() + interval / 2;
        let into = (soonest + interval - phase) % interval;
        // The process may be younger than an interval.
        Moment::default() + Duration::from_micros(soonest + interval - into)
    }
}

fn set_low_water(socket: &impl AsFd, bytes: libc::c_int) -> io::Result<()> {
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVLOWAT, &bytes)
}

#[cfg(test)]
mod tests {
    use super::super::TcpStream;
    use super::super::tests::pair;
    use crate::core::coroutine::{sleep, spawn};
    use crate::core::runtime::run;

    use super::*;

    const FOREVER: Duration = Duration::from_secs(30);

    /// A socket that gathers for `interval`, after so many pieces of one byte that it does.
    fn gathering(interval: Duration) -> (TcpStream, TcpStream) {
        let (client, server) = pair("127.0.0.1:0");
        server.set_read_timeout(Some(FOREVER / 2));
        server.set_gathering(Some(interval));
        for _ in 0..WAITS {
            let sending = spawn("send", {
                let byte = client.inner.try_clone().unwrap();
                move || io::Write::write_all(&mut &byte, b"a").unwrap()
            });
            assert_eq!(server.read(&mut [0; 8]).unwrap(), 1);
            sending.join().unwrap();
        }
        (client, server)
    }

    #[test]
    fn pieces_that_come_fast_are_read_together_and_none_is_lost() {
        run(|| {
            let (client, server) = gathering(Duration::from_millis(100));
            let sending = spawn("send", move || {
                for _ in 0..200 {
                    client.write_all(b"b").unwrap();
                    sleep(Duration::from_millis(3));
                }
                // It gathers no more after such a rest.
                sleep(Duration::from_millis(400));
                client.write_all(b"c").unwrap();
                client
            });
            let (mut reads, mut got, mut buffer) = (0, Vec::new(), [0; 4096]);
            while got.last() != Some(&b'c') {
                let count = server.read(&mut buffer).unwrap();
                got.extend(&buffer[..count]);
                reads += 1;
            }
            assert_eq!(got.len(), 201);
            assert!(reads < 60, "{reads}");
            sending.join().unwrap();
        })
        .unwrap();
    }

    #[test]
    fn plenty_and_the_end_do_not_wait() {
        run(|| {
            let (client, server) = gathering(2 * FOREVER);
            let sending = spawn("send", move || {
                sleep(Duration::from_millis(50));
                client.write_all(&[7; PLENTY_BYTES as usize]).unwrap();
                sleep(Duration::from_millis(50));
                client.write_all(b"end").unwrap();
            });
            let (mut got, mut buffer) = (0, vec![0; 2 * PLENTY_BYTES as usize]);
            loop {
                match server.read(&mut buffer).unwrap() {
                    0 => break,
                    count => got += count,
                }
            }
            assert_eq!(got, PLENTY_BYTES as usize + 3);
            sending.join().unwrap();
        })
        .unwrap();
    }

    #[test]
    fn what_waits_is_read_when_the_gathering_ends() {
        run(|| {
            let (client, server) = gathering(2 * FOREVER);
            let gathers = Moment::after(Duration::from_millis(20));
            assert!(!server.wait_input(gathers).unwrap());
            client.write_all(b"little").unwrap();
            sleep(Duration::from_millis(20));
            server.set_gathering(None);
            assert_eq!(server.read(&mut [0; 64]).unwrap(), 6);
        })
        .unwrap();
    }

    #[test]
    fn the_read_timeout_counts_as_ever() {
        run(|| {
            let (_client, server) = gathering(Duration::from_millis(10));
            server.set_read_timeout(Some(Duration::from_millis(80)));
            let error = server.read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        })
        .unwrap();
    }

    #[test]
    fn the_next_read_is_neither_at_once_nor_late() {
        let interval = Duration::from_millis(40);
        let gathering = Gathering::new(interval);
        for socket in [io::stdin().as_fd(), io::stdout().as_fd(), io::stderr().as_fd()] {
            for micros in (0..200_000).step_by(777) {
                let now = Moment::default() + Duration::from_micros(micros);
                let next = gathering.next(now, &socket);
                assert!(next >= now + interval / 2, "{next:?} {now:?}");
                assert!(next <= now + interval * 3 / 2, "{next:?} {now:?}");
            }
        }
    }
}
