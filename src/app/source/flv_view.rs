//! The FLV view: the journal as FLV tags, once for all players. Their timestamps are the source's clock; each player
//! copies a batch and takes its own zero off.

use super::encoded::Encoded;
use super::journal::{Entry, Journal};
use crate::kernel::flv::mux::{TAG_OVERHEAD_BYTES, put_tag};
use crate::kernel::frame::Kind;

/// The journal as tags, from the message on that the first player started with.
#[derive(Debug)]
pub struct FlvView {
    /// Tags with the source's clock; of each message, its kind.
    pub encoded: Encoded<Kind>,
}

impl FlvView {
    /// An empty view that begins with message `first`.
    pub fn new(first: u64) -> Self {
        FlvView {
            encoded: Encoded::new(first),
        }
    }

    /// Encodes what the journal has got since the last call.
    pub fn extend(&mut self, journal: &Journal) {
        if self.encoded.end() < journal.first() {
            *self = FlvView::new(journal.first());
        }
        for (_, entry) in journal.from(self.encoded.end()) {
            let room = entry.frame.payload.len() + TAG_OVERHEAD_BYTES;
            // Players' clocks count modulo 2^32.
            self.encoded
                .push(entry.frame.kind, room, |out| encode_tag(out, entry, entry.clock as u32));
        }
    }
}

/// Appends a message as a tag with this timestamp, ms.
pub fn encode_tag(out: &mut Vec<u8>, entry: &Entry, timestamp: u32) {
    let frame = &entry.frame;
    // RTMP bounds a message as FLV bounds a tag, so it fits; one that did not would be left out whole.
    let _ = put_tag(out, frame.kind, timestamp, &frame.payload);
}
