//! Where an FLV file ends and what it tells of itself, for one who goes on writing it.

use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};

use super::mux::{FILE_START_BYTES, TAG_OVERHEAD_BYTES};
use super::tag::{FILE_HEADER_BYTES, FileHeader, Kind, PREVIOUS_TAG_SIZE_BYTES, TAG_HEADER_BYTES, TagHeader};

/// Script data beyond this is not looked at, bytes.
const METADATA_BYTES: u32 = 1 << 20;
/// Read at a time when all tags are gone over, bytes.
const SCAN_BYTES: usize = 256 << 10;

/// An FLV file that can be continued.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tail {
    /// Bytes up to the end of the last whole tag; 0 for an empty file.
    pub end: u64,
    /// Timestamp of the last tag of sound or pictures, milliseconds.
    pub timestamp: u32,
    /// Where the body of the first tag lies, and the body, if that is script data.
    pub metadata: Option<(u64, Vec<u8>)>,
    /// The file header tells sound.
    pub audio: bool,
    /// The file header tells pictures.
    pub video: bool,
}

/// Looks at a file from its beginning. Usually the last tag is whole; where a writer was killed, all tags are gone over.
///
/// # Errors
/// Those of reading; [`ErrorKind::InvalidData`] on a file that is neither empty nor FLV.
pub fn look<F: Read + Seek>(file: &mut F) -> io::Result<Tail> {
    let length = file.seek(SeekFrom::End(0))?;
    if length == 0 {
        return Ok(Tail::default());
    }
    file.rewind()?;
    let start = read_array::<FILE_HEADER_BYTES>(file)?;
    let header = FileHeader::read(&start).map_err(|error| invalid(error.summary()))?;
    if header.data_offset as usize != FILE_HEADER_BYTES {
        return Err(invalid(format!(
            "FLV file header of {} bytes is not known",
            header.data_offset
        )));
    }
    let mut tail = Tail {
        end: (FILE_START_BYTES as u64).min(length),
        audio: header.audio,
        video: header.video,
        ..Tail::default()
    };
    if length < FILE_START_BYTES as u64 {
        // Killed before the first tag: all is written anew.
        return Ok(Tail::default());
    }
    tail.metadata = read_metadata(file, length)?;
    match last_tag(file, length)? {
        Some(header) => (tail.end, tail.timestamp) = (length, header.timestamp),
        None => scan(file, length, &mut tail)?,
    }
    Ok(tail)
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text.into())
}

fn read_array<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)
        .map_err(|_| invalid(format!("FLV file has less than {N} bytes more")))?;
    Ok(bytes)
}

fn read_metadata<F: Read + Seek>(file: &mut F, length: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let at = (FILE_START_BYTES + TAG_HEADER_BYTES) as u64;
    if length < at {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(FILE_START_BYTES as u64))?;
    let Ok(header) = TagHeader::read(&read_array(file)?) else {
        return Ok(None);
    };
    let is_whole = at + u64::from(header.body_bytes) <= length;
    if header.kind != Kind::Data || header.body_bytes > METADATA_BYTES || !is_whole {
        return Ok(None);
    }
    let mut body = vec![0; header.body_bytes as usize];
    file.read_exact(&mut body)?;
    Ok(Some((at, body)))
}

/// The tag that the file ends with, if it ends with a whole one of sound or pictures.
fn last_tag<F: Read + Seek>(file: &mut F, length: u64) -> io::Result<Option<TagHeader>> {
    file.seek(SeekFrom::Start(length - PREVIOUS_TAG_SIZE_BYTES as u64))?;
    let size = u64::from(u32::from_be_bytes(read_array(file)?));
    let behind_start = length - FILE_START_BYTES as u64;
    if size + (PREVIOUS_TAG_SIZE_BYTES as u64) > behind_start || size < TAG_HEADER_BYTES as u64 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(length - PREVIOUS_TAG_SIZE_BYTES as u64 - size))?;
    let header = TagHeader::read(&read_array(file)?).ok();
    Ok(header.filter(|header| {
        let is_media = matches!(header.kind, Kind::Audio | Kind::Video);
        is_media && u64::from(header.body_bytes) + TAG_HEADER_BYTES as u64 == size
    }))
}

fn scan<F: Read + Seek>(file: &mut F, length: u64, tail: &mut Tail) -> io::Result<()> {
    file.seek(SeekFrom::Start(tail.end))?;
    let mut reader = BufReader::with_capacity(SCAN_BYTES, file);
    while tail.end + TAG_OVERHEAD_BYTES as u64 <= length {
        let Ok(header) = TagHeader::read(&read_array(&mut reader)?) else {
            break;
        };
        let next = tail.end + TAG_OVERHEAD_BYTES as u64 + u64::from(header.body_bytes);
        if next > length {
            break;
        }
        reader.seek_relative(i64::from(header.body_bytes) + PREVIOUS_TAG_SIZE_BYTES as i64)?;
        tail.end = next;
        if header.kind != Kind::Data {
            tail.timestamp = header.timestamp;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::kernel::flv::mux::{file_start, put_tag};

    /// A file, and where each of its tags ends.
    fn file() -> (Vec<u8>, Vec<(usize, u32)>) {
        let mut out = file_start(true, false).to_vec();
        let mut ends = vec![(out.len(), 0)];
        put_tag(&mut out, Kind::Data, 0, b"\x02\x00\x0aonMetaData").unwrap();
        ends.push((out.len(), 0));
        for (time, bytes) in [(10, 5), (33, 300), (0x0123_4567, 20)] {
            put_tag(&mut out, Kind::Video, time, &vec![0x27; bytes]).unwrap();
            ends.push((out.len(), time));
        }
        (out, ends)
    }

    #[test]
    fn a_file_is_continued_behind_its_last_whole_tag() {
        let (bytes, ends) = file();
        for cut in FILE_START_BYTES..=bytes.len() {
            let tail = look(&mut Cursor::new(&bytes[..cut])).unwrap();
            let (end, time) = *ends.iter().rev().find(|(end, _)| *end <= cut).unwrap();
            assert_eq!((tail.end, tail.timestamp), (end as u64, time), "{cut} bytes");
            assert!(tail.audio && !tail.video);
            let has_metadata = cut + PREVIOUS_TAG_SIZE_BYTES >= ends[1].0;
            assert_eq!(tail.metadata.is_some(), has_metadata, "{cut} bytes");
        }
        let (at, body) = look(&mut Cursor::new(&bytes)).unwrap().metadata.unwrap();
        assert_eq!((at, &body[..]), (24, &b"\x02\x00\x0aonMetaData"[..]));
    }

    #[test]
    fn empty_files_begin_anew_and_others_are_refused() {
        assert_eq!(look(&mut Cursor::new(b"")).unwrap(), Tail::default());
        let (bytes, _) = file();
        assert_eq!(look(&mut Cursor::new(&bytes[..12])).unwrap(), Tail::default());
        for other in [
            &b"FLV"[..],
            b"not an FLV file at all",
            b"FLV\x01\x05\0\0\0\x0a\0\0\0\0\0",
        ] {
            let error = look(&mut Cursor::new(other)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
    }

    #[test]
    fn changed_files_never_panic() {
        let (bytes, _) = file();
        let mut random = fastrand::Rng::with_seed(40);
        for _ in 0..4000 {
            let mut changed = bytes[..random.usize(..=bytes.len())].to_vec();
            for _ in 0..random.usize(..4) {
                if !changed.is_empty() {
                    let at = random.usize(..changed.len());
                    changed[at] = random.u8(..);
                }
            }
            if let Ok(tail) = look(&mut Cursor::new(&changed)) {
                assert!(tail.end <= changed.len() as u64);
            }
        }
    }
}
