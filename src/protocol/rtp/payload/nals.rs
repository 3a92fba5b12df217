//! What the payloads of AVC and HEVC have in common: NAL units gather until their access unit ends.

use bytes::Bytes;

use super::AccessUnit;
use crate::core::limits::{RTP_UNIT_BYTES, RTP_UNIT_NALS};
use crate::kernel::buf::Reader;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtp::reorder::Ordered;

/// One access unit in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Gatherer {
    timestamp: Option<u32>,
    nals: Vec<Bytes>,
    /// A NAL unit of which the first fragments are here.
    fragment: Option<Vec<u8>>,
    bytes: usize,
    /// Part of it is lost, so it is not given.
    is_damaged: bool,
}

impl Gatherer {
    /// Has `take` add what a packet's payload holds, and appends the access units that end with the packet: at most two.
    /// One of which something was lost, or that makes no sense, is left out.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn push(
        &mut self,
        ordered: &Ordered,
        out: &mut Vec<AccessUnit>,
        take: impl FnOnce(&mut Self, &Bytes) -> Result<()>,
    ) -> Result<()> {
        let packet = &ordered.packet;
        out.extend(self.begin(packet.timestamp, ordered.after_loss));
        let taken = take(self, &packet.payload);
        if taken.is_err() {
            self.damage();
        }
        out.extend(self.end(packet.marker));
        taken
    }

    /// Begins with a packet: gives the access unit before, if the timestamp says that it has ended without a marker.
    fn begin(&mut self, timestamp: u32, after_loss: bool) -> Option<AccessUnit> {
        let ended = match self.timestamp {
            Some(old) if old != timestamp => self.end_unit(after_loss),
            _ => None,
        };
        self.timestamp = Some(timestamp);
        self.is_damaged |= after_loss;
        ended
    }

    /// Ends with a packet: gives the access unit if the marker says that it is whole.
    fn end(&mut self, marker: bool) -> Option<AccessUnit> {
        if marker { self.end_unit(false) } else { None }
    }

    fn end_unit(&mut self, is_cut: bool) -> Option<AccessUnit> {
        let unit = std::mem::take(self);
        let is_whole = !unit.is_damaged && !is_cut && unit.fragment.is_none() && !unit.nals.is_empty();
        let timestamp = unit.timestamp.filter(|_| is_whole)?;
        Some(AccessUnit {
            timestamp,
            nals: unit.nals,
        })
    }

    /// Adds a whole NAL unit; empty ones are passed over.
    pub fn nal(&mut self, nal: Bytes) -> Result<()> {
        if nal.is_empty() {
            return Ok(());
        }
        self.grow(nal.len())?;
        self.nals.push(nal);
        Ok(())
    }

    /// Adds a fragment, the first of them behind the header that the whole NAL unit gets. Without its first fragment a
    /// NAL unit is lost.
    pub fn fragment(&mut self, header: Option<&[u8]>, is_last: bool, payload: &[u8]) -> Result<()> {
        if let Some(header) = header {
            self.is_damaged |= self.fragment.replace(header.to_vec()).is_some();
        }
        self.grow(payload.len())?;
        let Some(fragment) = &mut self.fragment else {
            self.is_damaged = true;
            return Ok(());
        };
        fragment.extend_from_slice(payload);
        if is_last && let Some(whole) = self.fragment.take() {
            self.nals.push(whole.into());
        }
        Ok(())
    }

    /// Adds the NAL units of an aggregation packet, each behind its length in two bytes.
    pub fn aggregate(&mut self, payload: &Bytes) -> Result<()> {
        let mut reader = Reader::new(payload, ErrorCode::RtspP96Corrupt);
        while !reader.is_empty() {
            let size = usize::from(reader.u16("NAL unit size")?);
            let start = payload.len() - reader.remaining();
            reader.skip(size, "aggregated NAL unit")?;
            self.nal(payload.slice(start..start + size))?;
        }
        Ok(())
    }

    /// What has come of the access unit makes no sense.
    fn damage(&mut self) {
        self.is_damaged = true;
    }

    fn grow(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= RTP_UNIT_BYTES && self.nals.len() < RTP_UNIT_NALS {
            return Ok(());
        }
        let text = format!(
            "access unit of {} NAL units and {} bytes in RTP",
            self.nals.len(),
            self.bytes
        );
        let timestamp = self.timestamp;
        *self = Gatherer {
            timestamp,
            is_damaged: true,
            ..Gatherer::default()
        };
        Err(Error::new(ErrorCode::RtspP96Corrupt, text))
    }
}
