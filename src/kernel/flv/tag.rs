//! The frame around each message of an FLV file: file header, tag header, size of the previous tag (annex E.2 to E.4).

use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// Bytes of the file header without the first PreviousTagSize.
pub const FILE_HEADER_BYTES: usize = 9;
/// Bytes of a tag header.
pub const TAG_HEADER_BYTES: usize = 11;
/// Bytes of the size field behind each tag.
pub const PREVIOUS_TAG_SIZE_BYTES: usize = 4;
/// Where a tag header keeps its timestamp: three low bytes, then the high byte.
pub const TIMESTAMP_AT: usize = 4;
/// The largest body that the 24-bit DataSize can tell, bytes.
pub const TAG_BODY_BYTES_MAX: usize = 0xff_ffff;

const FLAG_VIDEO: u8 = 0x01;
const FLAG_AUDIO: u8 = 0x04;
/// The tag is encrypted (annex E.4.1, Filter).
const FLAG_FILTER: u8 = 0x20;

/// What a message carries; the numbers are those of FLV tags and of RTMP messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Sound, type 8.
    Audio = 8,
    /// Pictures, type 9.
    Video = 9,
    /// Script data such as onMetaData, type 18.
    Data = 18,
}

impl Kind {
    /// The tag type, which is the RTMP message type as well.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kind of a tag type; none for other types.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            8 => Some(Kind::Audio),
            9 => Some(Kind::Video),
            18 => Some(Kind::Data),
            _ => None,
        }
    }
}

/// The start of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// TypeFlagsAudio: audio tags are present.
    pub audio: bool,
    /// TypeFlagsVideo: video tags are present.
    pub video: bool,
    /// Bytes from the file's start to the first PreviousTagSize; 9 in version 1.
    pub data_offset: u32,
}

impl FileHeader {
    /// Reads the fixed nine bytes. Fails with [`ErrorCode::FlvHeader`] on another signature or a header size below 9.
    pub fn read(bytes: &[u8; FILE_HEADER_BYTES]) -> Result<Self> {
        let [f, l, v, version, flags, size @ ..] = *bytes;
        if [f, l, v] != *b"FLV" {
            return Err(Error::new(
                ErrorCode::FlvHeader,
                format!("FLV signature is {f:02x}{l:02x}{v:02x}"),
            ));
        }
        let data_offset = u32::from_be_bytes(size);
        if (data_offset as usize) < FILE_HEADER_BYTES {
            return Err(Error::new(
                ErrorCode::FlvHeader,
                format!("FLV version {version} header size {data_offset} is below {FILE_HEADER_BYTES}"),
            ));
        }
        Ok(FileHeader {
            audio: flags & FLAG_AUDIO != 0,
            video: flags & FLAG_VIDEO != 0,
            data_offset,
        })
    }

    /// The nine bytes of version 1, whatever `data_offset` says.
    pub fn write(self) -> [u8; FILE_HEADER_BYTES] {
        let audio = if self.audio { FLAG_AUDIO } else { 0 };
        let video = if self.video { FLAG_VIDEO } else { 0 };
        [b'F', b'L', b'V', 1, audio | video, 0, 0, 0, FILE_HEADER_BYTES as u8]
    }
}

/// What stands before each tag's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagHeader {
    /// What the body carries.
    pub kind: Kind,
    /// Bytes of the body, at most [`TAG_BODY_BYTES_MAX`].
    pub body_bytes: u32,
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
}

impl TagHeader {
    /// Reads eleven bytes; the stream id is not looked at, as players and servers disagree on it.
    /// Fails with [`ErrorCode::FlvInvalidTag`] on an encrypted tag or a type that is not audio, video or data.
    pub fn read(bytes: &[u8; TAG_HEADER_BYTES]) -> Result<Self> {
        let [kind, size2, size1, size0, time2, time1, time0, time3, ..] = *bytes;
        if kind & FLAG_FILTER != 0 {
            return Err(Error::new(
                ErrorCode::FlvInvalidTag,
                format!("FLV tag type {kind:#04x} is encrypted"),
            ));
        }
        let Some(kind) = Kind::from_number(kind & 0x1f) else {
            return Err(Error::new(
                ErrorCode::FlvInvalidTag,
                format!("FLV tag type {kind} is none of 8, 9, 18"),
            ));
        };
        Ok(TagHeader {
            kind,
            body_bytes: u32::from_be_bytes([0, size2, size1, size0]),
            timestamp: u32::from_be_bytes([time3, time2, time1, time0]),
        })
    }

    /// The eleven bytes, with stream id 0. Of `body_bytes` the low 24 bits are written.
    pub fn write(self) -> [u8; TAG_HEADER_BYTES] {
        let [_, size2, size1, size0] = self.body_bytes.to_be_bytes();
        let [time2, time1, time0, time3] = timestamp_field(self.timestamp);
        [
            self.kind.number(),
            size2,
            size1,
            size0,
            time2,
            time1,
            time0,
            time3,
            0,
            0,
            0,
        ]
    }
}

/// A timestamp as a tag header keeps it: the low 24 bits, then the high byte.
pub fn timestamp_field(timestamp: u32) -> [u8; 4] {
    let [time3, time2, time1, time0] = timestamp.to_be_bytes();
    [time2, time1, time0, time3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_header_has_the_high_byte_of_time_last() {
        let header = TagHeader {
            kind: Kind::Video,
            body_bytes: 0x01_0203,
            timestamp: 0x0a0b_0c0d,
        };
        let bytes = header.write();
        assert_eq!(bytes, [9, 1, 2, 3, 0x0b, 0x0c, 0x0d, 0x0a, 0, 0, 0]);
        assert_eq!(TagHeader::read(&bytes).unwrap(), header);
        for timestamp in [0, 0xff_ffff, 0x100_0000, u32::MAX] {
            let header = TagHeader { timestamp, ..header };
            assert_eq!(TagHeader::read(&header.write()).unwrap(), header);
        }
    }

    #[test]
    fn file_header_is_that_of_ffmpeg() {
        let bytes = *b"FLV\x01\x05\x00\x00\x00\x09";
        let header = FileHeader::read(&bytes).unwrap();
        assert!(header.audio && header.video);
        assert_eq!(header.write(), bytes);
        let video_only = FileHeader { audio: false, ..header };
        assert_eq!(video_only.write()[4], 1);
    }

    #[test]
    fn foreign_and_encrypted_headers_are_refused() {
        let code = |bytes: &[u8; 9]| FileHeader::read(bytes).unwrap_err().code();
        assert_eq!(code(b"FLX\x01\x05\x00\x00\x00\x09"), ErrorCode::FlvHeader);
        assert_eq!(code(b"FLV\x01\x05\x00\x00\x00\x08"), ErrorCode::FlvHeader);
        for kind in [0, 1, 10, 0x29, 0x12 | 0x20, 31] {
            let error = TagHeader::read(&[kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err();
            assert_eq!(error.code(), ErrorCode::FlvInvalidTag);
        }
    }
}
