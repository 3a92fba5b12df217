//! Reads fragments back: the samples of a fragmented file with their times. It understands what our muxer writes, and
//! fragments of others that are made alike (movie fragments relative to `moof`, times in `tfdt`).

use super::boxes::{BoxAt, Boxes};
use super::movie::NON_SYNC_FLAGS;
use crate::core::limits::MP4_FRAGMENT_SAMPLES;
use crate::kernel::buf::Reader;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// sample_is_non_sync_sample.
const NON_SYNC: u32 = NON_SYNC_FLAGS & 0x1_0000;

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    /// track_ID.
    pub track: u32,
    /// Decoding time, ticks of the track's timescale.
    pub time: u64,
    /// Ticks.
    pub duration: u32,
    /// Presentation minus decoding time, ticks.
    pub composition: i32,
    /// Decoding can start with it.
    pub sync: bool,
    /// The coded bytes.
    pub data: &'a [u8],
}

/// What an initialisation segment tells of samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demuxer {
    tracks: Vec<Defaults>,
}

/// Of one track: its number, duration, size and flags of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Defaults {
    track: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Demuxer {
    /// Reads an initialisation segment; what follows it does not matter. Fails with [`ErrorCode::Mp4BoxMoov`].
    pub fn new(init: &[u8]) -> Result<Self> {
        let moov = find(init, b"moov", ErrorCode::Mp4BoxMoov)?;
        let mvex = find(moov.contents, b"mvex", ErrorCode::Mp4BoxMoov)?;
        let mut tracks = Vec::new();
        for trex in Boxes::new(mvex.contents)
            .filter(|found| found.kind == *b"trex")
            .take(16)
        {
            let mut r = Reader::new(trex.contents, ErrorCode::Mp4BoxMoov);
            r.skip(4, "version, flags")?;
            let track = r.u32("track_ID")?;
            r.skip(4, "default_sample_description_index")?;
            tracks.push(Defaults {
                track,
                duration: r.u32("default_sample_duration")?,
                size: r.u32("default_sample_size")?,
                flags: r.u32("default_sample_flags")?,
            });
        }
        Ok(Demuxer { tracks })
    }

    /// The numbers of the tracks.
    pub fn tracks(&self) -> impl Iterator<Item = u32> {
        self.tracks.iter().map(|track| track.track)
    }

    /// All samples of the fragments in some bytes, in their order. Fails with [`ErrorCode::Mp4BoxNoMoof`] on fragments
    /// that are broken or of other tracks, with [`ErrorCode::Mp4BoxMdat`] on samples beyond the end.
    pub fn samples<'a>(&self, bytes: &'a [u8]) -> Result<Vec<Sample<'a>>> {
        let mut samples = Vec::new();
        for moof in Boxes::new(bytes).filter(|found| found.kind == *b"moof") {
            for traf in Boxes::new(moof.contents).filter(|found| found.kind == *b"traf") {
                self.read_track(bytes, moof.start, traf.contents, &mut samples)?;
            }
        }
        Ok(samples)
    }

    fn read_track<'a>(
        &self,
        bytes: &'a [u8],
        moof_at: usize,
        traf: &[u8],
        samples: &mut Vec<Sample<'a>>,
    ) -> Result<()> {
        let header = find(traf, b"tfhd", ErrorCode::Mp4BoxNoMoof)?;
        let defaults = self.read_header(header.contents)?;
        let time = find(traf, b"tfdt", ErrorCode::Mp4BoxNoMoof)?;
        let mut r = Reader::new(time.contents, ErrorCode::Mp4BoxNoMoof);
        let version = r.u8("version")?;
        r.skip(3, "flags")?;
        let mut time = match version {
            0 => r.u32("baseMediaDecodeTime")?.into(),
            _ => r.u64("baseMediaDecodeTime")?,
        };
        for run in Boxes::new(traf).filter(|found| found.kind == *b"trun") {
            time = read_run(bytes, moof_at, run.contents, (defaults, time), samples)?;
        }
        Ok(())
    }

    fn read_header(&self, tfhd: &[u8]) -> Result<Defaults> {
        let mut r = Reader::new(tfhd, ErrorCode::Mp4BoxNoMoof);
        r.skip(1, "version")?;
        let flags = r.u24("flags")?;
        let track = r.u32("track_ID")?;
        let known = self.tracks.iter().find(|known| known.track == track);
        let mut defaults = *known.ok_or_else(|| {
            let text = format!("fragment is of track {track}, which the file does not have");
            Error::new(ErrorCode::Mp4BoxNoMoof, text)
        })?;
        if flags & 0x1 != 0 {
            return Err(Error::new(ErrorCode::Mp4BoxNoMoof, "fragment has a base_data_offset"));
        }
        if flags & 0x2 != 0 {
            r.skip(4, "sample_description_index")?;
        }
        for (flag, field) in [
            (0x8, &mut defaults.duration),
            (0x10, &mut defaults.size),
            (0x20, &mut defaults.flags),
        ] {
            if flags & flag != 0 {
                *field = r.u32("default of samples")?;
            }
        }
        Ok(defaults)
    }
}

/// Gives the time behind the last sample.
fn read_run<'a>(
    bytes: &'a [u8],
    moof_at: usize,
    trun: &[u8],
    (defaults, start): (Defaults, u64),
    samples: &mut Vec<Sample<'a>>,
) -> Result<u64> {
    let mut r = Reader::new(trun, ErrorCode::Mp4BoxNoMoof);
    r.skip(1, "version")?;
    let flags = r.u24("flags")?;
    let count = r.u32("sample_count")?;
    if count as usize > MP4_FRAGMENT_SAMPLES {
        let text = format!("fragment of {count} samples, at most {MP4_FRAGMENT_SAMPLES} are read");
        return Err(Error::new(ErrorCode::Mp4BoxNoMoof, text));
    }
    let optional = |r: &mut Reader<'_>, flag: u32, default: u32| match flags & flag {
        0 => Ok(default),
        _ => r.u32("field of trun"),
    };
    let offset = optional(&mut r, 0x1, 0)?;
    let mut first_flags = Some(optional(&mut r, 0x4, defaults.flags)?);
    let mut time = start;
    let mut at = moof_at.saturating_add(offset as usize);
    for _ in 0..count {
        let duration = optional(&mut r, 0x100, defaults.duration)?;
        let size = optional(&mut r, 0x200, defaults.size)? as usize;
        let default_flags = first_flags.take().unwrap_or(defaults.flags);
        let sample_flags = optional(&mut r, 0x400, default_flags)?;
        let composition = optional(&mut r, 0x800, 0)? as i32;
        let data = bytes.get(at..).and_then(|rest| rest.get(..size)).ok_or_else(|| {
            let text = format!(
                "sample of {size} bytes at {at} goes beyond the {} there are",
                bytes.len()
            );
            Error::new(ErrorCode::Mp4BoxMdat, text)
        })?;
        samples.push(Sample {
            track: defaults.track,
            time,
            duration,
            composition,
            sync: sample_flags & NON_SYNC == 0,
            data,
        });
        time = time.saturating_add(duration.into());
        at += size;
    }
    Ok(time)
}

fn find<'a>(bytes: &'a [u8], kind: &[u8; 4], code: ErrorCode) -> Result<BoxAt<'a>> {
    Boxes::new(bytes).find(|found| found.kind == *kind).ok_or_else(|| {
        let kind = kind.escape_ascii();
        Error::new(code, format!("{} bytes of boxes have no {kind}", bytes.len()))
    })
}
