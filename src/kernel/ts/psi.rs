//! Program specific information (ISO/IEC 13818-1, 2.4.4): the program association and the program map section.

use crc::{CRC_32_MPEG_2, Crc};

use crate::kernel::buf::Put;
use crate::kernel::codec::{AudioCodec, VideoCodec};

/// PID of the program association table.
pub const PAT_PID: u16 = 0;
/// PID of our program map table.
pub const PMT_PID: u16 = 0x1001;
/// PID of pictures.
pub const VIDEO_PID: u16 = 0x100;
/// PID of sound.
pub const AUDIO_PID: u16 = 0x101;

const PROGRAM_NUMBER: u16 = 1;
const PAT_TABLE_ID: u8 = 0;
const PMT_TABLE_ID: u8 = 2;
/// PCR_PID of a program without a clock.
const NO_PCR_PID: u16 = 0x1fff;

/// Of each section, over all bytes before it (annex A).
pub const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_MPEG_2);

/// How a stream is coded, as the map tells it (table 2-34).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamType {
    /// 0x1b.
    H264,
    /// 0x24.
    Hevc,
    /// AAC in ADTS frames, 0x0f.
    Aac,
    /// MPEG audio, 0x03; SRS and FFmpeg give it for the lower rates too, which have 0x04 in the specification.
    Mp3,
    /// Opus as private data 0x06, told by descriptors (ETSI TS 103 491 as FFmpeg, GStreamer and VLC do it). Has the
    /// channel_config_code: the number of channels, 1 to 8.
    Opus(u8),
}

impl StreamType {
    /// How pictures of a codec are told; none if there is no published way that players understand.
    pub fn of_video(codec: VideoCodec) -> Option<Self> {
        match codec {
            VideoCodec::H264 => Some(StreamType::H264),
            VideoCodec::Hevc => Some(StreamType::Hevc),
            _ => None,
        }
    }

    /// How sound of a codec is told; none if there is no published way that players understand. Opus counts as stereo.
    pub fn of_audio(codec: AudioCodec) -> Option<Self> {
        match codec {
            AudioCodec::Aac => Some(StreamType::Aac),
            AudioCodec::Mp3 => Some(StreamType::Mp3),
            AudioCodec::Opus => Some(StreamType::Opus(2)),
            _ => None,
        }
    }

    /// stream_type.
    pub fn number(self) -> u8 {
        match self {
            StreamType::H264 => 0x1b,
            StreamType::Hevc => 0x24,
            StreamType::Aac => 0x0f,
            StreamType::Mp3 => 0x03,
            StreamType::Opus(_) => 0x06,
        }
    }

    /// Whether it is pictures.
    pub fn is_video(self) -> bool {
        matches!(self, StreamType::H264 | StreamType::Hevc)
    }

    fn put_descriptors(self, out: &mut Vec<u8>) {
        if let StreamType::Opus(channels) = self {
            // registration_descriptor; then the DVB extension descriptor with tag 0x80.
            out.put_slice(&[0x05, 4]);
            out.put_slice(b"Opus");
            out.put_slice(&[0x7f, 2, 0x80, channels]);
        }
    }
}

/// What the program map says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Pictures, on [`VIDEO_PID`].
    pub video: Option<StreamType>,
    /// Sound, on [`AUDIO_PID`].
    pub audio: Option<StreamType>,
    /// The clock goes with the sound although pictures are told.
    pub clock_on_audio: bool,
}

impl Program {
    /// The PID whose packets carry the clock.
    pub fn pcr_pid(&self) -> u16 {
        match (self.video, self.audio) {
            (Some(_), Some(_)) if self.clock_on_audio => AUDIO_PID,
            (Some(_), _) => VIDEO_PID,
            (None, Some(_)) => AUDIO_PID,
            (None, None) => NO_PCR_PID,
        }
    }

    /// The program map section. Of `version` the low five bits are used.
    pub fn map_section(&self, version: u8) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_u16(0xe000 | self.pcr_pid());
        // program_info_length.
        body.put_u16(0xf000);
        for (stream, pid) in [(self.video, VIDEO_PID), (self.audio, AUDIO_PID)] {
            let Some(stream) = stream else { continue };
            let mut descriptors = Vec::new();
            stream.put_descriptors(&mut descriptors);
            body.put_u8(stream.number());
            body.put_u16(0xe000 | pid);
            body.put_u16(0xf000 | descriptors.len() as u16);
            body.put_slice(&descriptors);
        }
        section(PMT_TABLE_ID, version, &body)
    }
}

/// The program association section: our one program.
pub fn association_section() -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u16(PROGRAM_NUMBER);
    body.put_u16(0xe000 | PMT_PID);
    section(PAT_TABLE_ID, 0, &body)
}

/// A section of the long form. Its id is transport_stream_id or program_number: both are 1.
fn section(table_id: u8, version: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u8(table_id);
    // Five bytes before the body, four of check sum; bodies are far below the bound of 1021.
    out.put_u16(0xb000 | (body.len() + 9) as u16);
    out.put_u16(PROGRAM_NUMBER);
    // current_next_indicator; section 0 of 0.
    out.put_slice(&[0xc0 | (version & 0x1f) << 1 | 1, 0, 0]);
    out.put_slice(body);
    let check_sum = CRC.checksum(&out);
    out.put_u32(check_sum);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_association_section_is_the_one_of_ffmpeg() {
        // FFmpeg with -mpegts_pmt_start_pid 0x1001 writes the same bytes.
        let expected = [0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0x01, 0x2e, 0x70, 0x19, 0x05];
        assert_eq!(association_section(), expected);
    }

    #[test]
    fn a_check_sum_over_all_bytes_is_zero() {
        for version in [0, 1, 31, 32] {
            for (video, audio) in [
                (Some(StreamType::H264), Some(StreamType::Aac)),
                (None, Some(StreamType::Opus(2))),
                (None, None),
            ] {
                let program = Program {
                    video,
                    audio,
                    clock_on_audio: false,
                };
                let section = program.map_section(version);
                assert_eq!(CRC.checksum(&section), 0);
                assert_eq!(section.len(), 3 + usize::from(section[2]));
                assert_eq!(section[5], 0xc1 | (version & 31) << 1);
            }
        }
    }

    #[test]
    fn the_clock_goes_with_pictures_if_there_are_any() {
        let both = Program {
            video: Some(StreamType::Hevc),
            audio: Some(StreamType::Mp3),
            clock_on_audio: false,
        };
        assert_eq!(both.pcr_pid(), VIDEO_PID);
        let pure_audio = Program {
            clock_on_audio: true,
            ..both
        };
        assert_eq!(pure_audio.pcr_pid(), AUDIO_PID);
        let section = both.map_section(0);
        let streams = [0xe1, 0, 0xf0, 0, 0x24, 0xe1, 0, 0xf0, 0, 3, 0xe1, 1, 0xf0, 0];
        assert_eq!(section[8..22], streams);
        assert_eq!(Program::default().pcr_pid(), 0x1fff);
    }
}
