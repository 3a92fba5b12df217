//! Session descriptions (RFC 8866): which media a peer offers, and how they are coded.

use crate::core::limits::{SDP_ATTRIBUTES, SDP_MEDIA};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;

/// A description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionDescription {
    /// `s=`.
    pub name: String,
    /// `a=` before the first media.
    pub attributes: Vec<Attribute>,
    /// `m=` with what belongs to it.
    pub media: Vec<Media>,
}

/// One `a=` line: `name` or `name:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What it is about.
    pub name: String,
    /// What it says; empty for a property.
    pub value: String,
}

/// One `m=` line with what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `application`.
    pub kind: String,
    /// The transport port, 0 if it is told elsewhere.
    pub port: u16,
    /// Such as `RTP/AVP`.
    pub protocol: String,
    /// The formats: payload types for RTP.
    pub formats: Vec<String>,
    /// `a=` of this media.
    pub attributes: Vec<Attribute>,
}

/// What `a=rtpmap` says of a payload type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpMap {
    /// The encoding, such as `H264`, as it was written.
    pub encoding: String,
    /// Ticks of the RTP clock a second, above 0.
    pub clock_rate: u32,
    /// Channels of sound, 1 unless told.
    pub channels: u8,
}

impl SessionDescription {
    /// Reads a description. Line ends may lack their carriage return; lines of unknown types are passed over.
    /// Fails with [`ErrorCode::RtcSdpDecode`].
    pub fn parse(text: &str) -> Result<Self> {
        let mut session = SessionDescription::default();
        if !text.trim_start().starts_with("v=0") {
            return Err(fault("it does not begin with v=0", text));
        }
        let mut attributes = 0;
        for line in text.lines() {
            let Some((kind, value)) = line.trim_end().split_once('=') else {
                continue;
            };
            match kind {
                "s" => session.name = value.to_owned(),
                "m" if session.media.len() >= SDP_MEDIA => return Err(fault("too many media", line)),
                "m" => session.media.push(Media::parse(value)?),
                "a" if attributes >= SDP_ATTRIBUTES => return Err(fault("too many attributes", line)),
                "a" => {
                    attributes += 1;
                    let place = match session.media.last_mut() {
                        Some(media) => &mut media.attributes,
                        None => &mut session.attributes,
                    };
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    place.push(Attribute {
                        name: name.to_owned(),
                        value: value.trim().to_owned(),
                    });
                }
                _ => {}
            }
        }
        Ok(session)
    }
}

impl Media {
    /// `m=<media> <port>[/<number>] <proto> <fmt>…`
    fn parse(line: &str) -> Result<Self> {
        let mut words = line.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
            return Err(fault("a media line without kind, port and protocol", line));
        };
        let port = port.split('/').next().unwrap_or_default();
        Ok(Media {
            kind: kind.to_owned(),
            port: port
                .parse()
                .map_err(|_| fault("a media line with a port that is none", line))?,
            protocol: protocol.to_owned(),
            formats: words.take(SDP_ATTRIBUTES).map(str::to_owned).collect(),
            attributes: Vec::new(),
        })
    }

    /// The value of the first attribute of a name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|attribute| attribute.name == name);
        found.map(|attribute| attribute.value.as_str())
    }

    /// What is said of a payload type; none if nothing is, or it makes no sense.
    pub fn rtp_map(&self, format: &str) -> Option<RtpMap> {
        let mut parts = self.of_format("rtpmap", format)?.split('/');
        Some(RtpMap {
            encoding: parts.next()?.to_owned(),
            clock_rate: parts.next()?.trim().parse().ok().filter(|rate| *rate > 0)?,
            channels: parts
                .next()
                .and_then(|channels| channels.trim().parse().ok())
                .unwrap_or(1),
        })
    }

    /// A parameter of `a=fmtp` of a payload type; names are compared without case.
    pub fn parameter(&self, format: &str, name: &str) -> Option<&str> {
        let parameters = self.of_format("fmtp", format)?.split(';');
        let mut pairs = parameters.filter_map(|parameter| parameter.trim().split_once('='));
        pairs
            .find(|(found, _)| found.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// What an attribute that begins with a payload type says of this one.
    fn of_format(&self, name: &str, format: &str) -> Option<&str> {
        let mut values = self.attributes.iter().filter(|attribute| attribute.name == name);
        values.find_map(|attribute| {
            let (found, rest) = attribute.value.split_once(' ')?;
            (found == format).then_some(rest.trim())
        })
    }
}

#[cold]
fn fault(what: &str, line: &str) -> Error {
    let line: String = line.chars().take(80).collect();
    Error::new(ErrorCode::RtcSdpDecode, format!("SDP: {what}: {}", printable(&line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As FFmpeg 5.1 announces it.
    const FFMPEG: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
        a=tool:libavformat 59.27.100\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QADQ==,aOvg; profile-level-id=64000D\r\n\
        a=control:streamid=0\r\nm=audio 0 RTP/AVP 97\r\nb=AS:64\r\na=rtpmap:97 MPEG4-GENERIC/44100/2\r\n\
        a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; config=1210\r\n\
        a=control:streamid=1\r\n";

    #[test]
    fn ffmpegs_description_is_understood() {
        let session = SessionDescription::parse(FFMPEG).unwrap();
        assert_eq!((session.name.as_str(), session.media.len()), ("No Name", 2));
        let [video, audio] = &session.media[..] else {
            panic!("two media");
        };
        assert_eq!((video.kind.as_str(), video.formats[0].as_str()), ("video", "96"));
        assert_eq!(video.rtp_map("96").unwrap().encoding, "H264");
        assert_eq!(video.parameter("96", "sprop-parameter-sets"), Some("Z2QADQ==,aOvg"));
        assert_eq!(video.attribute("control"), Some("streamid=0"));
        let map = audio.rtp_map("97").unwrap();
        assert_eq!((map.clock_rate, map.channels), (44_100, 2));
        assert_eq!(audio.parameter("97", "CONFIG"), Some("1210"));
        assert_eq!(audio.parameter("96", "config"), None);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "v=1",
            "v=0\nm=video",
            "v=0\nm=video 70000 RTP/AVP 96",
            "v=0\nm=video x RTP/AVP",
        ] {
            assert_eq!(
                SessionDescription::parse(text).unwrap_err().code(),
                ErrorCode::RtcSdpDecode
            );
        }
        let many = format!("v=0\n{}", "a=x\n".repeat(SDP_ATTRIBUTES + 1));
        assert!(SessionDescription::parse(&many).is_err());
        let many = format!("v=0\n{}", "m=audio 0 RTP/AVP 0\n".repeat(SDP_MEDIA + 1));
        assert!(SessionDescription::parse(&many).is_err());
    }

    #[test]
    fn cut_and_changed_descriptions_never_panic() {
        let mut random = fastrand::Rng::with_seed(3);
        for cut in 0..FFMPEG.len() {
            let _ = SessionDescription::parse(&FFMPEG[..cut]);
        }
        for _ in 0..3000 {
            let mut bytes = FFMPEG.as_bytes().to_vec();
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..128);
            let Ok(session) = SessionDescription::parse(&String::from_utf8_lossy(&bytes)) else {
                continue;
            };
            for media in &session.media {
                let _ = (media.rtp_map("96"), media.parameter("97", "config"));
            }
        }
    }
}
