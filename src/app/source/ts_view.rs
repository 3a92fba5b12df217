//! The TS view: the journal as transport packets, once for all players. Their times are the source's clock: a transport
//! stream may begin at any.

use super::encoded::Encoded;
use super::journal::{Entry, Journal};
use crate::kernel::ts::{Muxer, MuxerOptions};

/// The journal as packets, from some message on.
#[derive(Debug)]
pub struct TsView {
    /// Packets; of each message, where in its bytes tables stand that a player may enter at.
    pub encoded: Encoded<Option<usize>>,
    muxer: Muxer,
}

impl TsView {
    /// An empty view that begins with message `first`; `headers` are the sequence headers before it.
    pub fn new<'e>(first: u64, headers: impl Iterator<Item = &'e Entry>) -> Self {
        let mut view = TsView {
            encoded: Encoded::new(first),
            muxer: Muxer::new(MuxerOptions::default()),
        };
        for header in headers {
            view.encode(header, &mut Vec::new());
        }
        view
    }

    /// Encodes what the journal has got since the last call.
    pub fn extend(&mut self, journal: &Journal) {
        if self.encoded.end() < journal.first() {
            self.encoded = Encoded::new(journal.first());
        }
        let mut packets = Vec::new();
        for (_, entry) in journal.from(self.encoded.end()) {
            packets.clear();
            let enter = self.encode(entry, &mut packets);
            self.encoded
                .push(enter, packets.len(), |out| out.extend_from_slice(&packets));
        }
    }

    fn encode(&mut self, entry: &Entry, packets: &mut Vec<u8>) -> Option<usize> {
        let mut frame = entry.frame.clone();
        // The muxer's clock counts modulo 2^32 as well.
        frame.timestamp = entry.clock as u32;
        match self.muxer.write(&frame, packets) {
            Ok(written) => written.entry,
            Err(error) => {
                log::debug!("message is left out of TS: {}", error.summary());
                None
            }
        }
    }
}
