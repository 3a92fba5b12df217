//! What a player needs before the middle of an FLV file: the file header and the sequence headers.

use crate::core::folder::OpenFile;
use crate::core::limits::{HTTP_FLV_SCAN_BYTES, HTTP_PIECE_BYTES};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::demux::{Demuxer, Item, Tag};
use crate::kernel::flv::mux;
use crate::kernel::frame::Facts;

/// Reads the start of a file and makes the bytes that stand before a jump into its middle; empty when it is not FLV.
/// Yields.
///
/// # Errors
/// [`ErrorCode::FileRead`].
pub fn preamble(file: &OpenFile) -> Result<Vec<u8>> {
    let mut found = Found::default();
    let mut demuxer = Demuxer::new();
    let mut buffer = vec![0; HTTP_PIECE_BYTES];
    let mut offset = 0;
    while offset < HTTP_FLV_SCAN_BYTES && !found.is_whole() {
        let count;
        (buffer, count) = file
            .read_at(offset, buffer)
            .map_err(|error| Error::io(ErrorCode::FileRead, &error, format!("read from byte {offset}")))?;
        demuxer.feed(&buffer[..count]);
        offset += count as u64;
        if !found.take_all(&mut demuxer) || count < buffer.len() {
            break;
        }
    }
    found.write()
}

#[derive(Default)]
struct Found {
    /// What the file header says: sound, pictures.
    has: Option<(bool, bool)>,
    audio: Option<Tag>,
    video: Option<Tag>,
}

impl Found {
    /// Gives whether it can go on.
    fn take_all(&mut self, demuxer: &mut Demuxer) -> bool {
        loop {
            match demuxer.pull() {
                Ok(Some(Item::Header(header))) => self.has = Some((header.audio, header.video)),
                Ok(Some(Item::Tag(tag))) => self.take(tag),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn take(&mut self, tag: Tag) {
        let facts = Facts::peek(tag.kind, &tag.body);
        if facts.is_audio_sequence_header() {
            self.audio.get_or_insert(tag);
        } else if facts.is_video_sequence_header() {
            self.video.get_or_insert(tag);
        }
    }

    fn is_whole(&self) -> bool {
        let has_all =
            |(audio, video): (bool, bool)| (self.audio.is_some() || !audio) && (self.video.is_some() || !video);
        self.has.is_some_and(has_all)
    }

    fn write(self) -> Result<Vec<u8>> {
        let Some((audio, video)) = self.has else {
            return Ok(Vec::new());
        };
        let mut bytes = mux::file_start(audio, video).to_vec();
        for tag in [self.video, self.audio].into_iter().flatten() {
            mux::put_tag(&mut bytes, tag.kind, tag.timestamp, &tag.body)?;
        }
        Ok(bytes)
    }
}
