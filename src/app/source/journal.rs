//! The journal: the recent messages of a stream with running numbers. Consumers are cursors into it.

use std::collections::VecDeque;

use crate::kernel::frame::Frame;

/// One message and its place on the source's timeline.
#[derive(Debug)]
pub struct Entry {
    /// The message as it was published.
    pub frame: Frame,
    /// Time on the source's timeline, ms.
    pub clock: i64,
}

/// What the smallest allocation for a payload takes, bytes.
const ALLOCATION_BYTES: usize = 32;

impl Entry {
    /// What it costs to keep, bytes: without the entry itself, a peer with messages of one byte would get it for nothing.
    pub fn cost(&self) -> usize {
        self.frame.payload.len() + size_of::<Entry>() + ALLOCATION_BYTES
    }
}

/// Messages by number; the number of the first one ever is 0.
#[derive(Debug, Default)]
pub struct Journal {
    first: u64,
    /// What all messages cost.
    bytes: usize,
    entries: VecDeque<Entry>,
}

impl Journal {
    /// Appends a message and gives its number.
    pub fn push(&mut self, entry: Entry) -> u64 {
        self.bytes += entry.cost();
        self.entries.push_back(entry);
        self.end() - 1
    }

    /// The number of the oldest message that is still there; equals [`Journal::end`] when none is.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next message will get.
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The message with this number, unless it is gone or yet to come.
    pub fn get(&self, number: u64) -> Option<&Entry> {
        let index = number.checked_sub(self.first)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// The newest message.
    pub fn newest(&self) -> Option<&Entry> {
        self.entries.back()
    }

    /// The messages from `number` on, with their numbers.
    pub fn from(&self, number: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let skip = number.saturating_sub(self.first).min(self.entries.len() as u64);
        let start = self.first + skip;
        // At most the queue's length.
        self.entries
            .range(skip as usize..)
            .enumerate()
            .map(move |(index, entry)| (start + index as u64, entry))
    }

    /// Forgets all before `number`.
    pub fn trim(&mut self, number: u64) {
        let count = number.min(self.end()).saturating_sub(self.first);
        let gone: usize = self.entries.drain(..count as usize).map(|entry| entry.cost()).sum();
        self.bytes -= gone;
        self.first += count;
        if self.entries.capacity() > 64 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// Bytes that all messages take, with what it costs to keep them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that the messages from `number` on take.
    pub fn bytes_from(&self, number: u64) -> usize {
        self.from(number).map(|(_, entry)| entry.cost()).sum()
    }

    /// The first message from which on the messages fit `limit` bytes.
    pub fn within_bytes(&self, limit: usize) -> u64 {
        let mut rest = self.bytes;
        let skip = self.entries.iter().take_while(|entry| {
            let over = rest > limit;
            rest -= entry.cost();
            over
        });
        self.first + skip.count() as u64
    }

    /// The first message that is not more than `span_ms` older than the newest one.
    pub fn within(&self, span_ms: i64) -> u64 {
        let Some(newest) = self.newest() else { return self.end() };
        let oldest = newest.clock.saturating_sub(span_ms);
        // Clocks may step back a little, so this is a search from the old end and not a bisection.
        let skip = self.entries.iter().position(|entry| entry.clock >= oldest);
        self.first + skip.unwrap_or(0) as u64
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::kernel::frame::Kind;

    fn journal(clocks: &[i64]) -> Journal {
        let mut journal = Journal::default();
        for &clock in clocks {
            journal.push(Entry {
                frame: Frame::new(Kind::Audio, clock as u32, Bytes::from_static(b"\xaf\x01")),
                clock,
            });
        }
        journal
    }

    #[test]
    fn numbers_stay_while_old_messages_go() {
        let mut journal = journal(&[0, 20, 40, 60]);
        journal.trim(2);
        assert_eq!((journal.first(), journal.end()), (2, 4));
        assert!(journal.get(1).is_none());
        assert_eq!(journal.get(3).map(|entry| entry.clock), Some(60));
        assert_eq!(journal.from(0).map(|(number, _)| number).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(journal.from(9).count(), 0);
        journal.trim(99);
        assert_eq!((journal.first(), journal.end()), (4, 4));
    }

    #[test]
    fn bytes_are_counted_and_bounded_from_the_newest() {
        let mut journal = journal(&[0, 20, 40, 60]);
        let each = journal.bytes() / 4;
        assert!(each > 2 + size_of::<Entry>(), "an entry itself costs something");
        assert_eq!((journal.bytes(), journal.bytes_from(3)), (4 * each, each));
        for (limit, first) in [(usize::MAX, 0), (4 * each, 0), (4 * each - 1, 1), (2 * each, 2), (0, 4)] {
            assert_eq!(journal.within_bytes(limit), first, "{limit} bytes");
        }
        journal.trim(3);
        assert_eq!(journal.bytes(), each);
    }

    #[test]
    fn a_span_is_counted_from_the_newest() {
        assert_eq!(journal(&[0, 100, 200, 300]).within(150), 2);
        assert_eq!(journal(&[0, 100]).within(5_000), 0);
        assert_eq!(Journal::default().within(10), 0);
    }
}
