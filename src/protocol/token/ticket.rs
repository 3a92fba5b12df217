//! Tickets: what a player that was let in gets for the files that belong to a stream, so that each of its requests is
//! known without a token of its own. A ticket names no client; it opens one path, or what is below one folder.

use hmac::Mac;

use super::signature::{bytes_of, mac};

/// The parameter that carries one.
pub const PARAMETER: &str = "ticket";

/// Makes tickets, and knows its own again.
pub struct Tickets {
    secret: [u8; 32],
}

impl Tickets {
    /// Those of a server that made up this secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Tickets { secret }
    }

    /// A ticket for a path, or for what is below a folder (a path that ends with `/`), until a Unix time in seconds.
    pub fn issue(&self, path: &str, until: u64) -> String {
        let code = mac(&self.secret, &text(until, path)).finalize().into_bytes();
        let digits = code.iter().map(|byte| format!("{byte:02x}"));
        format!("{until}-{}", digits.collect::<String>())
    }

    /// Whether a ticket opens a path now.
    pub fn open(&self, ticket: &str, path: &str, unix_seconds: u64) -> bool {
        let Some((until, code)) = ticket.split_once('-') else {
            return false;
        };
        let (Ok(until), Some(code)) = (until.parse::<u64>(), bytes_of(code)) else {
            return false;
        };
        let folder = path.rfind('/').map(|at| &path[..=at]);
        let is_for = |scope: &str| mac(&self.secret, &text(until, scope)).verify_slice(&code).is_ok();
        unix_seconds <= until && (is_for(path) || folder.is_some_and(is_for))
    }
}

fn text(until: u64, path: &str) -> String {
    format!("{until} {path}")
}

/// When a ticket ends that is made now for something that began at `begun`: one to two terms ahead, and the same for
/// everything within a term, so that URIs do not change with each playlist. Seconds.
pub fn end(begun: u64, now: u64, term: u64) -> u64 {
    let term = term.max(1);
    let passed = now.saturating_sub(begun) / term;
    begun.saturating_add(passed.saturating_add(2).saturating_mul(term))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_its_path_in_its_time() {
        let tickets = Tickets::new([7; 32]);
        let (file, folder) = (tickets.issue("/live/s-1.ts", 100), tickets.issue("/live/s/", 100));
        let cases = [
            (&file, "/live/s-1.ts", 100, true),
            (&file, "/live/s-1.ts", 101, false),
            (&file, "/live/s-2.ts", 100, false),
            (&file, "/live/s-1.ts/", 100, false),
            (&folder, "/live/s/video-1.m4s", 50, true),
            (&folder, "/live/s/", 50, true),
            (&folder, "/live/s/deeper/video-1.m4s", 50, false),
            (&folder, "/live/s2/video-1.m4s", 50, false),
            (&folder, "/live/s", 50, false),
        ];
        for (ticket, path, now, expected) in cases {
            assert_eq!(tickets.open(ticket, path, now), expected, "{path} at {now}");
        }
        assert!(!Tickets::new([8; 32]).open(&file, "/live/s-1.ts", 50));
        let later = file.replace("100-", "200-");
        assert!(!tickets.open(&later, "/live/s-1.ts", 50));
        for end in 0..file.len() {
            assert!(!tickets.open(&file[..end], "/live/s-1.ts", 50));
        }
    }

    #[test]
    fn ends_stay_for_a_term() {
        let ends: Vec<u64> = [1000, 1009, 1010, 1019, 1020].map(|now| end(1000, now, 10)).to_vec();
        assert_eq!(ends, [1020, 1020, 1030, 1030, 1040]);
        assert_eq!(end(1000, 0, 10), 1020);
        assert_eq!(end(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
        assert!(end(0, 5, 0) >= 5);
    }
}
