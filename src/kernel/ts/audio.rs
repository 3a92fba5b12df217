//! Sound as an elementary stream: AAC in ADTS frames, MPEG audio as it is, Opus behind control headers; and the groups of
//! frames that share a PES packet.

use super::clock::{Span, TICKS_PER_MS};
use super::pes::AUDIO_PAYLOAD_BYTES_MAX;
use super::psi::StreamType;
use crate::kernel::codec::aac::{self, AudioSpecificConfig, adts};
use crate::kernel::codec::opus::{self, Mapping, OpusHead};
use crate::kernel::codec::{AudioCodec, mp3};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// How a stream's messages become frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFormat {
    /// AAC of this configuration.
    Aac(AudioSpecificConfig),
    /// MPEG audio, which tells everything in its frames.
    Mp3,
    /// Opus with this many channels, 1 to 8.
    Opus(u8),
}

impl AudioFormat {
    /// Reads the payload of a sequence header. None for a codec that we do not put into a transport stream. Fails with
    /// [`ErrorCode::HlsDecode`], and with [`ErrorCode::AacAdtsHeader`] on AAC that ADTS cannot tell.
    pub fn parse(codec: AudioCodec, header: &[u8]) -> Result<Option<Self>> {
        match codec {
            AudioCodec::Aac => {
                let config = AudioSpecificConfig::parse(header).wrap("AAC sequence header for TS")?;
                adts::write_header(&config, 0).wrap("AAC sequence header for TS")?;
                Ok(Some(AudioFormat::Aac(config)))
            }
            AudioCodec::Opus => {
                let head = OpusHead::parse(header).wrap("Opus sequence header for TS")?;
                match head.mapping {
                    Mapping::Single | Mapping::Table { family: 1, .. } if head.channels <= 8 => {
                        Ok(Some(AudioFormat::Opus(head.channels)))
                    }
                    _ => Err(Error::new(
                        ErrorCode::HlsDecode,
                        format!("Opus of {} channels has a mapping that TS cannot tell", head.channels),
                    )),
                }
            }
            _ => Ok(Self::without_header(codec)),
        }
    }

    /// The format of a codec that comes without a sequence header; Opus is stereo then.
    pub fn without_header(codec: AudioCodec) -> Option<Self> {
        match codec {
            AudioCodec::Mp3 => Some(AudioFormat::Mp3),
            AudioCodec::Opus => Some(AudioFormat::Opus(2)),
            _ => None,
        }
    }

    /// How the program map tells it.
    pub fn stream_type(&self) -> StreamType {
        match self {
            AudioFormat::Aac(_) => StreamType::Aac,
            AudioFormat::Mp3 => StreamType::Mp3,
            AudioFormat::Opus(channels) => StreamType::Opus(*channels),
        }
    }

    /// Whether it is for messages of this codec.
    pub fn is_of(&self, codec: AudioCodec) -> bool {
        let own = match self {
            AudioFormat::Aac(_) => AudioCodec::Aac,
            AudioFormat::Mp3 => AudioCodec::Mp3,
            AudioFormat::Opus(_) => AudioCodec::Opus,
        };
        own == codec
    }

    /// How long the payload of a coded message plays. Fails with [`ErrorCode::Mp3StreamDecode`] or
    /// [`ErrorCode::HlsDecode`] on what is no frame.
    pub fn span(&self, payload: &[u8]) -> Result<Span> {
        match self {
            AudioFormat::Aac(config) => Ok(Span {
                samples: aac::FRAME_SAMPLES,
                sample_rate: config.sample_rate,
            }),
            AudioFormat::Mp3 => mp3_span(payload),
            AudioFormat::Opus(_) => {
                let samples = opus::packet_samples(payload).ok_or_else(|| {
                    let start = &payload[..payload.len().min(2)];
                    Error::new(
                        ErrorCode::HlsDecode,
                        format!("Opus packet starts with {start:02x?}, which is no length"),
                    )
                })?;
                Ok(Span {
                    samples,
                    sample_rate: opus::SAMPLE_RATE,
                })
            }
        }
    }

    /// Appends the payload of a coded message. Fails with [`ErrorCode::AacAdtsHeader`] on AAC above 8 KB, and with
    /// [`ErrorCode::HlsDecode`] on what does not fit into a PES packet; nothing is appended then.
    pub fn put(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<()> {
        // The control header of Opus has a byte for each 255 of its length.
        let header_bytes = 9 + payload.len() / 255;
        if payload.len().saturating_add(header_bytes) > AUDIO_PAYLOAD_BYTES_MAX {
            return Err(Error::new(
                ErrorCode::HlsDecode,
                format!(
                    "audio message of {} bytes does not fit into a PES packet",
                    payload.len()
                ),
            ));
        }
        match self {
            AudioFormat::Aac(config) => out.extend(adts::write_header(config, payload.len())?),
            AudioFormat::Mp3 => {}
            AudioFormat::Opus(_) => {
                // control_header_prefix 0x3ff in eleven bits, no trimming, no extension; au_size.
                out.extend([0x7f, 0xe0]);
                out.resize(out.len() + payload.len() / 255, 0xff);
                out.push((payload.len() % 255) as u8);
            }
        }
        out.extend_from_slice(payload);
        Ok(())
    }
}

/// Over all frames of a message.
fn mp3_span(payload: &[u8]) -> Result<Span> {
    let first = mp3::FrameHeader::parse(payload).wrap("MP3 message for TS")?;
    Ok(Span {
        samples: first.samples_of_message(payload),
        sample_rate: first.sample_rate,
    })
}

/// Frames that wait to share a PES packet, whose time stamp is that of the first one. It saves most of what a transport
/// stream costs over FLV, as each PES packet has a header and ends with stuffing.
#[derive(Clone, Debug)]
pub struct Group {
    /// Ready to write.
    pub bytes: Vec<u8>,
    /// When the first frame is heard, ticks of 90 kHz.
    pub start: i64,
    /// When the last one ends.
    end: i64,
    /// The first picture after the first frame, ticks.
    waits_since: Option<i64>,
    /// The longest, ticks.
    limit: i64,
}

impl Group {
    /// A longer group makes sure that no length overflows, whatever the publisher sends.
    const BYTES_MAX: usize = 32 << 10;
    /// The longest way between two clock references (2.7.2).
    const CLOCK_TICKS: i64 = 100 * TICKS_PER_MS;
    /// How far a frame may be from where the frames before it end: what rounding and small jitter make.
    const TOLERANCE_TICKS: i64 = 20 * TICKS_PER_MS;

    /// Groups of at most `limit_ms` milliseconds; 0 gives each frame its own PES packet.
    pub fn new(limit_ms: u32) -> Self {
        Group {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            waits_since: None,
            limit: i64::from(limit_ms) * TICKS_PER_MS,
        }
    }

    /// Whether a frame at `now` goes on where the group ends. An empty group takes every frame.
    pub fn takes(&self, now: i64, payload_bytes: usize) -> bool {
        self.bytes.is_empty()
            || (now.abs_diff(self.end) <= Self::TOLERANCE_TICKS as u64
                && self.bytes.len().saturating_add(payload_bytes) <= Self::BYTES_MAX)
    }

    /// Adds a frame. Fails as [`AudioFormat::put`] does; the group is as before then.
    pub fn push(&mut self, now: i64, span: Span, format: &AudioFormat, payload: &[u8]) -> Result<()> {
        let is_first = self.bytes.is_empty();
        format.put(payload, &mut self.bytes)?;
        if is_first {
            (self.start, self.end) = (now, now);
        }
        self.end += span.ticks();
        Ok(())
    }

    /// Whether one more frame like the last would be too much; with the clock on its PES packets they come each 100 ms.
    pub fn is_full(&self, span: Span, carries_clock: bool) -> bool {
        let limit = if carries_clock {
            self.limit.min(Self::CLOCK_TICKS)
        } else {
            self.limit
        };
        self.end - self.start + span.ticks() > limit || self.bytes.len() >= Self::BYTES_MAX
    }

    /// Told each picture's time while it waits: whether frames do not come any more. The pictures' clock is used, as that
    /// of the sound may be far behind it.
    pub fn is_stale(&mut self, picture: i64) -> bool {
        if self.bytes.is_empty() {
            return false;
        }
        let since = *self.waits_since.get_or_insert(picture);
        picture - since > 2 * self.limit
    }

    /// Forgets what is written.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.waits_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aac() -> AudioFormat {
        AudioFormat::parse(AudioCodec::Aac, &[0x12, 0x10]).unwrap().unwrap()
    }

    #[test]
    fn aac_gets_adts_headers() {
        let mut out = Vec::new();
        aac().put(&[0x21; 338], &mut out).unwrap();
        assert_eq!(out[..7], [0xff, 0xf1, 0x50, 0x80, 0x2b, 0x3f, 0xfc]);
        assert_eq!(out.len(), 345);
        assert!(aac().put(&[0; 8185], &mut out).is_err());
        assert_eq!(out.len(), 345);
        // Object type 42 has no ADTS header.
        let usac = AudioSpecificConfig::new(42, 48_000, 2).unwrap().write();
        assert_eq!(
            AudioFormat::parse(AudioCodec::Aac, &usac).unwrap_err().code(),
            ErrorCode::AacAdtsHeader
        );
    }

    #[test]
    fn opus_gets_control_headers() {
        let opus = AudioFormat::parse(AudioCodec::Opus, &OpusHead::new(1).write())
            .unwrap()
            .unwrap();
        assert_eq!(opus.stream_type(), StreamType::Opus(1));
        let mut out = Vec::new();
        opus.put(&[0xfc; 254], &mut out).unwrap();
        assert_eq!(out[..4], [0x7f, 0xe0, 254, 0xfc]);
        out.clear();
        opus.put(&[0xfc; 510], &mut out).unwrap();
        assert_eq!(out[..6], [0x7f, 0xe0, 0xff, 0xff, 0, 0xfc]);
        let span = opus.span(&[0xfc, 0]).unwrap();
        assert_eq!((span.samples, span.sample_rate), (960, 48_000));
        assert!(opus.span(&[]).is_err());
        let discrete = b"OpusHead\x01\x03\x38\x01\x80\xbb\x00\x00\x00\x00\xff\x03\x00\x00\x01\x02";
        assert!(AudioFormat::parse(AudioCodec::Opus, discrete).is_err());
    }

    #[test]
    fn mp3_counts_all_frames_of_a_message() {
        let mut message = vec![0; 417 * 2];
        for at in [0, 417] {
            message[at..at + 4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
        }
        let mp3 = AudioFormat::without_header(AudioCodec::Mp3).unwrap();
        assert_eq!(mp3.span(&message).unwrap().samples, 2304);
        assert_eq!(mp3.span(&message[..500]).unwrap().samples, 1152);
        assert_eq!(mp3.span(&message[..9]).unwrap().samples, 1152);
        assert!(mp3.span(&message[1..]).is_err());
        assert!(mp3.put(&vec![0xff; 65_600], &mut Vec::new()).is_err());
        assert!(AudioFormat::without_header(AudioCodec::Aac).is_none());
        assert!(AudioFormat::parse(AudioCodec::Flac, &[]).unwrap().is_none());
    }

    #[test]
    fn groups_are_bounded_by_time_and_bytes() {
        let span = aac().span(&[]).unwrap();
        let mut group = Group::new(120);
        let mut frames = 0;
        while !group.is_full(span, false) {
            assert!(group.takes(frames * 2090, 300));
            group.push(frames * 2090, span, &aac(), &[0x21; 300]).unwrap();
            frames += 1;
            // 4 x 23.2 ms, the fifth would be beyond 100 ms.
            assert_eq!(group.is_full(span, true), frames >= 4);
        }
        // The sixth would be beyond 120 ms.
        assert_eq!(frames, 5);
        assert!(!group.takes(6 * 2090 + 1800, 300) && !group.takes(5 * 2090, 40_000));
        assert!(!group.is_stale(90_000) && !group.is_stale(111_600) && group.is_stale(111_601));
        group.clear();
        assert!(!group.is_stale(900_000) && group.takes(900_000, 40_000));
        let mut single = Group::new(0);
        single.push(0, span, &aac(), &[1]).unwrap();
        assert!(single.is_full(span, false));
        let mut heavy = Group::new(100_000);
        while heavy.takes(heavy.end, 8000) {
            heavy.push(heavy.end, span, &aac(), &[0; 8000]).unwrap();
        }
        assert!(heavy.bytes.len() < AUDIO_PAYLOAD_BYTES_MAX);
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = fastrand::Rng::with_seed(22);
        for _ in 0..4000 {
            let bytes: Vec<u8> = (0..random.usize(..60)).map(|_| random.u8(..)).collect();
            for format in [aac(), AudioFormat::Mp3, AudioFormat::Opus(2)] {
                if let Ok(span) = format.span(&bytes) {
                    assert!(span.samples > 0 && span.sample_rate > 0);
                }
                let mut out = Vec::new();
                format.put(&bytes, &mut out).unwrap();
            }
            let _ = AudioFormat::parse(AudioCodec::Aac, &bytes);
            let _ = AudioFormat::parse(AudioCodec::Opus, &bytes);
        }
    }
}
