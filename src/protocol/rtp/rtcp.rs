//! Reports beside RTP (RFC 3550, 6.4): the sender's, which tie its clocks together, and ours.

use crate::kernel::buf::{Put, Reader};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const BYE: u8 = 203;

/// What a sender reports of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// Who reports.
    pub ssrc: u32,
    /// Its wall clock: seconds since 1900, and their fraction in 32 bits.
    pub ntp: u64,
    /// The same moment in ticks of its RTP clock.
    pub rtp_timestamp: u32,
}

/// What a compound packet tells us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A sender report.
    Sender(SenderReport),
    /// This source ends.
    Bye(u32),
}

/// The reports in a compound packet that matter here, in their order. Fails with [`ErrorCode::RtcRtcpPacket`]; reports
/// before the fault are lost.
pub fn reports(bytes: &[u8]) -> Result<Vec<Report>> {
    let mut reader = Reader::new(bytes, ErrorCode::RtcRtcpPacket);
    let mut found = Vec::new();
    while !reader.is_empty() {
        let flags = reader.u8("RTCP flags")?;
        if flags >> 6 != 2 {
            return Err(Error::new(
                ErrorCode::RtcRtcpPacket,
                format!("RTCP version is {}", flags >> 6),
            ));
        }
        let kind = reader.u8("RTCP packet type")?;
        let words = usize::from(reader.u16("RTCP length")?);
        let mut body = Reader::new(reader.bytes(words * 4, "RTCP packet")?, ErrorCode::RtcRtcpPacket);
        match kind {
            SENDER_REPORT => found.push(Report::Sender(SenderReport {
                ssrc: body.u32("SSRC")?,
                ntp: body.u64("NTP timestamp")?,
                rtp_timestamp: body.u32("RTP timestamp")?,
            })),
            BYE if flags & 0x1f > 0 => found.push(Report::Bye(body.u32("SSRC")?)),
            _ => {}
        }
    }
    Ok(found)
}

/// What we report of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverReport {
    /// Who we are.
    pub ssrc: u32,
    /// Whom it is about.
    pub source: u32,
    /// Packets that were lost since the start; 24 bits are written.
    pub lost: u32,
    /// The highest sequence number, with its cycles in the high half.
    pub highest_sequence: u32,
    /// The middle 32 bits of the last sender report's NTP time; 0 if there was none.
    pub last_report: u32,
    /// Since then, in units of 1/65536 second.
    pub delay: u32,
}

impl ReceiverReport {
    /// The packet. The fraction lost and the jitter are told as 0.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        out.put_slice(&[0x81, RECEIVER_REPORT, 0, 7]);
        out.put_u32(self.ssrc);
        out.put_u32(self.source);
        out.put_u32(self.lost.min(0x7f_ffff));
        out.put_u32(self.highest_sequence);
        out.put_u32(0);
        out.put_u32(self.last_report);
        out.put_u32(self.delay);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender_report() -> Vec<u8> {
        let mut bytes = vec![0x80, SENDER_REPORT, 0, 6];
        bytes.put_u32(7);
        bytes.put_u64(0x1234_5678_9abc_def0);
        bytes.put_u32(90_000);
        bytes.put_u64(0);
        bytes
    }

    #[test]
    fn a_compound_packet_is_read() {
        let bytes = [
            &sender_report()[..],
            &[0x81, 202, 0, 1, 0, 0, 0, 7],
            &[0x81, BYE, 0, 1, 0, 0, 0, 7],
        ]
        .concat();
        let sender = SenderReport {
            ssrc: 7,
            ntp: 0x1234_5678_9abc_def0,
            rtp_timestamp: 90_000,
        };
        assert_eq!(reports(&bytes).unwrap(), [Report::Sender(sender), Report::Bye(7)]);
        assert!(reports(&[]).unwrap().is_empty());
        for cut in (1..bytes.len()).filter(|cut| ![28, 36].contains(cut)) {
            assert_eq!(
                reports(&bytes[..cut]).unwrap_err().code(),
                ErrorCode::RtcRtcpPacket,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_receiver_report_has_its_length() {
        let bytes = ReceiverReport {
            ssrc: 1,
            source: 7,
            lost: u32::MAX,
            ..ReceiverReport::default()
        }
        .write();
        assert_eq!((bytes.len(), usize::from(bytes[3])), (32, 7));
        assert_eq!(bytes[12..16], [0, 0x7f, 0xff, 0xff]);
        assert!(reports(&bytes).unwrap().is_empty());
    }
}
