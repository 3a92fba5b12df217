//! What a kind of file must be able to do.

use super::headers::Headers;
use crate::kernel::error::Result;
use crate::kernel::frame::Frame;

/// Bytes that replace those at an offset of the file.
pub type Patch = (u64, Vec<u8>);

/// Writes one file. All that it appends to `out` goes to the end of the file, in order.
pub trait Writer {
    /// Whether the file cannot hold this message, which the next one will.
    ///
    /// # Errors
    /// As [`Writer::write`].
    fn ends_before(&self, _frame: &Frame) -> Result<bool> {
        Ok(false)
    }

    /// Before the first message: what players must know, with the time of that message.
    ///
    /// # Errors
    /// As [`Writer::write`].
    fn begin(&mut self, headers: &Headers, timestamp: u32, out: &mut Vec<u8>) -> Result<()>;

    /// The next message, or a header, with its time in the file.
    ///
    /// # Errors
    /// A message that has no place in the file or cannot be understood; nothing is appended then.
    fn write(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<()>;

    /// The end; gives what is to be replaced then.
    ///
    /// # Errors
    /// Those of the format; nothing more is to be written then.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Vec<Patch>>;

    /// Whether it holds nothing that could be played.
    fn is_empty(&self) -> bool;
}
