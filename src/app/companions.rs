//! What goes along with a publication: recorders, forwards, child processes.

use super::dvr::Enrolled;
use super::ffmpeg::Attended;
use super::forward::{self, Forwarding};
use super::recording::{self, Publisher};
use crate::kernel::error::Result;

/// All of it; it ends when this is dropped.
pub struct Companions {
    _enrolled: Option<Enrolled>,
    _forwarding: Forwarding,
    _attended: Option<Attended>,
}

/// Starts what the vhost's settings ask for. To be called for a publication before its first message; the result is to be
/// dropped when it ends. Yields.
///
/// # Errors
/// The publication is to be refused with them: those of [`forward::urls`], [`recording::begin`] and
/// [`super::ffmpeg::Children::attend`].
pub fn begin(publisher: &Publisher) -> Result<Option<Companions>> {
    let Some(server) = publisher.server.upgrade() else {
        return Ok(None);
    };
    // This may refuse it, and then there shall be no files.
    let urls = forward::urls(&server, publisher)?;
    Ok(Some(Companions {
        _enrolled: recording::begin(publisher)?,
        _attended: server.children.attend(publisher)?,
        _forwarding: forward::start(&server, publisher, urls),
    }))
}
