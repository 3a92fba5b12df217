//! Recordings as MP4.

use super::headers::Headers;
use super::writer::{Patch, Writer};
use crate::kernel::error::Result;
use crate::kernel::frame::Frame;
use crate::kernel::mp4::recording::Recording;

impl Writer for Recording {
    fn ends_before(&self, frame: &Frame) -> Result<bool> {
        Recording::ends_before(self, frame)
    }

    fn begin(&mut self, headers: &Headers, timestamp: u32, _out: &mut Vec<u8>) -> Result<()> {
        for header in headers.tracks(timestamp) {
            if let Err(error) = self.prime(&header) {
                log::warn!("dvr: a header is passed over, {}", error.summary());
            }
        }
        Ok(())
    }

    fn write(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<()> {
        Recording::write(self, frame, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Vec<Patch>> {
        Recording::finish(self, out)
    }

    fn is_empty(&self) -> bool {
        Recording::is_empty(self)
    }
}
