//! Writes FLV: the start of a file, tags, and the timestamps of a batch that is written already.

use super::tag::{
    FILE_HEADER_BYTES, FileHeader, Kind, PREVIOUS_TAG_SIZE_BYTES, TAG_BODY_BYTES_MAX, TAG_HEADER_BYTES, TIMESTAMP_AT,
    TagHeader, timestamp_field,
};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// Bytes that a tag adds to its body: its header and the PreviousTagSize behind it.
pub const TAG_OVERHEAD_BYTES: usize = TAG_HEADER_BYTES + PREVIOUS_TAG_SIZE_BYTES;
/// How far before a player's zero a tag may lie, ms: sound that belongs to the first picture.
const EARLY_MS: u32 = 60_000;
/// Bytes of the start of a file: its header and the first PreviousTagSize.
pub const FILE_START_BYTES: usize = FILE_HEADER_BYTES + PREVIOUS_TAG_SIZE_BYTES;

/// The start of a file that announces sound and pictures as told.
pub fn file_start(audio: bool, video: bool) -> [u8; FILE_START_BYTES] {
    let header = FileHeader {
        audio,
        video,
        data_offset: FILE_HEADER_BYTES as u32,
    };
    let mut start = [0; FILE_START_BYTES];
    start[..FILE_HEADER_BYTES].copy_from_slice(&header.write());
    start
}

/// Appends one tag with its PreviousTagSize. `timestamp` is in milliseconds.
/// Fails with [`ErrorCode::FlvNoSpace`] on a body above [`TAG_BODY_BYTES_MAX`]; nothing is appended then.
pub fn put_tag(out: &mut Vec<u8>, kind: Kind, timestamp: u32, body: &[u8]) -> Result<()> {
    if body.len() > TAG_BODY_BYTES_MAX {
        return Err(Error::new(
            ErrorCode::FlvNoSpace,
            format!(
                "FLV {kind:?} tag body of {} bytes, at most {TAG_BODY_BYTES_MAX} fit",
                body.len()
            ),
        ));
    }
    let body_bytes = body.len() as u32;
    let header = TagHeader {
        kind,
        body_bytes,
        timestamp,
    };
    out.reserve(TAG_OVERHEAD_BYTES + body.len());
    out.extend_from_slice(&header.write());
    out.extend_from_slice(body);
    out.extend_from_slice(&previous_tag_size(body_bytes));
    Ok(())
}

/// The field behind a tag whose body has `body_bytes` bytes, at most [`TAG_BODY_BYTES_MAX`].
pub fn previous_tag_size(body_bytes: u32) -> [u8; PREVIOUS_TAG_SIZE_BYTES] {
    body_bytes.saturating_add(TAG_HEADER_BYTES as u32).to_be_bytes()
}

/// Gives a written tag another timestamp, in milliseconds.
pub fn patch_timestamp(header: &mut [u8; TAG_HEADER_BYTES], timestamp: u32) {
    header[TIMESTAMP_AT..TIMESTAMP_AT + 4].copy_from_slice(&timestamp_field(timestamp));
}

/// Takes `base` milliseconds off the timestamp of each tag of a batch that [`put_tag`] wrote, modulo 2^32, so that a
/// player's clock starts at its own zero; what lies up to a minute before that becomes zero. Only whole tag headers are
/// looked at.
pub fn rebase_timestamps(batch: &mut [u8], base: u32) {
    TimestampFields::find(batch).rebase(batch, base);
}

/// Where the tags of a batch that [`put_tag`] wrote have their timestamps, to write those of one player after another.
#[derive(Debug)]
pub struct TimestampFields {
    /// Of each tag, where its header begins and its time, ms.
    tags: Vec<(usize, u32)>,
    /// What was taken off last.
    base: u32,
}

impl TimestampFields {
    /// Looks at all whole tag headers.
    pub fn find(batch: &[u8]) -> Self {
        let mut tags = Vec::new();
        let mut at = 0;
        while let Some(header) = batch.get(at..).and_then(|rest| rest.first_chunk::<TAG_HEADER_BYTES>()) {
            let [_, size2, size1, size0, time2, time1, time0, time3, ..] = *header;
            tags.push((at, u32::from_be_bytes([time3, time2, time1, time0])));
            let body_bytes = u32::from_be_bytes([0, size2, size1, size0]) as usize;
            at += TAG_OVERHEAD_BYTES + body_bytes;
        }
        TimestampFields { tags, base: 0 }
    }

    /// The batch moved back by `bytes` in its buffer.
    pub fn shift(&mut self, bytes: usize) {
        self.tags.iter_mut().for_each(|(at, _)| *at += bytes);
    }

    /// Writes each tag's time less `base`, as [`rebase_timestamps`] does.
    pub fn rebase(&mut self, batch: &mut [u8], base: u32) {
        if base == self.base {
            return;
        }
        self.base = base;
        for &(at, timestamp) in &self.tags {
            let rebased = timestamp.wrapping_sub(base);
            let header = batch.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
            if let Some(header) = header {
                patch_timestamp(header, if rebased > u32::MAX - EARLY_MS { 0 } else { rebased });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::flv::demux::{Demuxer, Item};

    #[test]
    fn a_tag_is_followed_by_its_size() {
        let mut out = Vec::new();
        put_tag(&mut out, Kind::Audio, 0x0100_0002, &[0xaf, 1, 0x21]).unwrap();
        assert_eq!(out[..11], [8, 0, 0, 3, 0, 0, 2, 1, 0, 0, 0]);
        assert_eq!(out[11..], [0xaf, 1, 0x21, 0, 0, 0, 14]);
        assert_eq!(out.len(), TAG_OVERHEAD_BYTES + 3);
    }

    #[test]
    fn a_body_that_does_not_fit_is_refused() {
        let mut out = Vec::new();
        let error = put_tag(&mut out, Kind::Video, 0, &vec![0; TAG_BODY_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FlvNoSpace);
        assert!(out.is_empty());
        put_tag(&mut out, Kind::Video, 0, &vec![0; TAG_BODY_BYTES_MAX]).unwrap();
        assert_eq!(out[1..4], [0xff; 3]);
    }

    #[test]
    fn a_batch_gets_the_players_clock() {
        let mut batch = Vec::new();
        let times = [u32::MAX - 9, 0, 0x0200_0000];
        for time in times {
            put_tag(&mut batch, Kind::Video, time, &[0x27; 5]).unwrap();
        }
        let original = batch.clone();
        rebase_timestamps(&mut batch, u32::MAX - 9);
        let mut demuxer = Demuxer::at_tag(0);
        demuxer.feed(&batch);
        for time in [0, 10, 0x0200_000a] {
            let Some(Item::Tag(tag)) = demuxer.pull().unwrap() else {
                panic!("no tag");
            };
            assert_eq!((tag.timestamp, &tag.body[..]), (time, &[0x27; 5][..]));
        }
        for cut in 0..original.len() {
            rebase_timestamps(&mut original.clone()[..cut], 1);
        }
    }
}
