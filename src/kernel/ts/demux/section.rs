//! Reads program specific information (ISO/IEC 13818-1, 2.4.4): puts sections together, and says what the association
//! and the map tell.

use crate::core::limits::TS_STREAMS;
use crate::kernel::buf::Reader;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::ts::psi::{CRC, StreamType};

const PAT_TABLE_ID: u8 = 0;
const PMT_TABLE_ID: u8 = 2;
/// table_id of the bytes behind the last section of a packet.
const STUFFING: u8 = 0xff;
/// A section with its three first bytes: section_length is at most 1021 (2.4.4.3).
const SECTION_BYTES_MAX: usize = 1024;
/// What stands before a section's own fields, from table_id on, and its check sum.
const HEAD_BYTES: usize = 8;
const CRC_BYTES: usize = 4;

/// Puts the sections of one PID together.
#[derive(Clone, Debug, Default)]
pub struct Assembler {
    /// A section that has begun.
    partial: Vec<u8>,
}

impl Assembler {
    /// Forgets what has begun: packets were lost.
    pub fn reset(&mut self) {
        self.partial.clear();
    }

    /// Takes a packet's payload and gives the sections that end in it to `each`. What cannot be a section is dropped.
    pub fn push(&mut self, unit_start: bool, payload: &[u8], mut each: impl FnMut(&[u8])) {
        let mut rest = payload;
        if unit_start {
            let Some((pointer, behind)) = payload.split_first() else {
                return self.reset();
            };
            let Some((tail, behind)) = behind.split_at_checked(usize::from(*pointer)) else {
                return self.reset();
            };
            if !self.partial.is_empty() {
                self.extend(tail, &mut each);
            }
            self.reset();
            rest = behind;
        } else if self.partial.is_empty() {
            return;
        }
        self.extend(rest, &mut each);
    }

    fn extend(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) {
        self.partial.extend_from_slice(bytes);
        let mut rest = self.partial.as_slice();
        while let [table_id, length1, length0, ..] = *rest {
            let length = 3 + usize::from(u16::from_be_bytes([length1 & 0x0f, length0]));
            if table_id == STUFFING || length > SECTION_BYTES_MAX {
                rest = &[];
                break;
            }
            let Some((section, behind)) = rest.split_at_checked(length) else {
                break;
            };
            each(section);
            rest = behind;
        }
        // Fewer than three bytes of stuffing tell nothing.
        if rest.first() == Some(&STUFFING) {
            rest = &[];
        }
        let used = self.partial.len() - rest.len();
        self.partial.drain(..used);
    }
}

/// The PID of the map of the first program; none if there is no program in this section, or it is not in force yet.
/// Fails with [`ErrorCode::CasterTsPat`], or with [`ErrorCode::CasterTsCrc32`].
pub fn map_pid(section: &[u8]) -> Result<Option<u16>> {
    let Some(mut body) = open(section, PAT_TABLE_ID, ErrorCode::CasterTsPat)? else {
        return Ok(None);
    };
    while !body.is_empty() {
        let number = body.u16("program_number")?;
        let pid = body.u16("program_map_PID")? & 0x1fff;
        // Program 0 is the network's own table.
        if number != 0 {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// One stream of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Which packets carry it.
    pub pid: u16,
    /// stream_type, as it was told.
    pub number: u8,
    /// How it is coded; none if it is not understood.
    pub coding: Option<StreamType>,
}

/// The streams of a program; none if the section is not in force yet. Fails with [`ErrorCode::CasterTsPmt`], or with
/// [`ErrorCode::CasterTsCrc32`].
pub fn streams(section: &[u8]) -> Result<Option<Vec<Stream>>> {
    let Some(mut body) = open(section, PMT_TABLE_ID, ErrorCode::CasterTsPmt)? else {
        return Ok(None);
    };
    body.skip(2, "PCR_PID")?;
    let info_bytes = usize::from(body.u16("program_info_length")? & 0x0fff);
    body.skip(info_bytes, "program descriptors")?;
    let mut streams = Vec::new();
    while !body.is_empty() && streams.len() < TS_STREAMS {
        let number = body.u8("stream_type")?;
        let pid = body.u16("elementary_PID")? & 0x1fff;
        let info_bytes = usize::from(body.u16("ES_info_length")? & 0x0fff);
        let descriptors = body.bytes(info_bytes, "stream descriptors")?;
        let coding = coding(number, descriptors);
        streams.push(Stream { pid, number, coding });
    }
    Ok(Some(streams))
}

fn coding(number: u8, descriptors: &[u8]) -> Option<StreamType> {
    match number {
        0x1b => Some(StreamType::H264),
        0x24 => Some(StreamType::Hevc),
        0x0f => Some(StreamType::Aac),
        0x03 | 0x04 => Some(StreamType::Mp3),
        0x06 => opus(descriptors),
        _ => None,
    }
}

/// Opus is private data with two descriptors: who it is, and how many channels it has.
fn opus(mut descriptors: &[u8]) -> Option<StreamType> {
    let (mut is_opus, mut channels) = (false, 2);
    while let [tag, length, rest @ ..] = descriptors {
        let (body, rest) = rest.split_at_checked(usize::from(*length))?;
        match (tag, body) {
            (0x05, [b'O', b'p', b'u', b's', ..]) => is_opus = true,
            (0x7f, [0x80, code @ 1..=8, ..]) => channels = *code,
            _ => {}
        }
        descriptors = rest;
    }
    is_opus.then_some(StreamType::Opus(channels))
}

/// The fields of a section between its head and its check sum; none if it is not in force yet (current_next_indicator).
fn open(section: &[u8], table_id: u8, code: ErrorCode) -> Result<Option<Reader<'_>>> {
    let (Some([id, _, _, _, _, version, ..]), Some(body)) = (
        section.first_chunk::<HEAD_BYTES>(),
        section.get(HEAD_BYTES..section.len().saturating_sub(CRC_BYTES)),
    ) else {
        return Err(Error::new(code, format!("TS section of {} bytes", section.len())));
    };
    if *id != table_id {
        return Err(Error::new(code, format!("TS table_id is {id}, not {table_id}")));
    }
    if CRC.checksum(section) != 0 {
        let text = format!("TS section of table {table_id} has a wrong check sum");
        return Err(Error::new(ErrorCode::CasterTsCrc32, text));
    }
    Ok((version & 1 == 1).then(|| Reader::new(body, code)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::ts::psi::{AUDIO_PID, PMT_PID, Program, VIDEO_PID, association_section};

    fn program() -> Program {
        Program {
            video: Some(StreamType::Hevc),
            audio: Some(StreamType::Opus(6)),
            clock_on_audio: false,
        }
    }

    fn sections(packets: &[(bool, &[u8])]) -> Vec<Vec<u8>> {
        let (mut assembler, mut out) = (Assembler::default(), Vec::new());
        for (unit_start, payload) in packets {
            assembler.push(*unit_start, payload, |section| out.push(section.to_vec()));
        }
        out
    }

    #[test]
    fn what_our_tables_tell_is_read() {
        assert_eq!(map_pid(&association_section()).unwrap(), Some(PMT_PID));
        let expected = [
            Stream {
                pid: VIDEO_PID,
                number: 0x24,
                coding: Some(StreamType::Hevc),
            },
            Stream {
                pid: AUDIO_PID,
                number: 6,
                coding: Some(StreamType::Opus(6)),
            },
        ];
        assert_eq!(streams(&program().map_section(3)).unwrap().unwrap(), expected);
    }

    #[test]
    fn cut_and_changed_sections_are_refused() {
        let section = program().map_section(0);
        for cut in 0..section.len() {
            assert!(streams(&section[..cut]).is_err());
            assert!(map_pid(&section[..cut]).is_err());
        }
        for at in 0..section.len() {
            let mut changed = section.clone();
            changed[at] ^= 0x10;
            assert!(streams(&changed).is_err(), "byte {at}");
        }
        // With the right check sum, whatever it says.
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..5000 {
            let mut changed = section[..section.len() - CRC_BYTES].to_vec();
            let at = random.usize(..changed.len());
            changed[at] = random.u8(..);
            changed.extend(CRC.checksum(&changed).to_be_bytes());
            let _ = (streams(&changed), map_pid(&changed));
        }
    }

    #[test]
    fn a_table_of_the_future_says_nothing() {
        let mut section = association_section();
        let length = section.len() - CRC_BYTES;
        section[5] &= 0xfe;
        section.truncate(length);
        section.extend(CRC.checksum(&section).to_be_bytes());
        assert_eq!(map_pid(&section).unwrap(), None);
    }

    #[test]
    fn sections_go_over_packets_and_share_them() {
        let (pat, pmt) = (association_section(), program().map_section(0));
        let both = [&[0][..], &pat, &pmt, &[0xff; 20]].concat();
        assert_eq!(sections(&[(true, &both)]), [pat.clone(), pmt.clone()]);
        for cut in 1..pmt.len() {
            let first = [&[0][..], &pmt[..cut]].concat();
            let goes_on = sections(&[(true, &first), (false, &pmt[cut..])]);
            assert_eq!(goes_on, std::slice::from_ref(&pmt));
            let pointer = [&[(pmt.len() - cut) as u8][..], &pmt[cut..], &pat].concat();
            assert_eq!(
                sections(&[(true, &first), (true, &pointer)]),
                [pmt.clone(), pat.clone()]
            );
        }
        assert!(sections(&[(false, &pat), (true, &[]), (true, &[9, 1])]).is_empty());
        assert!(sections(&[(true, &[0, 2, 0xff, 0xff, 0]), (false, &[0; 2000])]).is_empty());
    }
}
