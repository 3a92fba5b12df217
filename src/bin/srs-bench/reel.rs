//! The media that publishers send round and round: a file's or a synthetic stream.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use srs_may::kernel::error::{Error, IoWrap, Result, Wrap};
use srs_may::kernel::error_code::ErrorCode;
use srs_may::kernel::flv::demux::{Demuxer, Item};
use srs_may::kernel::frame::{Codec, Frame, Kind, VideoCodec};

use crate::stamp::{self, CHECK, Stamp};
use crate::synthetic::{self, Shape};

/// The largest file that is held, bytes.
const FILE_BYTES: u64 = 1 << 30;
/// How long a frame is taken to last where the file does not tell, at its end.
const LAST_FRAME: Duration = Duration::from_millis(40);

/// Where the media comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Film {
    /// Made here.
    Synthetic(Shape),
    /// An FLV file.
    File(PathBuf),
}

/// One frame of a round.
#[derive(Clone, Debug)]
pub struct Shot {
    /// Its timestamp counts from the start of the round.
    pub frame: Frame,
    /// Where a stamp goes; `None` for what takes none.
    pub stamp_at: Option<usize>,
    /// [`CHECK`] of what a player checks: the picture behind its stamp, or the sound.
    pub digest: u32,
}

/// Media ready to be sent.
#[derive(Clone, Debug)]
pub struct Reel {
    /// Metadata and sequence headers, sent once.
    pub headers: Vec<Frame>,
    /// Sent again and again; at least one.
    pub shots: Vec<Shot>,
    /// What each round lasts.
    pub duration: Duration,
}

impl Reel {
    /// Loads it; blocks for a file.
    ///
    /// # Errors
    /// [`ErrorCode::FileOpen`] or that of the FLV; [`ErrorCode::FlvInvalidTag`] if there is no media in it.
    pub fn load(film: &Film) -> Result<Self> {
        match film {
            Film::Synthetic(shape) => {
                let made = synthetic::make(*shape);
                Ok(Reel {
                    headers: made.headers,
                    shots: made.frames.into_iter().map(Shot::new).collect(),
                    duration: made.duration,
                })
            }
            Film::File(path) => Self::read(path).wrap_with(|| format!("input {}", path.display())),
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let size = fs::metadata(path).map(|file| file.len());
        let size = size.io_wrap(ErrorCode::FileOpen, || "open".to_owned())?;
        if size > FILE_BYTES {
            let text = format!("{size} bytes are more than the {FILE_BYTES} that are held");
            return Err(Error::new(ErrorCode::FileOpen, text));
        }
        let content = fs::read(path).io_wrap(ErrorCode::FileRead, || "read".to_owned())?;
        Self::of_flv(&content)
    }

    fn of_flv(content: &[u8]) -> Result<Self> {
        let mut demuxer = Demuxer::new();
        demuxer.feed(content);
        let (mut headers, mut frames) = (Vec::new(), Vec::new());
        while let Some(item) = demuxer.pull()? {
            let Item::Tag(tag) = item else { continue };
            let frame = Frame::new(tag.kind, tag.timestamp, tag.body);
            let is_header = frame.facts.sequence_header || frame.kind == Kind::Data;
            // Headers that come again later in a file belong where they stand.
            if is_header && frames.is_empty() {
                headers.push(Frame { timestamp: 0, ..frame });
            } else if frame.kind != Kind::Data {
                frames.push(frame);
            }
        }
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else {
            return Err(Error::new(ErrorCode::FlvInvalidTag, "there is no media in it"));
        };
        let start = first.timestamp;
        let duration = Duration::from_millis(last.timestamp.saturating_sub(start).into()) + LAST_FRAME;
        for frame in &mut frames {
            frame.timestamp = frame.timestamp.saturating_sub(start);
        }
        Ok(Reel {
            headers,
            shots: frames.into_iter().map(Shot::new).collect(),
            duration,
        })
    }
}

impl Shot {
    fn new(frame: Frame) -> Self {
        let is_picture = frame.facts.coded && frame.facts.codec == Some(Codec::Video(VideoCodec::H264));
        let stamp_at = if is_picture { stamp::place(&frame.payload) } else { None };
        let checked = match (frame.kind, stamp_at) {
            (Kind::Audio, _) if frame.facts.coded => &frame.payload[..],
            (_, Some(at)) => frame.payload.get(at..).unwrap_or_default(),
            _ => &[],
        };
        Shot {
            digest: CHECK.checksum(checked),
            stamp_at,
            frame,
        }
    }

    /// Whether it counts as a frame of sound.
    pub fn is_sound(&self) -> bool {
        self.frame.kind == Kind::Audio && self.frame.facts.coded
    }

    /// The payload with a stamp in it.
    pub fn stamped(&self, at: usize, stamp: &Stamp) -> Bytes {
        let (head, tail) = self.frame.payload.split_at(at.min(self.frame.payload.len()));
        let mut out = Vec::with_capacity(self.frame.payload.len() + 4 + stamp::NAL_BYTES);
        out.extend_from_slice(head);
        stamp.put(&mut out);
        out.extend_from_slice(tail);
        out.into()
    }
}
