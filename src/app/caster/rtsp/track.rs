//! One media of a session that is recorded: packets in, messages out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::core::clock::Moment;
use crate::kernel::codec::VideoCodec;
use crate::kernel::codec::aac::{self, AudioSpecificConfig};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::remux::{AacRemuxer, DecodingClock, TICKS_PER_MS, Times, VideoRemuxer};
use crate::kernel::frame::Frame;
use crate::kernel::timeline::Timeline;
use crate::protocol::rtp::payload::{AacDepacketizer, AccessUnit, AvcDepacketizer, HevcDepacketizer, LatmDepacketizer};
use crate::protocol::rtp::reorder::Ordered;
use crate::protocol::rtp::rtcp::{self, ReceiverReport, Report, SenderReport};
use crate::protocol::rtp::{Packet, Reorder};
use crate::protocol::sdp::Media;

/// A step back of pictures' times that is no reordering, ticks of 90 kHz.
const JUMP_TICKS: i64 = 10_000 * TICKS_PER_MS;

/// What ties the clocks of a session's media together.
#[derive(Clone, Copy, Debug)]
pub struct SessionClock {
    start: Moment,
    /// The NTP time of the first report, and the session's time then.
    report: Option<(u64, i64)>,
}

impl SessionClock {
    /// Starts now.
    pub fn new() -> Self {
        SessionClock {
            start: Moment::now(),
            report: None,
        }
    }

    /// Since the start, ticks of 90 kHz.
    fn now(&self) -> i64 {
        Moment::now().since(self.start).as_millis() as i64 * TICKS_PER_MS
    }

    /// The session's time of a sender's wall clock.
    fn of_ntp(&mut self, ntp: u64) -> i64 {
        let now = self.now();
        let (first, time) = *self.report.get_or_insert((ntp, now));
        // 32 bits of fraction; what is days away comes from a clock that was set.
        let ticks = (i128::from(ntp.wrapping_sub(first) as i64) * 90_000) >> 32;
        time.saturating_add(i64::try_from(ticks).unwrap_or(0))
    }
}

/// One media.
pub struct Track {
    /// `a=control`: how SETUP names it.
    pub control: String,
    /// For logs.
    pub name: String,
    clock_rate: i64,
    coding: Coding,
    reorder: Reorder,
    source: u32,
    timeline: Timeline,
    /// A time of the RTP clock, and the session's time then.
    anchor: Option<(i64, i64)>,
    last_report: Option<(SenderReport, Moment)>,
}

enum Coding {
    Avc(Pictures, AvcDepacketizer),
    Hevc(Pictures, HevcDepacketizer),
    Aac(AacRemuxer, AacPackets),
    /// Of no use here; its packets are dropped.
    Ignored,
}

/// How AAC comes.
enum AacPackets {
    Generic(AacDepacketizer),
    Latm(LatmDepacketizer),
}

impl AacPackets {
    fn push(&mut self, ordered: &Ordered, out: &mut Vec<Bytes>) -> Result<()> {
        match self {
            AacPackets::Generic(depacketizer) => depacketizer.push(ordered, out),
            AacPackets::Latm(depacketizer) => depacketizer.push(ordered, out),
        }
    }
}

struct Pictures {
    remuxer: VideoRemuxer,
    /// None while the first pictures are gathered to learn from.
    decoding: Option<DecodingClock>,
    gathered: Vec<(i64, AccessUnit)>,
}

impl Track {
    /// A media of a description. Fails with [`ErrorCode::RtspAudioConfig`] on AAC without its configuration, and on
    /// parameters that make no sense.
    pub fn new(media: &Media) -> Result<Self> {
        let format = media.formats.first().map_or("", String::as_str);
        let map = media.rtp_map(format);
        let name = map
            .as_ref()
            .map_or("unknown", |map| map.encoding.as_str())
            .to_uppercase();
        let coding = match name.as_str() {
            "H264" => Coding::Avc(
                Pictures::new(VideoCodec::H264, media, format, &["sprop-parameter-sets"])?,
                AvcDepacketizer::default(),
            ),
            "H265" => {
                let sets = ["sprop-vps", "sprop-sps", "sprop-pps"];
                Coding::Hevc(
                    Pictures::new(VideoCodec::Hevc, media, format, &sets)?,
                    HevcDepacketizer::default(),
                )
            }
            "MPEG4-GENERIC" => aac(media, format)?,
            "MP4A-LATM" => latm(media, format)?,
            _ => Coding::Ignored,
        };
        Ok(Track {
            control: media.attribute("control").unwrap_or_default().to_owned(),
            name,
            clock_rate: i64::from(map.map_or(90_000, |map| map.clock_rate)),
            coding,
            reorder: Reorder::default(),
            source: 0,
            timeline: Timeline::default(),
            anchor: None,
            last_report: None,
        })
    }

    /// Whether its packets are of use.
    pub fn is_understood(&self) -> bool {
        !matches!(self.coding, Coding::Ignored)
    }

    /// Whether it is sound.
    pub fn is_sound(&self) -> bool {
        matches!(self.coding, Coding::Aac(..))
    }

    /// Takes an RTP packet and appends the messages that end with it. Fails with the codes of [`Packet::parse`], of the
    /// depacketizers and of the codecs; what is wrong is passed over.
    pub fn rtp(&mut self, bytes: &Bytes, clock: &SessionClock, out: &mut Vec<Frame>) -> Result<()> {
        let packet = Packet::parse(bytes)?;
        if packet.ssrc != self.source {
            self.source = packet.ssrc;
            self.reorder = Reorder::default();
            // Another source has another clock.
            self.anchor = None;
            let report = self.last_report.filter(|(report, _)| report.ssrc == packet.ssrc);
            self.last_report = report;
        }
        self.reorder.push(packet);
        let mut result = Ok(());
        while let Some(ordered) = self.reorder.pop() {
            let taken = self.take(&ordered, clock, out);
            result = result.and(taken);
        }
        result
    }

    /// Takes an RTCP packet. Fails as [`rtcp::reports`] does.
    pub fn rtcp(&mut self, bytes: &[u8], clock: &mut SessionClock) -> Result<()> {
        for report in rtcp::reports(bytes)? {
            if let Report::Sender(report) = report {
                // The first report of a session is its measure.
                clock.of_ntp(report.ntp);
                self.last_report = Some((report, Moment::now()));
            }
        }
        Ok(())
    }

    /// What we report of it; none before its first packet.
    pub fn receiver_report(&self, ssrc: u32) -> Option<Vec<u8>> {
        if self.source == 0 {
            return None;
        }
        let (last_report, delay) = self.last_report.map_or((0, 0), |(report, at)| {
            let delay = Moment::now().since(at).as_micros() * 65_536 / 1_000_000;
            ((report.ntp >> 16) as u32, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        let report = ReceiverReport {
            ssrc,
            source: self.source,
            lost: self.reorder.lost(),
            highest_sequence: self.reorder.highest_sequence(),
            last_report,
            delay,
        };
        Some(report.write())
    }

    fn take(&mut self, ordered: &Ordered, clock: &SessionClock, out: &mut Vec<Frame>) -> Result<()> {
        // Taken first: the times need all of the track.
        let mut coding = std::mem::replace(&mut self.coding, Coding::Ignored);
        let taken = self.decode(&mut coding, ordered, clock, out);
        self.coding = coding;
        taken.wrap_with(|| format!("{} in RTP", self.name))
    }

    fn decode(
        &mut self,
        coding: &mut Coding,
        ordered: &Ordered,
        clock: &SessionClock,
        out: &mut Vec<Frame>,
    ) -> Result<()> {
        let mut units = Vec::new();
        match coding {
            Coding::Avc(pictures, depacketizer) => {
                let pushed = depacketizer.push(ordered, &mut units);
                self.put_pictures(pictures, units, clock, out).and(pushed)
            }
            Coding::Hevc(pictures, depacketizer) => {
                let pushed = depacketizer.push(ordered, &mut units);
                self.put_pictures(pictures, units, clock, out).and(pushed)
            }
            Coding::Aac(remuxer, depacketizer) => {
                let mut frames = Vec::new();
                let pushed = depacketizer.push(ordered, &mut frames);
                let start = self.time(ordered.packet.timestamp, clock);
                for (number, frame) in (0i64..).zip(frames) {
                    let ahead = number * i64::from(aac::FRAME_SAMPLES) * 90_000 / self.clock_rate;
                    remuxer.frame(start + ahead, &frame, out);
                }
                pushed
            }
            Coding::Ignored => Ok(()),
        }
    }

    fn put_pictures(
        &mut self,
        pictures: &mut Pictures,
        units: Vec<AccessUnit>,
        clock: &SessionClock,
        out: &mut Vec<Frame>,
    ) -> Result<()> {
        let timed = units.into_iter().map(|unit| (self.time(unit.timestamp, clock), unit));
        pictures.gathered.extend(timed);
        pictures.put_gathered(out)
    }

    /// The session's time of an RTP timestamp, ticks of 90 kHz. It is tied to the sender's wall clock if a report came
    /// before the first packet, else to the time when that came.
    fn time(&mut self, timestamp: u32, clock: &SessionClock) -> i64 {
        let now = self.timeline.millis(timestamp);
        let (from, start) = match self.anchor {
            Some(anchor) => anchor,
            None => {
                let anchor = match self.last_report {
                    Some((report, _)) => {
                        let behind = i64::from(timestamp.wrapping_sub(report.rtp_timestamp) as i32);
                        (now - behind, { *clock }.of_ntp(report.ntp))
                    }
                    None => (now, clock.now()),
                };
                *self.anchor.insert(anchor)
            }
        };
        start + (now - from).saturating_mul(90_000) / self.clock_rate
    }
}

impl Pictures {
    fn new(codec: VideoCodec, media: &Media, format: &str, sets: &[&str]) -> Result<Self> {
        let Some(mut remuxer) = VideoRemuxer::new(codec) else {
            return Err(Error::new(ErrorCode::RtcSdpNegotiate, "codec without NAL units"));
        };
        let values = sets.iter().filter_map(|name| media.parameter(format, name));
        let texts = values.flat_map(|value| value.split(','));
        // What cannot be read here may come among the pictures.
        let nals: Vec<Vec<u8>> = texts.filter_map(|text| STANDARD.decode(text.trim()).ok()).collect();
        remuxer.set_parameters(nals.iter().map(Vec::as_slice));
        Ok(Pictures {
            remuxer,
            decoding: None,
            gathered: Vec::new(),
        })
    }

    fn put_gathered(&mut self, out: &mut Vec<Frame>) -> Result<()> {
        if self.decoding.is_none() {
            if self.gathered.len() < DecodingClock::LEARNING {
                return Ok(());
            }
            let times: Vec<i64> = self.gathered.iter().map(|(time, _)| *time).collect();
            self.decoding = Some(DecodingClock::learnt(&times));
        }
        let mut result = Ok(());
        for (presentation, unit) in self.gathered.drain(..) {
            let decoding = match &mut self.decoding {
                Some(clock) => clock.next(presentation, JUMP_TICKS),
                None => presentation,
            };
            let times = Times { decoding, presentation };
            let nals = unit.nals.iter().map(|nal| &nal[..]);
            result = result.and(self.remuxer.access_unit(times, nals, out));
        }
        result
    }
}

fn aac(media: &Media, format: &str) -> Result<Coding> {
    let number = |name| -> Option<u32> { media.parameter(format, name)?.parse().ok() };
    let config = media.parameter(format, "config").and_then(hex);
    let Some(config) = config.filter(|config| AudioSpecificConfig::parse(config).is_ok()) else {
        return Err(Error::new(
            ErrorCode::RtspAudioConfig,
            "AAC is announced without its configuration",
        ));
    };
    let mut remuxer = AacRemuxer::default();
    remuxer.set_config(&config);
    let depacketizer = AacDepacketizer::new(number("sizelength").unwrap_or(13), number("indexlength").unwrap_or(3))?;
    Ok(Coding::Aac(remuxer, AacPackets::Generic(depacketizer)))
}

fn latm(media: &Media, format: &str) -> Result<Coding> {
    let config = media.parameter(format, "config").and_then(hex);
    let is_outside = media.parameter(format, "cpresent") == Some("0");
    let Some(config) = config.filter(|_| is_outside) else {
        return Err(Error::new(
            ErrorCode::RtspAudioConfig,
            "LATM is announced without its configuration (cpresent=0; config=…)",
        ));
    };
    let (depacketizer, audio) = LatmDepacketizer::new(&config)?;
    // The bits behind it are none of the remuxer's.
    let audio = AudioSpecificConfig::parse(&audio)?.write();
    let mut remuxer = AacRemuxer::default();
    remuxer.set_config(&audio);
    Ok(Coding::Aac(remuxer, AacPackets::Latm(depacketizer)))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sdp::SessionDescription;

    const SDP: &str = "v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1; \
        sprop-parameter-sets=Z01ACvII9gIgAAADACAAAAMCgeJEokA=,aOvgTSyA\na=control:streamid=0\n\
        m=audio 0 RTP/AVP 97\na=rtpmap:97 MPEG4-GENERIC/44100/2\na=fmtp:97 sizelength=13;indexlength=3;config=1210\n\
        m=audio 0 RTP/AVP 0\nm=audio 0 RTP/AVP 98\na=rtpmap:98 MPEG4-GENERIC/44100/2\n";

    fn packet(timestamp: u32, sequence: u16, payload: &[u8]) -> Bytes {
        let packet = Packet {
            marker: true,
            payload_type: 96,
            sequence,
            timestamp,
            ssrc: 9,
            payload: Bytes::copy_from_slice(payload),
        };
        let mut bytes = Vec::new();
        packet.write(&mut bytes);
        bytes.into()
    }

    fn clock() -> SessionClock {
        SessionClock {
            start: Moment::now(),
            report: None,
        }
    }

    #[test]
    fn announced_media_become_messages() {
        let session = SessionDescription::parse(SDP).unwrap();
        let mut video = Track::new(&session.media[0]).unwrap();
        let mut audio = Track::new(&session.media[1]).unwrap();
        assert!(!Track::new(&session.media[2]).unwrap().is_understood());
        assert_eq!(
            Track::new(&session.media[3]).err().unwrap().code(),
            ErrorCode::RtspAudioConfig
        );
        let (clock, mut out) = (clock(), Vec::new());
        video
            .rtp(&packet(u32::MAX - 1799, 1, &[0x65, 1]), &clock, &mut out)
            .unwrap();
        for number in 0..10u16 {
            let timestamp = 1800 + u32::from(number) * 3600;
            video
                .rtp(&packet(timestamp, 2 + number, &[0x41, 1]), &clock, &mut out)
                .unwrap();
        }
        assert!(out[0].facts.is_video_sequence_header() && out[1].facts.keyframe);
        // The timestamp has wrapped between the two.
        assert_eq!(out[2].timestamp.wrapping_sub(out[1].timestamp), 40);
        out.clear();
        audio
            .rtp(&packet(0, 1, &[0, 32, 0, 8, 0, 8, 1, 2]), &clock, &mut out)
            .unwrap();
        assert!(out[0].facts.is_audio_sequence_header());
        assert_eq!(out[2].timestamp - out[1].timestamp, 23);
        assert!(audio.receiver_report(1).is_some() && audio.is_sound());
    }

    #[test]
    fn reports_tie_the_clocks_together() {
        let session = SessionDescription::parse(SDP).unwrap();
        let (mut clock, mut out) = (clock(), Vec::new());
        let mut times = Vec::new();
        for (number, rate, behind_ms) in [(0, 90_000u32, 0u32), (1, 44_100, 500)] {
            let mut track = Track::new(&session.media[number]).unwrap();
            let mut report = vec![0x80, 200, 0, 6, 0, 0, 0, 9];
            // Both clocks show their own numbers at the same second; media begin later by what is told.
            report.extend((5u64 << 32).to_be_bytes());
            report.extend((rate * 3).to_be_bytes());
            report.extend([0; 8]);
            track.rtcp(&report, &mut clock).unwrap();
            let payload: &[u8] = if number == 0 { &[0x65, 1] } else { &[0, 16, 0, 8, 1] };
            out.clear();
            for sequence in 0..10u16 {
                let timestamp = rate * 3 + rate / 1000 * behind_ms + u32::from(sequence) * rate / 25;
                track
                    .rtp(&packet(timestamp, sequence, payload), &clock, &mut out)
                    .unwrap();
            }
            times.push(out[0].timestamp);
        }
        assert!((times[1] - times[0]).abs_diff(500) <= 3, "{times:?}");
    }

    #[test]
    fn hexadecimal_is_read() {
        assert_eq!(hex("12Ab"), Some(vec![0x12, 0xab]));
        assert_eq!((hex("1"), hex("1x"), hex("")), (None, None, Some(Vec::new())));
    }
}
