//! RTSP: messages, descriptions, and the packets of media.

use bytes::{Bytes, BytesMut};

use super::{Pieces, checked, split_seed};
use crate::protocol::rtp::payload::{AacDepacketizer, AvcDepacketizer, HevcDepacketizer};
use crate::protocol::rtp::reorder::Ordered;
use crate::protocol::rtp::{Packet, Reorder, rtcp};
use crate::protocol::rtsp::{self, Item};
use crate::protocol::sdp::SessionDescription;

/// Two bytes of seed, then what a publisher sends over its connection.
///
/// Laws: what is read does not depend on how the bytes are cut; a packet that is read can be written and reads back;
/// access units hold no more than the packets did.
pub fn publisher(input: &[u8]) {
    let Some((seed, bytes)) = split_seed(input) else {
        return;
    };
    let whole = pull_all(std::iter::once(bytes));
    assert_eq!(
        whole,
        pull_all(Pieces::new(bytes, seed)),
        "cuts of seed {seed} change what is read"
    );
    let mut reorder = Reorder::default();
    for item in &whole {
        match item {
            Item::Request(request) => {
                let text = String::from_utf8_lossy(&request.body);
                let _ = (
                    request.path(),
                    request.host(),
                    checked(SessionDescription::parse(&text)),
                );
            }
            Item::Packet { data, .. } => take_packet(data, &mut reorder),
        }
    }
    let packets: Vec<Ordered> = std::iter::from_fn(|| reorder.pop()).collect();
    depacketize(&packets);
}

fn pull_all<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Item> {
    let (mut buffer, mut items) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match checked(rtsp::pull(&mut buffer)) {
                Some(Some(item)) => items.push(item),
                Some(None) => break,
                None => return items,
            }
        }
    }
    items
}

fn take_packet(data: &Bytes, reorder: &mut Reorder) {
    let _ = checked(rtcp::reports(data));
    let Some(packet) = checked(Packet::parse(data)) else {
        return;
    };
    let mut written = Vec::new();
    packet.write(&mut written);
    assert_eq!(checked(Packet::parse(&written.into())).as_ref(), Some(&packet));
    reorder.push(packet);
}

fn depacketize(packets: &[Ordered]) {
    let (mut avc, mut hevc) = (AvcDepacketizer::default(), HevcDepacketizer::default());
    let mut aac = AacDepacketizer::new(13, 3).expect("the lengths of AAC-hbr");
    let (mut units, mut more, mut frames) = (Vec::new(), Vec::new(), Vec::new());
    for packet in packets {
        let _ = checked(avc.push(packet, &mut units));
        let _ = checked(hevc.push(packet, &mut more));
        let _ = checked(aac.push(packet, &mut frames));
    }
    let total: usize = packets.iter().map(|ordered| ordered.packet.payload.len()).sum();
    for units in [units, more] {
        let nals = units.iter().flat_map(|unit| &unit.nals);
        // A fragment's two bytes of header become at most two of the whole.
        assert!(nals.map(Bytes::len).sum::<usize>() <= total);
    }
    assert!(frames.iter().map(Bytes::len).sum::<usize>() <= total);
}
