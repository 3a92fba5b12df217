//! Recordings as FLV: tags as they come; what only the end tells is put into the metadata then.

use super::headers::Headers;
use super::writer::{Patch, Writer};
use crate::app::cli;
use crate::kernel::error::Result;
use crate::kernel::flv::mux::{file_start, put_tag};
use crate::kernel::flv::tag::{FILE_HEADER_BYTES, FileHeader, Kind, TAG_HEADER_BYTES};
use crate::kernel::flv::tail::Tail;
use crate::kernel::frame::Frame;
use crate::protocol::rtmp::metadata::Metadata;

/// Where metadata keeps a number: behind its name and the type of its value.
const DURATION: &[u8] = b"\x00\x08duration\x00";
const FILE_SIZE: &[u8] = b"\x00\x08filesize\x00";

/// Writes one FLV file.
#[derive(Debug, Default)]
pub struct FlvWriter {
    /// Bytes of the file so far.
    bytes: u64,
    audio: bool,
    video: bool,
    /// Where the metadata has the numbers that are filled in at the end.
    duration_at: Option<u64>,
    file_size_at: Option<u64>,
    /// Of the first and the last message, milliseconds.
    times: Option<(u32, u32)>,
}

impl FlvWriter {
    /// Goes on with a file.
    pub fn continuing(tail: Tail) -> Self {
        let mut writer = FlvWriter {
            bytes: tail.end,
            audio: tail.audio,
            video: tail.video,
            ..FlvWriter::default()
        };
        if tail.end > 0 {
            writer.times = Some((0, tail.timestamp));
        }
        if let Some((at, body)) = tail.metadata {
            writer.find_places(at, &body);
        }
        writer
    }

    fn put(&mut self, kind: Kind, timestamp: u32, body: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        put_tag(out, kind, timestamp, body)?;
        self.bytes += (out.len() - before) as u64;
        Ok(())
    }

    fn put_metadata(&mut self, metadata: &Frame, out: &mut Vec<u8>) -> Result<()> {
        // What cannot be read was not let in.
        let Ok(Some(mut metadata)) = Metadata::parse(&metadata.payload) else {
            return Ok(());
        };
        for name in ["service", "filesize", "duration"] {
            metadata.properties.remove(name);
        }
        // Last, where a publisher's own values cannot be taken for them.
        let properties = metadata.properties.with("service", cli::SIGNATURE);
        let metadata = Metadata::new(properties.with("filesize", 0.0).with("duration", 0.0));
        let (at, body) = (self.bytes + TAG_HEADER_BYTES as u64, metadata.encode());
        self.put(Kind::Data, 0, &body, out)?;
        self.find_places(at, &body);
        Ok(())
    }

    fn find_places(&mut self, at: u64, body: &[u8]) {
        let place = |name: &[u8]| {
            let found = body.windows(name.len()).rposition(|window| window == name)? + name.len();
            (found + size_of::<f64>() <= body.len()).then_some(at + found as u64)
        };
        (self.duration_at, self.file_size_at) = (place(DURATION), place(FILE_SIZE));
    }
}

impl Writer for FlvWriter {
    fn begin(&mut self, headers: &Headers, timestamp: u32, out: &mut Vec<u8>) -> Result<()> {
        if self.bytes == 0 {
            // Both tracks for the time being, as players look for what the header tells.
            out.extend_from_slice(&file_start(true, true));
            self.bytes = out.len() as u64;
            if let Some(metadata) = headers.metadata() {
                self.put_metadata(metadata, out)?;
            }
        }
        headers
            .tracks(timestamp)
            .try_for_each(|header| self.write(&header, out))
    }

    fn write(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<()> {
        self.put(frame.kind, frame.timestamp, &frame.payload, out)?;
        self.audio |= frame.kind == Kind::Audio;
        self.video |= frame.kind == Kind::Video;
        let (first, last) = self.times.unwrap_or((frame.timestamp, frame.timestamp));
        // A step back by jitter does not make the file shorter.
        let is_later = frame.timestamp.wrapping_sub(last) as i32 > 0;
        self.times = Some((first, if is_later { frame.timestamp } else { last }));
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<Vec<Patch>> {
        let header = FileHeader {
            audio: self.audio,
            video: self.video,
            data_offset: FILE_HEADER_BYTES as u32,
        };
        let (first, last) = self.times.unwrap_or_default();
        let seconds = f64::from(last.wrapping_sub(first)) / 1000.0;
        let number = |at: Option<u64>, value: f64| at.map(|at| (at, value.to_be_bytes().to_vec()));
        let mut patches = vec![(0, header.write().to_vec())];
        patches.extend(number(self.duration_at, seconds));
        patches.extend(number(self.file_size_at, self.bytes as f64));
        Ok(patches)
    }

    fn is_empty(&self) -> bool {
        self.times.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::kernel::flv::demux::{Demuxer, Item};
    use crate::kernel::flv::tail;
    use crate::protocol::amf0::Object;

    fn headers(title: &str) -> Headers {
        let properties = Object::new()
            .with("duration", 5.0)
            .with("width", 320.0)
            .with("title", title)
            .with("service", "of another");
        let body = Metadata::new(properties).encode();
        let mut headers = Headers::default();
        headers.see_data(&Frame::new(Kind::Data, 0, body.into()));
        headers.see(&Frame::new(Kind::Video, 0, b"\x17\x00\0\0\0\x01".to_vec().into()));
        headers
    }

    fn picture(time: u32) -> Frame {
        Frame::new(Kind::Video, time, b"\x17\x01\0\0\0\0\0\0\x01\x65".to_vec().into())
    }

    fn finish(writer: &mut FlvWriter, file: &mut [u8]) {
        for (at, bytes) in writer.finish(&mut Vec::new()).unwrap() {
            file[at as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
    }

    /// Flags of the header, the metadata, and the times of all other tags.
    fn read(file: &[u8]) -> (u8, Metadata, Vec<u32>) {
        let mut demuxer = Demuxer::new();
        demuxer.feed(file);
        let (mut metadata, mut times) = (None, Vec::new());
        while let Some(item) = demuxer.pull().unwrap() {
            let Item::Tag(tag) = item else { continue };
            match tag.kind {
                Kind::Data => metadata = Metadata::parse(&tag.body).unwrap(),
                _ => times.push(tag.timestamp),
            }
        }
        (file[4], metadata.unwrap(), times)
    }

    #[test]
    fn the_end_fills_the_metadata_in() {
        // A value that looks like the places that are filled in.
        let hostile = "\0\u{8}duration\0\0\0\0\0\0\0\0\0\0\u{8}filesize\0........";
        let (mut writer, mut file) = (FlvWriter::default(), Vec::new());
        writer.begin(&headers(hostile), 3, &mut file).unwrap();
        for time in [3, 43, 1203, 1200] {
            writer.write(&picture(time), &mut file).unwrap();
        }
        assert!(!writer.is_empty());
        let bytes = file.len();
        finish(&mut writer, &mut file);
        let (flags, metadata, times) = read(&file);
        assert_eq!((flags, times), (1, vec![3, 3, 43, 1203, 1200]));
        let properties = metadata.properties;
        assert_eq!(properties.number("duration"), Some(1.2));
        assert_eq!(properties.number("filesize"), Some(bytes as f64));
        assert_eq!(properties.string("service"), Some(cli::SIGNATURE));
        assert_eq!(properties.string("title"), Some(hostile));
        assert_eq!(properties.number("width"), Some(320.0));
    }

    #[test]
    fn without_metadata_there_is_none() {
        let (mut writer, mut file) = (FlvWriter::default(), Vec::new());
        writer.begin(&Headers::default(), 0, &mut file).unwrap();
        assert!(writer.is_empty());
        let sound = Frame::new(Kind::Audio, 0, b"\xaf\x01\x21".to_vec().into());
        writer.write(&sound, &mut file).unwrap();
        finish(&mut writer, &mut file);
        assert_eq!((file[4], file.len()), (4, 13 + 11 + 3 + 4));
    }

    #[test]
    fn a_file_that_goes_on_tells_its_whole_length() {
        let (mut writer, mut file) = (FlvWriter::default(), Vec::new());
        writer.begin(&headers("a"), 0, &mut file).unwrap();
        writer.write(&picture(1000), &mut file).unwrap();
        finish(&mut writer, &mut file);
        let tail = tail::look(&mut Cursor::new(&file)).unwrap();
        assert_eq!((tail.end, tail.timestamp), (file.len() as u64, 1000));
        let mut writer = FlvWriter::continuing(tail);
        writer.begin(&headers("b"), 1010, &mut file).unwrap();
        writer.write(&picture(2500), &mut file).unwrap();
        finish(&mut writer, &mut file);
        let (_, metadata, times) = read(&file);
        assert_eq!(times, [0, 1000, 1010, 2500]);
        assert_eq!(metadata.properties.string("title"), Some("a"));
        assert_eq!(metadata.properties.number("duration"), Some(2.5));
        assert_eq!(metadata.properties.number("filesize"), Some(file.len() as f64));
    }
}
