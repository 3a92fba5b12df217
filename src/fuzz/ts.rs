//! MPEG-TS: what encoders push over UDP.

use super::{Pieces, check_error, split_seed};
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::ts::Remuxer;

/// Two bytes of seed, then a transport stream.
///
/// Laws: what comes out does not depend on how the bytes are cut; it is media whose facts are known, no more of it than
/// went in; pictures come behind their sequence header.
pub fn remux(input: &[u8]) {
    let Some((seed, bytes)) = split_seed(input) else {
        return;
    };
    let whole = pull_all(std::iter::once(bytes));
    let cut = pull_all(Pieces::new(bytes, seed));
    assert_eq!(parts(&whole), parts(&cut), "cuts of seed {seed} change what is read");
    let (mut has_header, mut total) = (false, 0);
    for frame in &whole {
        assert!(frame.kind != Kind::Data && frame.facts.codec.is_some(), "{frame:?}");
        assert!(frame.facts.coded || frame.facts.sequence_header, "{frame:?}");
        has_header |= frame.facts.is_video_sequence_header();
        assert!(has_header || frame.kind != Kind::Video);
        if frame.facts.coded {
            total += frame.payload.len();
        }
    }
    // A start code of three bytes becomes a length of four; each message starts with at most eight bytes of its own.
    assert!(total <= bytes.len() * 2 + whole.len() * 8, "{total} of {}", bytes.len());
}

fn pull_all<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Frame> {
    let (mut remuxer, mut frames) = (Remuxer::new(), Vec::new());
    let mut drain = |remuxer: &mut Remuxer| {
        loop {
            match remuxer.pull() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => check_error(&error),
            }
        }
    };
    for piece in pieces {
        remuxer.feed(piece);
        drain(&mut remuxer);
    }
    remuxer.finish();
    drain(&mut remuxer);
    frames
}

fn parts(frames: &[Frame]) -> Vec<(Kind, u32, &[u8])> {
    let parts = |frame| {
        let Frame {
            kind,
            timestamp,
            payload,
            ..
        }: &Frame = frame;
        (*kind, *timestamp, &payload[..])
    };
    frames.iter().map(parts).collect()
}
