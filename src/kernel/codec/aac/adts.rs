//! ADTS: AAC frames that carry their configuration (ISO/IEC 13818-7 6.2, ISO/IEC 14496-3 1.A.2.2).

use super::{AudioSpecificConfig, SAMPLE_RATES};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// Bytes of a header without a check sum, which is what [`write_header`] makes.
pub const HEADER_BYTES: usize = 7;
/// The longest frame with its header that the 13-bit length can tell, bytes.
pub const FRAME_BYTES_MAX: usize = 0x1fff;

/// The header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// audioObjectType, 1 to 4.
    pub object_type: u8,
    /// sampling_frequency_index, 0 to 12.
    pub sample_rate_index: u8,
    /// channel_configuration, 0 to 7.
    pub channel_configuration: u8,
    /// Bytes of the header: 7, or 9 with a check sum.
    pub header_bytes: usize,
    /// Bytes of the frame with its header.
    pub frame_bytes: usize,
}

impl Header {
    /// Reads the header at the start of `frame`, which may be cut short behind it. Fails with
    /// [`ErrorCode::AacAdtsRequire`] where no header starts, and with [`ErrorCode::AacAdtsHeader`] on a broken one.
    pub fn parse(frame: &[u8]) -> Result<Self> {
        let Some(&[sync, flags, profile, channels, length1, length0, blocks]) = frame.first_chunk::<HEADER_BYTES>()
        else {
            return Err(Error::new(
                ErrorCode::AacAdtsHeader,
                format!("ADTS header of {} bytes, {HEADER_BYTES} are needed", frame.len()),
            ));
        };
        // Twelve bits of sync, one bit version, two bits layer 0.
        if sync != 0xff || flags & 0xf6 != 0xf0 {
            return Err(Error::new(
                ErrorCode::AacAdtsRequire,
                format!("ADTS frame starts with {sync:02x}{flags:02x}"),
            ));
        }
        let header = Header {
            object_type: (profile >> 6) + 1,
            sample_rate_index: profile >> 2 & 0x0f,
            channel_configuration: (profile & 1) << 2 | channels >> 6,
            header_bytes: if flags & 1 == 1 { HEADER_BYTES } else { HEADER_BYTES + 2 },
            frame_bytes: usize::from(channels & 3) << 11 | usize::from(length1) << 3 | usize::from(length0 >> 5),
        };
        let raw_blocks = (blocks & 3) + 1;
        if usize::from(header.sample_rate_index) >= SAMPLE_RATES.len()
            || header.frame_bytes < header.header_bytes
            || raw_blocks > 1
        {
            return Err(Error::new(
                ErrorCode::AacAdtsHeader,
                format!("ADTS header with {raw_blocks} raw data blocks: {header:?}"),
            ));
        }
        Ok(header)
    }

    /// The configuration that the header stands for. Fails as [`AudioSpecificConfig::new`] does.
    pub fn config(&self) -> Result<AudioSpecificConfig> {
        let rate = SAMPLE_RATES.get(usize::from(self.sample_rate_index)).copied();
        AudioSpecificConfig::new(self.object_type, rate.unwrap_or_default(), self.channel_configuration)
    }
}

/// The header of a frame whose raw data has `raw_bytes` bytes. SBR and PS are not told: players find them in the data.
/// Fails with [`ErrorCode::AacAdtsHeader`] on a configuration or a length that ADTS cannot tell.
pub fn write_header(config: &AudioSpecificConfig, raw_bytes: usize) -> Result<[u8; HEADER_BYTES]> {
    let frame_bytes = raw_bytes.saturating_add(HEADER_BYTES);
    let (profile, channels) = (config.object_type.wrapping_sub(1), config.channel_configuration);
    let Some(rate) = config.sample_rate_index() else {
        return Err(Error::new(
            ErrorCode::AacAdtsHeader,
            format!("ADTS has no index for {} Hz", config.sample_rate),
        ));
    };
    if profile > 3 || channels > 7 || frame_bytes > FRAME_BYTES_MAX {
        let object_type = config.object_type;
        return Err(Error::new(
            ErrorCode::AacAdtsHeader,
            format!("ADTS cannot tell object type {object_type}, channels {channels}, {frame_bytes} bytes"),
        ));
    }
    Ok([
        0xff,
        0xf1,
        profile << 6 | rate << 2 | channels >> 2,
        channels << 6 | (frame_bytes >> 11) as u8,
        (frame_bytes >> 3) as u8,
        // The buffer fullness of a variable bit rate is all ones.
        (frame_bytes << 5) as u8 | 0x1f,
        0xfc,
    ])
}

/// Goes over frames that stand one behind the other, as a PES packet holds them: headers with their raw data. Ends
/// after the first fault: those of [`Header::parse`], or a frame that is cut short.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// Goes over whole frames.
    pub fn new(bytes: &'a [u8]) -> Self {
        Frames { rest: bytes }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<(Header, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let whole = std::mem::take(&mut self.rest);
        let split = |header: Header| {
            let (frame, rest) = whole.split_at_checked(header.frame_bytes)?;
            Some((frame.get(header.header_bytes..)?, rest))
        };
        let header = match Header::parse(whole) {
            Ok(header) => header,
            Err(error) => return Some(Err(error)),
        };
        let Some((raw, rest)) = split(header) else {
            let (need, have) = (header.frame_bytes, whole.len());
            return Some(Err(Error::new(
                ErrorCode::AacAdtsHeader,
                format!("ADTS frame of {need} bytes, {have} are left"),
            )));
        };
        self.rest = rest;
        Some(Ok((header, raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first header of a file by FFmpeg: LC, 44.1 kHz, stereo, 345 bytes.
    const FFMPEG: [u8; 9] = [0xff, 0xf1, 0x50, 0x80, 0x2b, 0x3f, 0xfc, 0xde, 0x02];

    #[test]
    fn a_header_of_ffmpeg_is_understood_and_written_back() {
        let header = Header::parse(&FFMPEG).unwrap();
        assert_eq!(
            (
                header.object_type,
                header.sample_rate_index,
                header.channel_configuration
            ),
            (2, 4, 2)
        );
        assert_eq!((header.header_bytes, header.frame_bytes), (7, 345));
        let config = header.config().unwrap();
        assert_eq!((config.sample_rate, config.channels), (44_100, 2));
        assert_eq!(write_header(&config, 345 - 7).unwrap(), FFMPEG[..7]);
    }

    #[test]
    fn what_adts_cannot_tell_is_refused() {
        let config = AudioSpecificConfig::new(2, 44_100, 2).unwrap();
        assert!(write_header(&config, FRAME_BYTES_MAX - 7).is_ok());
        assert!(write_header(&config, FRAME_BYTES_MAX - 6).is_err());
        assert!(write_header(&config, usize::MAX).is_err());
        assert!(write_header(&AudioSpecificConfig::new(2, 44_101, 2).unwrap(), 9).is_err());
        assert!(write_header(&AudioSpecificConfig::new(2, 44_100, 12).unwrap(), 9).is_err());
        assert!(write_header(&AudioSpecificConfig::new(42, 44_100, 2).unwrap(), 9).is_err());
        // HE-AAC goes as its core.
        let he = AudioSpecificConfig::parse(&[0x2b, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!(
            Header::parse(&write_header(&he, 9).unwrap()).unwrap().sample_rate_index,
            6
        );
    }

    #[test]
    fn frames_are_cut_at_their_lengths() {
        let config = AudioSpecificConfig::new(2, 48_000, 1).unwrap();
        let mut bytes = Vec::new();
        for raw in [&[1u8, 2, 3][..], &[], &[4; 300]] {
            bytes.extend(write_header(&config, raw.len()).unwrap());
            bytes.extend(raw);
        }
        let raws: Vec<&[u8]> = Frames::new(&bytes).map(|frame| frame.unwrap().1).collect();
        assert_eq!(raws, [&[1u8, 2, 3][..], &[], &[4; 300]]);
        bytes.pop();
        assert!(Frames::new(&bytes).last().unwrap().is_err());
        // With a check sum.
        let protected = [0xff, 0xf0, 0x50, 0x80, 0x01, 0x5f, 0xfc, 0xaa, 0xbb, 0xcc];
        let (header, raw) = Frames::new(&protected).next().unwrap().unwrap();
        assert_eq!((header.header_bytes, raw), (9, &[0xcc][..]));
    }

    #[test]
    fn broken_headers_are_refused() {
        for cut in 0..7 {
            assert_eq!(
                Header::parse(&FFMPEG[..cut]).unwrap_err().code(),
                ErrorCode::AacAdtsHeader
            );
        }
        for (at, byte) in [(0, 0xfe), (1, 0xe1), (1, 0xf3)] {
            let mut header = FFMPEG;
            header[at] = byte;
            assert_eq!(Header::parse(&header).unwrap_err().code(), ErrorCode::AacAdtsRequire);
        }
        // A reserved rate; a length below the header's; four raw data blocks.
        for (at, byte) in [(2, 0x74), (4, 0x00), (6, 0xff)] {
            let mut header = FFMPEG;
            header[at] = byte;
            assert_eq!(Header::parse(&header).unwrap_err().code(), ErrorCode::AacAdtsHeader);
        }
        let mut random = fastrand::Rng::with_seed(14);
        for _ in 0..4000 {
            let bytes: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
            let header = [&[0xff, 0xf1][..], &bytes].concat();
            assert!(Frames::new(&header).count() <= header.len());
        }
    }
}
