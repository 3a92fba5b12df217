//! Messages encoded one behind the other, in slabs, found by their numbers: what every view keeps.

use std::collections::VecDeque;

/// Bytes of one slab; a message that is larger gets a slab of its own.
const SLAB_BYTES: usize = 64 << 10;

/// Encoded messages; `M` is what the view remembers of each.
#[derive(Debug)]
pub struct Encoded<M> {
    first: u64,
    messages: VecDeque<Slot<M>>,
    slabs: VecDeque<Slab>,
    end: u64,
}

#[derive(Debug)]
struct Slot<M> {
    start: u64,
    mark: M,
}

#[derive(Debug)]
struct Slab {
    start: u64,
    bytes: Vec<u8>,
}

impl<M> Encoded<M> {
    /// Nothing yet; the next message is number `first`.
    pub fn new(first: u64) -> Self {
        Encoded {
            first,
            messages: VecDeque::new(),
            slabs: VecDeque::new(),
            end: 0,
        }
    }

    /// The oldest message that is there.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next message will get.
    pub fn end(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    /// What is remembered of a message.
    pub fn mark(&self, number: u64) -> Option<&M> {
        let index = number.checked_sub(self.first)?;
        self.messages.get(usize::try_from(index).ok()?).map(|slot| &slot.mark)
    }

    /// Appends the next message, which `encode` writes; it takes at most about `room` bytes.
    pub fn push(&mut self, mark: M, room: usize, encode: impl FnOnce(&mut Vec<u8>)) {
        let full = self
            .slabs
            .back()
            .is_none_or(|slab| slab.bytes.len() + room > slab.bytes.capacity());
        if full {
            self.slabs.push_back(Slab {
                start: self.end,
                bytes: Vec::with_capacity(room.max(SLAB_BYTES)),
            });
        }
        self.messages.push_back(Slot { start: self.end, mark });
        if let Some(slab) = self.slabs.back_mut() {
            encode(&mut slab.bytes);
            self.end = slab.start + slab.bytes.len() as u64;
        }
    }

    /// Forgets all before message `number`.
    pub fn trim(&mut self, number: u64) {
        let count = number.min(self.end()).saturating_sub(self.first);
        self.messages.drain(..count as usize);
        self.first += count;
        let keep = self.messages.front().map_or(self.end, |slot| slot.start);
        while self
            .slabs
            .front()
            .is_some_and(|slab| slab.start + slab.bytes.len() as u64 <= keep)
        {
            self.slabs.pop_front();
        }
    }

    /// The end of a batch from `number` on: as many messages as fit `limit` bytes, at least one if there is one.
    pub fn batch_end(&self, number: u64, limit: usize) -> u64 {
        let begin = self.index(number);
        let Some(first) = self.messages.get(begin) else {
            return number;
        };
        if self.end - first.start <= limit as u64 {
            return self.end();
        }
        let until = first.start + limit as u64;
        // Message i fits if it ends, that is its successor starts, within the limit.
        let fitting = self
            .messages
            .partition_point(|slot| slot.start <= until)
            .saturating_sub(1);
        self.first + fitting.max(begin + 1) as u64
    }

    fn index(&self, number: u64) -> usize {
        number.saturating_sub(self.first).min(self.messages.len() as u64) as usize
    }

    /// The bytes of messages `from..to`, in pieces.
    pub fn slices(&self, from: u64, to: u64) -> impl Iterator<Item = &[u8]> {
        let offset = |number| {
            self.messages
                .get(self.index(number))
                .map_or(self.end, |slot| slot.start)
        };
        let (begin, end) = (offset(from), offset(to));
        let skip = self
            .slabs
            .partition_point(|slab| slab.start + slab.bytes.len() as u64 <= begin);
        self.slabs
            .range(skip..)
            .take_while(move |slab| slab.start < end)
            .map(move |slab| {
                let from = begin.saturating_sub(slab.start) as usize;
                let to = ((end - slab.start) as usize).min(slab.bytes.len());
                &slab.bytes[from..to]
            })
    }

    /// Appends the bytes of messages `from..to` to `out`.
    pub fn copy(&self, from: u64, to: u64, out: &mut Vec<u8>) {
        self.slices(from, to).for_each(|piece| out.extend_from_slice(piece));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(sizes: &[usize]) -> Encoded<usize> {
        let mut encoded = Encoded::new(10);
        for (index, &size) in sizes.iter().enumerate() {
            encoded.push(index, size, |out| out.extend(std::iter::repeat_n(index as u8, size)));
        }
        encoded
    }

    fn bytes(encoded: &Encoded<usize>, from: u64, to: u64) -> Vec<u8> {
        let mut out = Vec::new();
        encoded.copy(from, to, &mut out);
        out
    }

    #[test]
    fn ranges_are_found_by_number_across_slabs() {
        let encoded = encoded(&[3, 70_000, 2, 40_000, 40_000]);
        assert_eq!(bytes(&encoded, 10, 11), [0; 3]);
        assert_eq!(bytes(&encoded, 12, 13), [2; 2]);
        assert_eq!(bytes(&encoded, 10, 15).len(), 150_005);
        assert_eq!(bytes(&encoded, 15, 15).len(), 0);
        assert_eq!(encoded.mark(14), Some(&4));
        assert_eq!(encoded.mark(9), None);
    }

    #[test]
    fn a_batch_has_at_least_one_message_and_else_fits() {
        let encoded = encoded(&[10, 10, 500, 10]);
        assert_eq!(encoded.batch_end(10, 25), 12);
        assert_eq!(encoded.batch_end(10, 20), 12);
        assert_eq!(encoded.batch_end(10, 5), 11);
        assert_eq!(encoded.batch_end(12, 5), 13);
        assert_eq!(encoded.batch_end(10, 1000), 14);
        assert_eq!(encoded.batch_end(14, 1000), 14);
    }

    #[test]
    fn trimming_keeps_the_rest_in_place() {
        let mut encoded = encoded(&[60_000, 60_000, 60_000]);
        encoded.trim(12);
        assert_eq!((encoded.first(), encoded.end(), encoded.slabs.len()), (12, 13, 1));
        assert_eq!(bytes(&encoded, 12, 13), vec![2; 60_000]);
        encoded.trim(99);
        assert!(encoded.slabs.is_empty());
        encoded.push(7, 1, |out| out.push(9));
        assert_eq!(bytes(&encoded, 13, 14), [9]);
    }
}
