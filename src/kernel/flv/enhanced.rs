//! What enhanced audio and video tags have in common (Enhanced RTMP v2): ModEx chains, FourCC, multitrack.
//!
//! Runs for each message of a live stream, so a fault is a fixed text here; [`fault`] makes it an error for callers
//! that want one.

use crate::core::limits::FLV_MOD_EX_CHAIN;
use crate::kernel::error::Error;
use crate::kernel::error_code::ErrorCode;

/// A value, or what was wrong.
pub(super) type Parsed<T> = std::result::Result<T, &'static str>;

const PACKET_MOD_EX: u8 = 7;
/// ModEx type 0: three bytes with the presentation time's nanoseconds.
const MOD_EX_NANO_OFFSET: u8 = 0;

/// How the tracks of a message are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Not a multitrack message; its track is 0.
    Single,
    /// A multitrack message with one track.
    OneTrack,
    /// Several tracks of one codec.
    ManyTracks,
    /// Several tracks, each with its codec.
    ManyTracksManyCodecs,
}

/// The packet type behind all ModEx prefixes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    pub packet_type: u8,
    /// Nanoseconds to add to the presentation time, below 1,000,000 when the sender keeps to the specification.
    pub nano_offset: u32,
}

/// How to cut a message into tracks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub packet_type: u8,
    pub layout: Layout,
    /// The codec of all tracks; of no meaning with [`Layout::ManyTracksManyCodecs`].
    four_cc: [u8; 4],
}

/// One track of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track<'a> {
    pub four_cc: [u8; 4],
    pub id: u8,
    pub body: &'a [u8],
}

/// Takes `N` bytes off the front of `rest`; `what` is the fault if there are fewer.
pub(super) fn take<const N: usize>(rest: &mut &[u8], what: &'static str) -> Parsed<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(what)?;
    *rest = tail;
    Ok(*head)
}

/// Passes over ModEx prefixes. `packet_type` is the low half of the tag's first byte, `rest` starts behind that byte.
pub(super) fn mod_ex(packet_type: u8, rest: &mut &[u8]) -> Parsed<Prefix> {
    let mut prefix = Prefix {
        packet_type,
        nano_offset: 0,
    };
    for _ in 0..=FLV_MOD_EX_CHAIN {
        if prefix.packet_type != PACKET_MOD_EX {
            return Ok(prefix);
        }
        let [short] = take(rest, "ModEx size is cut short")?;
        let mut size = usize::from(short) + 1;
        if size == 256 {
            size = usize::from(u16::from_be_bytes(take(rest, "ModEx long size is cut short")?)) + 1;
        }
        let (data, tail) = rest.split_at_checked(size).ok_or("ModEx data is cut short")?;
        *rest = tail;
        let [types] = take(rest, "ModEx type is cut short")?;
        if types >> 4 == MOD_EX_NANO_OFFSET {
            let mut data = data;
            prefix.nano_offset = take_u24(&mut data, "ModEx nanosecond offset is cut short")?;
        }
        prefix.packet_type = types & 0x0f;
    }
    Err("ModEx chain is too long")
}

/// Reads the multitrack byte, if `packet_type` is `multitrack`, and the FourCC.
pub(super) fn head(packet_type: u8, multitrack: u8, rest: &mut &[u8]) -> Parsed<Head> {
    let (mut packet_type, mut layout) = (packet_type, Layout::Single);
    if packet_type == multitrack {
        let [types] = take(rest, "multitrack type is cut short")?;
        packet_type = types & 0x0f;
        layout = match types >> 4 {
            0 => Layout::OneTrack,
            1 => Layout::ManyTracks,
            2 => Layout::ManyTracksManyCodecs,
            _ => return Err("multitrack type is above 2"),
        };
        if packet_type == multitrack || packet_type == PACKET_MOD_EX {
            return Err("packet type inside multitrack is multitrack or ModEx");
        }
    }
    let four_cc = if layout == Layout::ManyTracksManyCodecs {
        [0; 4]
    } else {
        four_cc(rest)?
    };
    Ok(Head {
        packet_type,
        layout,
        four_cc,
    })
}

impl Head {
    /// Cuts the next track off `rest`.
    pub(super) fn track<'a>(&self, rest: &mut &'a [u8]) -> Parsed<Track<'a>> {
        let mut track = Track {
            four_cc: self.four_cc,
            id: 0,
            body: &[],
        };
        if self.layout == Layout::ManyTracksManyCodecs {
            track.four_cc = four_cc(rest)?;
        }
        if self.layout != Layout::Single {
            [track.id] = take(rest, "track id is cut short")?;
        }
        let size = match self.layout {
            Layout::Single | Layout::OneTrack => rest.len(),
            Layout::ManyTracks | Layout::ManyTracksManyCodecs => take_u24(rest, "track size is cut short")?
                .try_into()
                .unwrap_or(usize::MAX),
        };
        let (body, tail) = rest.split_at_checked(size).ok_or("track is larger than its message")?;
        track.body = body;
        *rest = tail;
        Ok(track)
    }
}

/// Three bytes, big-endian.
pub(super) fn take_u24(rest: &mut &[u8], what: &'static str) -> Parsed<u32> {
    let [a, b, c] = take(rest, what)?;
    Ok(u32::from_be_bytes([0, a, b, c]))
}

/// Three bytes, big-endian, sign extended: a composition time.
pub(super) fn take_i24(rest: &mut &[u8], what: &'static str) -> Parsed<i32> {
    let [a, b, c] = take(rest, what)?;
    Ok(i32::from_be_bytes([a, b, c, 0]) >> 8)
}

/// An error for a fault, with the tag's first bytes.
#[cold]
pub(super) fn fault(code: ErrorCode, tag: &'static str, what: &'static str, body: &[u8]) -> Error {
    let start = &body[..body.len().min(8)];
    Error::new(code, format!("{tag} tag of {} bytes, {start:02x?}: {what}", body.len()))
}

/// Four printable characters; anything else is no FourCC but garbage.
fn four_cc(rest: &mut &[u8]) -> Parsed<[u8; 4]> {
    let four_cc: [u8; 4] = take(rest, "FourCC is cut short")?;
    if !four_cc.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Err("FourCC is not text");
    }
    Ok(four_cc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_come_out_of_a_chain() {
        // An unknown ModEx of type 3 with two bytes, then the nanosecond offset, then packet type 1.
        let mut rest: &[u8] = &[1, 0xaa, 0xbb, 0x37, 2, 0x01, 0x02, 0x03, 0x01, 0xee];
        let prefix = mod_ex(7, &mut rest).unwrap();
        assert_eq!((prefix.packet_type, prefix.nano_offset), (1, 0x01_0203));
        assert_eq!(rest, [0xee]);
    }

    #[test]
    fn long_sizes_are_two_more_bytes() {
        let mut bytes = vec![255, 0x01, 0x00];
        bytes.extend([9; 257]);
        bytes.extend([0x10, 0x42]);
        let mut rest: &[u8] = &bytes;
        assert_eq!(mod_ex(7, &mut rest).unwrap().packet_type, 0);
        assert_eq!(rest, [0x42]);
        for cut in 0..bytes.len() - 1 {
            assert!(mod_ex(7, &mut &bytes[..cut]).is_err(), "{cut} bytes");
        }
    }

    #[test]
    fn a_chain_has_an_end() {
        let link = [0, 0, 0x17];
        let mut longest = link.repeat(FLV_MOD_EX_CHAIN);
        *longest.last_mut().unwrap() = 0x11;
        assert_eq!(mod_ex(7, &mut &longest[..]).unwrap().packet_type, 1);
        let endless = link.repeat(FLV_MOD_EX_CHAIN * 8);
        assert_eq!(mod_ex(7, &mut &endless[..]).unwrap_err(), "ModEx chain is too long");
    }

    #[test]
    fn track_sizes_stay_inside_the_message() {
        let many = Head {
            packet_type: 1,
            layout: Layout::ManyTracks,
            four_cc: *b"avc1",
        };
        let mut rest: &[u8] = &[5, 0, 0, 2, 0xaa, 0xbb, 6, 0xff, 0xff, 0xff, 0xcc];
        let first = many.track(&mut rest).unwrap();
        assert_eq!((first.id, first.body), (5, &[0xaa, 0xbb][..]));
        assert_eq!(many.track(&mut rest).unwrap_err(), "track is larger than its message");
    }

    #[test]
    fn multitrack_does_not_nest() {
        assert!(head(6, 6, &mut &b"\x16avc1"[..]).is_err());
        assert!(head(6, 6, &mut &b"\x17avc1"[..]).is_err());
        assert!(head(6, 6, &mut &b"\x31avc1"[..]).is_err());
        assert!(head(6, 6, &mut &b"\x11avc1"[..]).is_ok());
        assert!(head(1, 6, &mut &b"av\x001"[..]).is_err());
    }
}
