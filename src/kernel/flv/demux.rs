//! Cuts FLV into tags as its bytes arrive: posted streams, recorded files, and files that are looked through for a seek.

use bytes::{Bytes, BytesMut};

use super::tag::{FILE_HEADER_BYTES, FileHeader, Kind, PREVIOUS_TAG_SIZE_BYTES, TAG_HEADER_BYTES, TagHeader};
use crate::core::limits::FLV_FILE_HEADER_BYTES;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// One part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The start of the file; comes once, first.
    Header(FileHeader),
    /// A tag.
    Tag(Tag),
}

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What the body carries.
    pub kind: Kind,
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// Where the tag's header starts, bytes from the start of the file.
    pub offset: u64,
    /// What an RTMP message has as its payload.
    pub body: Bytes,
}

/// Takes bytes as they arrive ([`feed`](Self::feed)) and gives parts as soon as they are whole ([`pull`](Self::pull)).
///
/// Holds what is fed and not yet pulled. A caller that pulls until nothing comes, after each feed, makes it hold at
/// most one tag, 16 MB, and what it fed last.
#[derive(Debug)]
pub struct Demuxer {
    buffer: BytesMut,
    /// Bytes from the start of the file to the start of `buffer`.
    offset: u64,
    state: State,
}

/// What the buffer starts with.
#[derive(Clone, Copy, Debug)]
enum State {
    FileHeader,
    /// Bytes of no interest before the next tag header.
    Skip(usize),
    TagHeader,
    Body(TagHeader),
}

impl Demuxer {
    /// Starts at the file's start.
    pub fn new() -> Self {
        Self::at(State::FileHeader, 0)
    }

    /// Starts at a tag's header, `offset` bytes into the file.
    pub fn at_tag(offset: u64) -> Self {
        Self::at(State::TagHeader, offset)
    }

    fn at(state: State, offset: u64) -> Self {
        Demuxer {
            buffer: BytesMut::new(),
            offset,
            state,
        }
    }

    /// Adds the bytes that follow those fed before.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that are fed and not yet used: not 0 at the end of a file that was cut off inside a tag.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The next part; none if it needs more bytes. PreviousTagSize is passed over unchecked: many writers get it wrong.
    ///
    /// Fails with [`ErrorCode::FlvHeader`] or [`ErrorCode::FlvInvalidTag`], and again on each later call, as there is
    /// no way to find the next tag.
    pub fn pull(&mut self) -> Result<Option<Item>> {
        loop {
            match self.state {
                State::FileHeader => return self.pull_file_header(),
                State::Skip(count) => {
                    let now = count.min(self.buffer.len());
                    self.take(now);
                    self.state = if now == count {
                        State::TagHeader
                    } else {
                        State::Skip(count - now)
                    };
                    if now < count {
                        return Ok(None);
                    }
                }
                State::TagHeader => {
                    let Some(bytes) = self.buffer.first_chunk::<TAG_HEADER_BYTES>() else {
                        return Ok(None);
                    };
                    let header = TagHeader::read(bytes).map_err(|error| self.locate(error))?;
                    self.take(TAG_HEADER_BYTES);
                    self.state = State::Body(header);
                }
                State::Body(header) => return Ok(self.pull_body(header)),
            }
        }
    }

    fn pull_file_header(&mut self) -> Result<Option<Item>> {
        let Some(bytes) = self.buffer.first_chunk::<FILE_HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = FileHeader::read(bytes)?;
        if header.data_offset > FLV_FILE_HEADER_BYTES {
            return Err(Error::new(
                ErrorCode::FlvHeader,
                format!(
                    "FLV header size {} is above {FLV_FILE_HEADER_BYTES}",
                    header.data_offset
                ),
            ));
        }
        self.take(FILE_HEADER_BYTES);
        let extension = (header.data_offset as usize).saturating_sub(FILE_HEADER_BYTES);
        self.state = State::Skip(extension + PREVIOUS_TAG_SIZE_BYTES);
        Ok(Some(Item::Header(header)))
    }

    fn pull_body(&mut self, header: TagHeader) -> Option<Item> {
        let body_bytes = header.body_bytes as usize;
        if self.buffer.len() < body_bytes {
            return None;
        }
        let offset = self.offset.saturating_sub(TAG_HEADER_BYTES as u64);
        let body = self.take(body_bytes).freeze();
        self.state = State::Skip(PREVIOUS_TAG_SIZE_BYTES);
        Some(Item::Tag(Tag {
            kind: header.kind,
            timestamp: header.timestamp,
            offset,
            body,
        }))
    }

    /// Takes bytes off the front; the caller made sure that there are so many.
    fn take(&mut self, count: usize) -> BytesMut {
        self.offset = self.offset.saturating_add(count as u64);
        self.buffer.split_to(count)
    }

    #[cold]
    fn locate(&self, error: Error) -> Error {
        error.wrap(format!("FLV byte {}", self.offset))
    }
}

impl Default for Demuxer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::flv::mux::{FILE_START_BYTES, file_start, put_tag};
    use crate::kernel::frame::Facts;

    /// 64x48 H.264 Main and AAC at 22050 Hz by FFmpeg 5.1, without onMetaData: sequence headers, a keyframe cut short
    /// to 20 bytes by hand, one sound frame, the end of the sequence.
    const FFMPEG: &[u8] = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\
        \x09\x00\x00\x2d\x00\x00\x00\x00\x00\x00\x00\x17\x00\x00\x00\x00\x01\x4d\x40\x0a\xff\xe1\x00\x17\x67\x4d\x40\
        \x0a\xf2\x08\xf6\x02\x20\x00\x00\x03\x00\x20\x00\x00\x03\x02\x81\xe2\x44\xa2\x40\x01\x00\x06\x68\xeb\xe0\x4d\
        \x2c\x80\x00\x00\x00\x38\
        \x08\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\xaf\x00\x13\x88\x56\xe5\x00\x00\x00\x00\x12\
        \x09\x00\x00\x14\x00\x00\x00\x00\x00\x00\x00\x17\x01\x00\x00\x64\x00\x00\x00\x0b\x65\x88\x84\x01\x9f\x1b\x5a\
        \x45\x6f\x1b\x24\x00\x00\x00\x1f\
        \x08\x00\x00\x06\x00\x00\x2e\x00\x00\x00\x00\xaf\x01\x01\x18\x20\x07\x00\x00\x00\x11\
        \x09\x00\x00\x05\x00\x00\xc8\x00\x00\x00\x00\x17\x02\x00\x00\x00\x00\x00\x00\x10";

    fn demux(bytes: &[u8], step: usize) -> Result<Vec<Item>> {
        let mut demuxer = Demuxer::new();
        let mut items = Vec::new();
        for piece in bytes.chunks(step) {
            demuxer.feed(piece);
            while let Some(item) = demuxer.pull()? {
                items.push(item);
            }
        }
        Ok(items)
    }

    #[test]
    fn pieces_of_any_size_give_the_same_tags() {
        let whole = demux(FFMPEG, FFMPEG.len()).unwrap();
        assert_eq!(whole.len(), 6);
        for step in 1..40 {
            assert_eq!(demux(FFMPEG, step).unwrap(), whole);
        }
    }

    #[test]
    fn ffmpegs_file_is_understood() {
        let items = demux(FFMPEG, 7).unwrap();
        let Item::Header(header) = &items[0] else {
            panic!("no header first");
        };
        assert!(header.audio && header.video);
        let mut tags = items[1..].iter().map(|item| match item {
            Item::Tag(tag) => (tag, Facts::peek(tag.kind, &tag.body)),
            Item::Header(_) => panic!("header twice"),
        });
        let (tag, facts) = tags.next().unwrap();
        assert_eq!(tag.offset, 13);
        assert!(facts.is_video_sequence_header());
        let (tag, facts) = tags.next().unwrap();
        assert_eq!((tag.offset, tag.body.len()), (13 + 15 + 45, 7));
        assert!(facts.is_audio_sequence_header());
        assert!(tags.next().unwrap().1.keyframe);
        let (tag, facts) = tags.next().unwrap();
        assert_eq!((tag.kind, tag.timestamp, facts.coded), (Kind::Audio, 46, true));
        assert!(!tags.next().unwrap().1.coded);
    }

    #[test]
    fn what_is_muxed_demuxes_from_any_tag_on() {
        let mut file = file_start(true, false).to_vec();
        put_tag(&mut file, Kind::Data, 0, b"\x02\x00\x0aonMetaData").unwrap();
        let second = file.len() as u64;
        put_tag(&mut file, Kind::Audio, u32::MAX, &[]).unwrap();
        let mut demuxer = Demuxer::at_tag(second);
        demuxer.feed(&file[second as usize..]);
        let Some(Item::Tag(tag)) = demuxer.pull().unwrap() else {
            panic!("no tag");
        };
        assert_eq!((tag.kind, tag.timestamp, tag.offset), (Kind::Audio, u32::MAX, second));
        assert!(tag.body.is_empty());
        assert!(demuxer.pull().unwrap().is_none());
        assert_eq!(demuxer.pending_bytes(), 0);
        assert_eq!(second as usize, FILE_START_BYTES + 15 + 13);
    }

    #[test]
    fn longer_file_headers_are_passed_over_up_to_a_bound() {
        let mut file = b"FLV\x01\x01\x00\x00\x00\x0c\xaa\xbb\xcc\x00\x00\x00\x00".to_vec();
        put_tag(&mut file, Kind::Video, 1, &[0x27]).unwrap();
        assert_eq!(demux(&file, 3).unwrap().len(), 2);
        file[6] = 1;
        assert_eq!(demux(&file, 3).unwrap_err().code(), ErrorCode::FlvHeader);
    }

    #[test]
    fn an_error_stays_and_tells_its_place() {
        let mut file = FFMPEG[..13].to_vec();
        file.extend([0x4e, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xaa]);
        let mut demuxer = Demuxer::new();
        demuxer.feed(&file);
        assert!(demuxer.pull().unwrap().is_some());
        for _ in 0..2 {
            let error = demuxer.pull().unwrap_err();
            assert_eq!(error.code(), ErrorCode::FlvInvalidTag);
            assert!(error.summary().contains("FLV byte 13"));
        }
    }

    #[test]
    fn cut_and_changed_files_give_errors_or_fewer_tags() {
        for cut in 0..FFMPEG.len() {
            assert!(demux(&FFMPEG[..cut], 11).unwrap().len() <= 6);
        }
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..2000 {
            let mut file = FFMPEG.to_vec();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(..file.len());
                file[at] = random.u8(..);
            }
            if let Ok(items) = demux(&file, random.usize(1..64)) {
                let bodies: usize = items
                    .iter()
                    .map(|item| match item {
                        Item::Tag(tag) => tag.body.len(),
                        Item::Header(_) => 0,
                    })
                    .sum();
                assert!(bodies <= file.len());
            }
        }
    }
}
