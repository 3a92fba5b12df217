//! A file that plays at any time while it is written, also when its writer is killed, and that is a plain one at its end.
//!
//! It grows by fragments. Their samples' places are noted besides; at the end a movie box with all of them is appended,
//! and all that lies between the file type and that becomes the inside of one `mdat`: a box of type `free` in front of the
//! first fragment is just large enough for its header. So nothing is written twice, and players see a file whose movie box
//! comes last.

use super::boxes::{self, Boxes, put_box};
use super::demux::{Demuxer, Sample};
use super::movie;
use super::mux::{Fragment, Muxer, MuxerOptions};
use super::sample_entry::TrackConfig;
use super::tables::SampleTables;
use crate::core::limits::MP4_TABLE_BYTES;
use crate::kernel::buf::Put;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};

/// What a fragment holds unless a keyframe ends it before, milliseconds: so much is lost with a killed writer.
const PART_MS: u32 = 1000;
/// The header of a box with a size of 64 bits.
const LARGE_HEADER_BYTES: usize = 16;

/// Bytes that replace those at an offset of the file.
pub type Patch = (u64, Vec<u8>);

/// What a file is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All samples are told by one movie box, which comes last.
    Plain,
    /// Fragments; nothing is kept in memory for the end.
    Fragments,
}

/// Makes one file from the messages of the live path. What it passes over is told at [`Muxer`].
///
/// Memory: one fragment, and in a plain file the tables: 2 to 3 MB for an hour of 30 pictures a second with B-frames and
/// sound, at most [`MP4_TABLE_BYTES`] and one fragment's.
pub struct Recording {
    layout: Layout,
    muxer: Muxer,
    /// Reads the fragments back; none before the first one.
    demuxer: Option<Demuxer>,
    tables: Vec<SampleTables>,
    /// Bytes of the file so far.
    bytes: u64,
    /// Where the media begins.
    media_at: u64,
    piece: Vec<u8>,
}

impl Recording {
    /// An empty file.
    pub fn new(layout: Layout) -> Self {
        let options = MuxerOptions {
            audio: true,
            video: true,
            part_ms: PART_MS,
            segment_type: false,
        };
        Recording {
            layout,
            muxer: Muxer::new(options),
            demuxer: None,
            tables: Vec::new(),
            bytes: 0,
            media_at: 0,
            piece: Vec::new(),
        }
    }

    /// Learns from a header what its track is.
    ///
    /// # Errors
    /// As [`Muxer::prime`].
    pub fn prime(&mut self, header: &Frame) -> Result<()> {
        self.muxer.prime(header)
    }

    /// Whether this message belongs into another file: its track is coded in another way, it is of a track that the file
    /// does not have, or the tables are full.
    ///
    /// # Errors
    /// As [`Muxer::write`].
    pub fn ends_before(&self, frame: &Frame) -> Result<bool> {
        if self.muxer.changes(frame)? {
            return Ok(true);
        }
        let has_video = self.muxer.tracks().iter().any(TrackConfig::is_video);
        let may_begin = frame.facts.keyframe || (!has_video && frame.kind == Kind::Audio);
        let table_bytes: usize = self.tables.iter().map(SampleTables::bytes).sum();
        Ok(may_begin && table_bytes >= MP4_TABLE_BYTES)
    }

    /// Takes a message and now and then appends to the file.
    ///
    /// # Errors
    /// As [`Muxer::write`]; nothing is appended then.
    pub fn write(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<()> {
        self.piece.clear();
        match self.muxer.write(frame, &mut self.piece)? {
            Some(fragment) => self.put(fragment, out),
            None => Ok(()),
        }
    }

    /// Appends the rest of the file; gives what is to be replaced in it.
    ///
    /// # Errors
    /// [`ErrorCode::Mp4AvccChange`] when the last fragment does not belong to this file.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<Vec<Patch>> {
        self.piece.clear();
        if let Some(fragment) = self.muxer.flush(&mut self.piece) {
            self.put(fragment, out)?;
        }
        if self.demuxer.is_none() || self.layout == Layout::Fragments {
            return Ok(Vec::new());
        }
        let mut header = Vec::with_capacity(LARGE_HEADER_BYTES);
        // A size of 1 says that 64 bits behind the type tell it.
        header.put_u32(1);
        header.put_slice(b"mdat");
        header.put_u64(self.bytes - self.media_at);
        let before = out.len();
        self.put_movie(out);
        self.bytes += (out.len() - before) as u64;
        Ok(vec![(self.media_at, header)])
    }

    /// Whether there is nothing to be played so far.
    pub fn is_empty(&self) -> bool {
        self.demuxer.is_none()
    }

    /// Appends the fragment in `piece`.
    fn put(&mut self, fragment: Fragment, out: &mut Vec<u8>) -> Result<()> {
        if fragment.init != 1 {
            // Whoever asks `ends_before` never comes here.
            return Err(Error::new(
                ErrorCode::Mp4AvccChange,
                "fragment is coded in another way than its file",
            ));
        }
        let before = out.len();
        if self.demuxer.is_none() {
            self.start(out)?;
        }
        let at = self.bytes + (out.len() - before) as u64;
        if self.layout == Layout::Plain
            && let Some(demuxer) = &self.demuxer
        {
            let samples = demuxer.samples(&self.piece).wrap("fragment read back")?;
            note(&mut self.tables, &samples, at + data_offset(&self.piece));
        }
        out.put_slice(&self.piece);
        self.bytes += (out.len() - before) as u64;
        Ok(())
    }

    /// What comes before the first fragment.
    fn start(&mut self, out: &mut Vec<u8>) -> Result<()> {
        put_box(out, b"ftyp", |out| {
            out.put_slice(b"isom");
            out.put_u32(0x200);
            out.put_slice(b"isomiso6mp41");
        });
        self.media_at = out.len() as u64;
        if self.layout == Layout::Plain {
            let room = [0; LARGE_HEADER_BYTES - boxes::HEADER_BYTES];
            put_box(out, b"free", |out| out.put_slice(&room));
        }
        let at = out.len();
        movie::put_init_movie(out, self.muxer.tracks());
        self.demuxer = Some(Demuxer::new(out.get(at..).unwrap_or_default()).wrap("movie box read back")?);
        self.tables = self.muxer.tracks().iter().cloned().map(SampleTables::new).collect();
        Ok(())
    }

    fn put_movie(&mut self, out: &mut Vec<u8>) {
        self.tables.iter_mut().for_each(SampleTables::finish);
        let tables = || self.tables.iter().filter(|tables| !tables.is_empty());
        let start_ms = tables().map(SampleTables::start_ms).min().unwrap_or(0);
        let ends = tables().map(|tables| tables.extent(start_ms).end_ms(tables.track()));
        let end_ms = ends.max().unwrap_or(0);
        put_box(out, b"moov", |out| {
            movie::put_movie_header(out, end_ms);
            for tables in tables() {
                movie::put_track(out, tables.track(), tables.extent(start_ms), |out| tables.put(out));
            }
        });
    }
}

/// Where in a fragment the samples begin.
fn data_offset(fragment: &[u8]) -> u64 {
    let data = Boxes::new(fragment).find(|found| found.kind == *b"mdat");
    data.map_or(0, |data| (data.start + boxes::HEADER_BYTES) as u64)
}

/// Notes the samples of a fragment, which begin at `offset` of the file: those of one track behind those of the other.
fn note(tables: &mut [SampleTables], samples: &[Sample<'_>], mut offset: u64) {
    for chunk in samples.chunk_by(|one, next| one.track == next.track) {
        let track = chunk.first().map_or(0, |sample| sample.track);
        if let Some(tables) = tables.iter_mut().find(|tables| tables.track().track_id() == track) {
            tables.add_chunk(chunk, offset);
        }
        offset += chunk.iter().map(|sample| sample.data.len() as u64).sum::<u64>();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// 322x182, High 1.3, by libx264; behind the head of an FLV tag's body.
    const AVC: &[u8] = &[
        0x17, 0, 0, 0, 0, 0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41,
        0x51, 0x9e, 0x22, 0x6c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0x65,
        0x80, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
    ];
    const AAC: &[u8] = b"\xaf\x00\x12\x10";

    fn header(kind: Kind, body: &'static [u8]) -> Frame {
        Frame::new(kind, 0, Bytes::from_static(body))
    }

    fn picture(number: u32) -> Frame {
        let is_key = number.is_multiple_of(50);
        let head = [if is_key { 0x17 } else { 0x27 }, 1, 0, 0, 80, 0, 0, 0, 5];
        let nal = [if is_key { 0x65 } else { 0x41 }];
        let body = [&head[..], &nal, &number.to_be_bytes()].concat();
        Frame::new(Kind::Video, number * 40, body.into())
    }

    fn sound(number: u32) -> Frame {
        let body = [&[0xaf, 1][..], &number.to_be_bytes()].concat();
        Frame::new(Kind::Audio, 23 + number * 1024 * 10 / 441, body.into())
    }

    fn media(pictures: u32) -> Vec<Frame> {
        let mut frames: Vec<Frame> = (0..pictures).map(picture).collect();
        frames.extend((0..pictures * 40 * 441 / 10_240).map(sound));
        frames.sort_by_key(|frame| frame.timestamp);
        frames
    }

    fn recording(layout: Layout) -> Recording {
        let mut recording = Recording::new(layout);
        recording.prime(&header(Kind::Video, AVC)).unwrap();
        recording.prime(&header(Kind::Audio, AAC)).unwrap();
        recording
    }

    fn finish(recording: &mut Recording, file: &mut Vec<u8>) {
        for (at, bytes) in recording.finish(file).unwrap() {
            file[at as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
        assert_eq!(recording.bytes, file.len() as u64);
    }

    fn inside<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> &'a [u8] {
        path.iter().fold(bytes, |bytes, kind| {
            let found = Boxes::new(bytes).find(|found| found.kind == **kind);
            found.unwrap_or_else(|| panic!("no {}", kind.escape_ascii())).contents
        })
    }

    fn word(bytes: &[u8], at: usize) -> usize {
        u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    }

    /// The coded bytes of a track, found by the tables alone: no run of chunks of equal size is longer than the file.
    fn samples(file: &[u8], moov: &[u8], track: usize) -> Vec<Vec<u8>> {
        let trak = Boxes::new(moov)
            .filter(|found| found.kind == *b"trak")
            .nth(track)
            .unwrap();
        let stbl = inside(trak.contents, &[b"mdia", b"minf", b"stbl"]);
        let (stsc, stsz, stco) = (
            inside(stbl, &[b"stsc"]),
            inside(stbl, &[b"stsz"]),
            inside(stbl, &[b"stco"]),
        );
        let (mut found, mut index) = (Vec::new(), 0);
        for chunk in 0..word(stco, 4) {
            let mut runs = (0..word(stsc, 4)).filter(|run| word(stsc, 8 + run * 12) <= chunk + 1);
            let count = word(stsc, 8 + runs.next_back().unwrap() * 12 + 4);
            let mut at = word(stco, 8 + chunk * 4);
            for _ in 0..count {
                let size = word(stsz, 12 + index * 4);
                found.push(file[at..at + size].to_vec());
                (at, index) = (at + size, index + 1);
            }
        }
        assert_eq!(index, word(stsz, 8));
        found
    }

    #[test]
    fn a_plain_file_has_all_samples_where_it_says() {
        let (mut recording, mut file) = (recording(Layout::Plain), Vec::new());
        assert!(recording.is_empty());
        let frames = media(180);
        for frame in &frames {
            assert!(!recording.ends_before(frame).unwrap());
            recording.write(frame, &mut file).unwrap();
        }
        finish(&mut recording, &mut file);
        let mdat_at = word(&file, 0);
        assert_eq!(file[mdat_at..mdat_at + 8], *b"\0\0\0\x01mdat");
        let size = u64::from_be_bytes(file[mdat_at + 8..mdat_at + 16].try_into().unwrap());
        let moov = inside(&file[mdat_at + size as usize..], &[b"moov"]);
        // Until the end of the sound, milliseconds.
        assert_eq!(word(inside(moov, &[b"mvhd"]), 16), 7220);
        let of = |kind| {
            let of_kind = frames.iter().filter(move |frame| frame.kind == kind);
            of_kind.map(|frame| frame.payload.clone())
        };
        let pictures: Vec<_> = of(Kind::Video).map(|body| body[5..].to_vec()).collect();
        assert_eq!(samples(&file, moov, 0), pictures);
        let sounds: Vec<_> = of(Kind::Audio).map(|body| body[2..].to_vec()).collect();
        assert_eq!(samples(&file, moov, 1), sounds);
        let trak = Boxes::new(moov).filter(|found| found.kind == *b"trak").nth(1).unwrap();
        let edits = inside(trak.contents, &[b"edts", b"elst"]);
        assert_eq!((word(edits, 4), word(edits, 8)), (2, 22), "sound begins so much later");
    }

    #[test]
    fn a_file_plays_before_its_end() {
        for layout in [Layout::Plain, Layout::Fragments] {
            let (mut recording, mut file) = (recording(layout), Vec::new());
            media(180)
                .iter()
                .for_each(|frame| recording.write(frame, &mut file).unwrap());
            let demuxer = Demuxer::new(&file).unwrap();
            let pictures = |file: &[u8]| {
                let samples = demuxer.samples(file).unwrap();
                samples.iter().filter(|sample| sample.track == 1).count()
            };
            assert!((155..180).contains(&pictures(&file)), "all but the last second");
            if layout == Layout::Fragments {
                finish(&mut recording, &mut file);
                assert_eq!(pictures(&file), 180);
                assert!(recording.tables.iter().all(SampleTables::is_empty));
            }
        }
    }

    #[test]
    fn another_format_belongs_into_another_file() {
        let other_sound = header(Kind::Audio, b"\xaf\x00\x11\x90");
        let (mut recording, mut file) = (recording(Layout::Plain), Vec::new());
        assert!(!recording.ends_before(&other_sound).unwrap(), "nothing is written");
        media(60)
            .iter()
            .for_each(|frame| recording.write(frame, &mut file).unwrap());
        for same in [
            header(Kind::Video, AVC),
            header(Kind::Audio, AAC),
            picture(50),
            sound(9),
        ] {
            assert!(!recording.ends_before(&same).unwrap());
        }
        assert!(recording.ends_before(&other_sound).unwrap());
        // MP3 instead of AAC.
        let mp3 = header(Kind::Audio, b"\x2f\xff\xfb\x90\x64\0\0\0");
        assert!(recording.ends_before(&mp3).unwrap());
        let mut other_pictures = AVC.to_vec();
        other_pictures[6] = 0x4d;
        let other_pictures = Frame::new(Kind::Video, 0, other_pictures.into());
        assert!(recording.ends_before(&other_pictures).unwrap());
        // Who does not ask loses what does not fit, and nothing else.
        let bytes = file.len();
        recording.write(&other_sound, &mut file).unwrap();
        for frame in media(200).iter().skip(150) {
            let _ = recording.write(frame, &mut file);
        }
        assert!(recording.finish(&mut file).is_err());
        assert!(file.len() >= bytes);
    }

    #[test]
    fn without_media_there_is_no_file() {
        let (mut recording, mut file) = (recording(Layout::Plain), Vec::new());
        recording.write(&picture(1), &mut file).unwrap();
        assert!(recording.finish(&mut file).unwrap().is_empty());
        assert!(file.is_empty() && recording.is_empty());
    }
}
