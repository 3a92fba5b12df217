//! AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): the payload of an AAC sequence header.

use super::{SAMPLE_RATES, object_type};
use crate::kernel::bits::BitReader;
use crate::kernel::codec::{AudioCodec, AudioConfig};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// What an AAC decoder needs before the first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// audioObjectType of the core, such as [`object_type::LC`], without SBR and PS.
    pub object_type: u8,
    /// Samples a second of the core; never 0.
    pub sample_rate: u32,
    /// channelConfiguration, 0 to 15; 0 leaves the channels to a program config element.
    pub channel_configuration: u8,
    /// Channels of the core; 0 if only the frames tell.
    pub channels: u8,
    /// Spectral band replication is told, and gives this many samples a second.
    pub sbr_sample_rate: Option<u32>,
    /// Parametric stereo is told: one channel plays as two.
    pub parametric_stereo: bool,
}

impl AudioSpecificConfig {
    /// Reads a configuration. What follows channelConfiguration may be cut short or strange, as it is in the wild: it
    /// then only loses SBR and PS. Fails with [`ErrorCode::HlsDecode`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = BitReader::new(bytes, ErrorCode::HlsDecode);
        let r = &mut reader;
        let first_type = object_type_field(r)?;
        let sample_rate = sample_rate_field(r)?;
        let channel_configuration = r.bits(4, "channelConfiguration")? as u8;
        let channels = match channel_configuration {
            count @ 0..=6 => count,
            7 | 12 | 14 => 8,
            11 => 7,
            13 => 24,
            reserved => return Err(r.fault(format!("channelConfiguration {reserved} is reserved"))),
        };
        let mut config = AudioSpecificConfig {
            object_type: first_type,
            sample_rate,
            channel_configuration,
            channels,
            sbr_sample_rate: None,
            parametric_stereo: false,
        };
        if matches!(first_type, object_type::SBR | object_type::PS) {
            config.sbr_sample_rate = Some(sample_rate_field(r)?);
            config.parametric_stereo = first_type == object_type::PS;
            config.object_type = object_type_field(r)?;
            if config.object_type == object_type::ER_BSAC {
                r.skip(4, "extensionChannelConfiguration")?;
            }
        }
        if config.object_type == 0 {
            return Err(r.fault("audioObjectType is 0".to_owned()));
        }
        // Faults from here on are left alone on purpose.
        let _ = config.read_core(r).and_then(|()| config.read_sync_extension(r));
        Ok(config)
    }

    /// A configuration without extensions, as ADTS and RTP tell it. Fails with [`ErrorCode::HlsDecode`] on values that
    /// [`parse`](Self::parse) refuses.
    pub fn new(object_type: u8, sample_rate: u32, channel_configuration: u8) -> Result<Self> {
        let config = AudioSpecificConfig {
            object_type,
            sample_rate,
            channel_configuration,
            channels: 0,
            sbr_sample_rate: None,
            parametric_stereo: false,
        };
        Self::parse(&config.write())
    }

    /// Writes the configuration; SBR and PS are told before the core, which all players of HE-AAC understand.
    pub fn write(&self) -> Vec<u8> {
        let mut bits = Bits::default();
        match self.sbr_sample_rate {
            Some(rate) => {
                let outer = if self.parametric_stereo {
                    object_type::PS
                } else {
                    object_type::SBR
                };
                bits.object_type(outer);
                bits.sample_rate(self.sample_rate);
                bits.put(4, u32::from(self.channel_configuration));
                bits.sample_rate(rate);
                bits.object_type(self.object_type);
            }
            None => {
                bits.object_type(self.object_type);
                bits.sample_rate(self.sample_rate);
                bits.put(4, u32::from(self.channel_configuration));
            }
        }
        // frameLengthFlag, dependsOnCoreCoder, extensionFlag.
        bits.put(3, 0);
        bits.finish()
    }

    /// samplingFrequencyIndex of the core; none if its rate has none.
    pub fn sample_rate_index(&self) -> Option<u8> {
        let index = SAMPLE_RATES.iter().position(|rate| *rate == self.sample_rate)?;
        u8::try_from(index).ok()
    }

    /// The object type's name in the HTTP API.
    pub fn profile_name(&self) -> &'static str {
        match self.object_type {
            _ if self.parametric_stereo => "HEv2",
            _ if self.sbr_sample_rate.is_some() => "HE",
            object_type::MAIN => "Main",
            object_type::LC => "LC",
            object_type::SSR => "SSR",
            _ => "Other",
        }
    }

    /// What is played: rate and channels with SBR and PS.
    pub fn audio_config(&self) -> AudioConfig {
        AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: self.sbr_sample_rate.unwrap_or(self.sample_rate),
            channels: if self.parametric_stereo && self.channels == 1 {
                2
            } else {
                self.channels
            },
            profile: self.profile_name(),
        }
    }

    /// GASpecificConfig (4.4.1), for the object types that have one.
    fn read_core(&mut self, r: &mut BitReader<'_>) -> Result<()> {
        if !matches!(self.object_type, 1 | 2 | 3 | 4 | 6 | 7 | 17 | 19 | 20 | 21 | 22 | 23) {
            return Err(r.fault(format!("audioObjectType {} has no GASpecificConfig", self.object_type)));
        }
        r.flag("frameLengthFlag")?;
        if r.flag("dependsOnCoreCoder")? {
            r.skip(14, "coreCoderDelay")?;
        }
        let has_extension = r.flag("extensionFlag")?;
        if self.channel_configuration == 0 {
            self.channels = program_config_channels(r)?;
        }
        if matches!(self.object_type, 6 | 20) {
            r.skip(3, "layerNr")?;
        }
        if has_extension {
            match self.object_type {
                22 => r.skip(16, "numOfSubFrame, layer_length")?,
                17 | 19 | 20 | 23 => r.skip(3, "resilience flags")?,
                _ => {}
            }
            r.flag("extensionFlag3")?;
        }
        Ok(())
    }

    /// The backward compatible way to tell SBR and PS: behind the core, where old decoders do not look.
    fn read_sync_extension(&mut self, r: &mut BitReader<'_>) -> Result<()> {
        const SBR_FOLLOWS: u32 = 0x2b7;
        const PS_FOLLOWS: u32 = 0x548;
        if self.sbr_sample_rate.is_some() || r.remaining() < 16 || r.bits(11, "syncExtensionType")? != SBR_FOLLOWS {
            return Ok(());
        }
        if object_type_field(r)? != object_type::SBR || !r.flag("sbrPresentFlag")? {
            return Ok(());
        }
        self.sbr_sample_rate = Some(sample_rate_field(r)?);
        if r.remaining() >= 12 && r.bits(11, "syncExtensionType")? == PS_FOLLOWS {
            self.parametric_stereo = r.flag("psPresentFlag")?;
        }
        Ok(())
    }
}

fn object_type_field(r: &mut BitReader<'_>) -> Result<u8> {
    let short = r.bits(5, "audioObjectType")? as u8;
    if short == 31 {
        return Ok(32 + r.bits(6, "audioObjectTypeExt")? as u8);
    }
    Ok(short)
}

fn sample_rate_field(r: &mut BitReader<'_>) -> Result<u32> {
    let index = r.bits(4, "samplingFrequencyIndex")?;
    let rate = match index {
        15 => r.bits(24, "samplingFrequency")?,
        _ => SAMPLE_RATES.get(index as usize).copied().unwrap_or_default(),
    };
    if rate == 0 {
        return Err(Error::new(
            ErrorCode::HlsDecode,
            format!("samplingFrequencyIndex {index} gives 0 Hz"),
        ));
    }
    Ok(rate)
}

/// How many channels a program_config_element has (4.4.1.1); passes over it.
fn program_config_channels(r: &mut BitReader<'_>) -> Result<u8> {
    r.skip(4 + 2 + 4, "element_instance_tag, object_type, sampling_frequency_index")?;
    let front = r.bits(4, "num_front_channel_elements")?;
    let side = r.bits(4, "num_side_channel_elements")?;
    let back = r.bits(4, "num_back_channel_elements")?;
    let low = r.bits(2, "num_lfe_channel_elements")?;
    let data = r.bits(3, "num_assoc_data_elements")?;
    let coupling = r.bits(4, "num_valid_cc_elements")?;
    for (flag, bits) in [
        ("mono_mixdown_present", 4),
        ("stereo_mixdown_present", 4),
        ("matrix_mixdown_idx_present", 3),
    ] {
        if r.flag(flag)? {
            r.skip(bits, flag)?;
        }
    }
    let mut channels = low;
    for _ in 0..front + side + back {
        channels += if r.flag("element_is_cpe")? { 2 } else { 1 };
        r.skip(4, "element_tag_select")?;
    }
    r.skip(4 * low + 4 * data + 5 * coupling, "lfe, data and coupling elements")?;
    r.align();
    let comment = r.bits(8, "comment_field_bytes")?;
    r.skip(8 * comment, "comment_field_data")?;
    // At most 3 + 2 * 45.
    Ok(channels as u8)
}

/// Writes bit by bit.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, count: u32, value: u32) {
        for bit in (0..count).rev() {
            self.pending = self.pending << 1 | value >> bit & 1;
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.pending as u8);
                (self.pending, self.count) = (0, 0);
            }
        }
    }

    fn object_type(&mut self, object_type: u8) {
        match object_type.checked_sub(32) {
            Some(extended) => {
                self.put(5, 31);
                self.put(6, u32::from(extended));
            }
            None => self.put(5, u32::from(object_type)),
        }
    }

    fn sample_rate(&mut self, rate: u32) {
        match SAMPLE_RATES.iter().position(|known| *known == rate) {
            Some(index) => self.put(4, index as u32),
            None => {
                self.put(4, 15);
                self.put(24, rate);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.put(8 - self.count, 0);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> AudioSpecificConfig {
        AudioSpecificConfig::parse(bytes).unwrap()
    }

    #[test]
    fn configurations_of_ffmpeg_are_understood() {
        // 44.1 kHz stereo; the five bytes say that there is no SBR.
        for bytes in [&[0x12, 0x10][..], &[0x12, 0x10, 0x56, 0xe5, 0x00]] {
            let audio = parse(bytes).audio_config();
            assert_eq!((audio.sample_rate, audio.channels, audio.profile), (44_100, 2, "LC"));
            assert_eq!(parse(bytes).write(), [0x12, 0x10]);
        }
        let mono = parse(&[0x13, 0x88, 0x56, 0xe5, 0x00]).audio_config();
        assert_eq!((mono.sample_rate, mono.channels), (22_050, 1));
        let six = parse(&[0x11, 0xb0, 0x56, 0xe5, 0x00]);
        assert_eq!(
            (six.sample_rate, six.channels, six.sample_rate_index()),
            (48_000, 6, Some(3))
        );
    }

    #[test]
    fn sbr_and_ps_are_told_before_or_behind_the_core() {
        // Hierarchical, by fdk-aac's rules: SBR 24 -> 48 kHz stereo, PS 24 -> 48 kHz mono.
        let he = parse(&[0x2b, 0x11, 0x88, 0x00]);
        assert_eq!(
            (he.object_type, he.sample_rate, he.sbr_sample_rate),
            (2, 24_000, Some(48_000))
        );
        assert_eq!((he.audio_config().sample_rate, he.profile_name()), (48_000, "HE"));
        assert_eq!(parse(&he.write()), he);
        let he2 = parse(&[0xeb, 0x09, 0x88, 0x00]);
        assert_eq!(
            (he2.channels, he2.audio_config().channels, he2.profile_name()),
            (1, 2, "HEv2")
        );
        assert_eq!(parse(&he2.write()), he2);
        // Backward compatible: LC 24 kHz stereo, sync extension, SBR 48 kHz; then with PS.
        let behind = parse(&[0x13, 0x10, 0x56, 0xe5, 0x98]);
        assert_eq!((behind.sbr_sample_rate, behind.profile_name()), (Some(48_000), "HE"));
        let behind = parse(&[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80]);
        assert_eq!((behind.parametric_stereo, behind.profile_name()), (true, "HEv2"));
    }

    #[test]
    fn escapes_are_followed() {
        // LC with a rate of 44,101 Hz in 24 bits, stereo.
        let escaped = AudioSpecificConfig::new(2, 44_101, 2).unwrap();
        assert_eq!((escaped.sample_rate, escaped.sample_rate_index()), (44_101, None));
        assert_eq!(escaped.write().len(), 5);
        // Object type 42 (USAC) through the escape.
        let usac = AudioSpecificConfig::new(42, 48_000, 2).unwrap();
        assert_eq!((usac.object_type, usac.profile_name()), (42, "Other"));
    }

    #[test]
    fn a_program_config_element_tells_the_channels() {
        // LC 44.1 kHz, configuration 0; one front pair, one back single, one lfe, no comment.
        let fields: &[(u32, u32)] = &[
            (5, 2),
            (4, 4),
            (4, 0),
            (3, 0),
            (4, 0),
            (2, 1),
            (4, 4),
            (4, 1),
            (4, 0),
            (4, 1),
            (2, 1),
            (3, 0),
            (4, 0),
            (3, 0),
            (1, 1),
            (4, 0),
            (1, 0),
            (4, 0),
            (4, 0),
            (7, 0),
            (8, 0),
        ];
        let mut bits = Bits::default();
        for (count, value) in fields {
            bits.put(*count, *value);
        }
        let bytes = bits.finish();
        assert_eq!(parse(&bytes).channels, 4);
        // Cut inside the element: only the frames tell.
        assert_eq!(parse(&bytes[..5]).channels, 0);
        assert_eq!(parse(&[0x12, 0x00]).channels, 0);
    }

    #[test]
    fn rate_zero_and_reserved_values_are_refused() {
        let code = |bytes: &[u8]| AudioSpecificConfig::parse(bytes).unwrap_err().code();
        // Escaped rate of 0, indices 13 and 14, configuration 8, object type 0.
        for bytes in [
            &[0x17, 0x80, 0x00, 0x00, 0x10][..],
            &[0x16, 0x90],
            &[0x17, 0x10],
            &[0x12, 0x40],
            &[0x02, 0x10],
        ] {
            assert_eq!(code(bytes), ErrorCode::HlsDecode, "{bytes:02x?}");
        }
        assert!(AudioSpecificConfig::new(2, 0, 2).is_err());
        assert!(AudioSpecificConfig::new(2, 44_100, 9).is_err());
    }

    #[test]
    fn cut_and_changed_configurations_never_panic() {
        let whole = [0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80];
        for cut in 0..whole.len() {
            assert_eq!(AudioSpecificConfig::parse(&whole[..cut]).is_err(), cut < 2);
        }
        let hierarchical = [0xeb, 0x09, 0x88];
        for cut in 0..hierarchical.len() {
            assert!(AudioSpecificConfig::parse(&hierarchical[..cut]).is_err());
        }
        let mut random = fastrand::Rng::with_seed(13);
        for _ in 0..6000 {
            let bytes: Vec<u8> = (0..random.usize(..16)).map(|_| random.u8(..)).collect();
            if let Ok(config) = AudioSpecificConfig::parse(&bytes) {
                assert!(config.sample_rate > 0);
                let again = AudioSpecificConfig::parse(&config.write()).unwrap();
                assert_eq!(again.audio_config().sample_rate, config.audio_config().sample_rate);
            }
        }
    }
}
