//! MP4: the muxer between a publisher's messages and players.

use super::{check_error, checked};
use crate::kernel::flv::demux::{Demuxer as FlvDemuxer, Item};
use crate::kernel::frame::Frame;
use crate::kernel::mp4::boxes::Boxes;
use crate::kernel::mp4::demux::Demuxer;
use crate::kernel::mp4::{Fragment, Muxer, MuxerOptions, fragment};

/// A byte of options, then FLV tags.
///
/// Laws: what comes out are whole boxes; each fragment reads back with the initialisation segment that it names, and
/// holds no more than went in; a fragment that can be entered starts with a picture that decoding can start with; time
/// that is taken off changes nothing else.
pub fn mp4(input: &[u8]) {
    let Some((&options, tags)) = input.split_first() else {
        return;
    };
    let mut muxer = Muxer::new(MuxerOptions {
        audio: options & 1 == 0,
        video: options & 2 == 0,
        part_ms: u32::from(options >> 3) * 20,
        segment_type: options & 4 != 0,
    });
    let mut flv = FlvDemuxer::at_tag(0);
    flv.feed(tags);
    // Annex B grows by a byte for each start code of three bytes at the most.
    let (mut went_in, mut came_out) = (0, 0);
    while let Ok(Some(item)) = flv.pull() {
        let Item::Tag(tag) = item else { continue };
        went_in += tag.body.len() * 2 + 8;
        let mut out = Vec::new();
        let frame = Frame::new(tag.kind, tag.timestamp, tag.body);
        match muxer.write(&frame, &mut out) {
            Ok(Some(fragment)) => came_out += check_fragment(&muxer, &fragment, &mut out),
            Ok(None) => assert!(out.is_empty()),
            Err(error) => check_error(&error),
        }
    }
    let mut out = Vec::new();
    if let Some(fragment) = muxer.flush(&mut out) {
        came_out += check_fragment(&muxer, &fragment, &mut out);
    }
    assert!(came_out <= went_in, "{came_out} bytes of samples from {went_in}");
    read_anything(input);
}

/// Gives how many bytes its samples have.
fn check_fragment(muxer: &Muxer, fragment: &Fragment, out: &mut [u8]) -> usize {
    let whole: usize = Boxes::new(out).map(|found| found.contents.len() + 8).sum();
    assert_eq!(whole, out.len(), "a box is cut short");
    let mut init = Vec::new();
    muxer.init(&mut init);
    let Some(demuxer) = (!init.is_empty()).then(|| Demuxer::new(&init).expect("our own initialisation segment")) else {
        // The message that ended it configures its track anew.
        return 0;
    };
    let describe = |bytes: &[u8]| -> Vec<(u32, u32, i32, bool, usize)> {
        let samples = demuxer.samples(bytes).expect("our own fragment");
        let parts = samples.iter().map(|sample| {
            let length = sample.data.len();
            (sample.track, sample.duration, sample.composition, sample.sync, length)
        });
        parts.collect()
    };
    let samples = describe(out);
    let is_sync = samples.first().is_some_and(|first| first.3);
    assert!(
        !fragment.independent || samples.is_empty() || is_sync,
        "{fragment:?}: {samples:?}"
    );
    assert!(fragment.init > 0);
    let shift = fragment.start_ms;
    fragment::shift(out, |track| shift.saturating_mul(i64::from(track)));
    assert_eq!(describe(out), samples);
    samples.iter().map(|sample| sample.4).sum()
}

/// Any bytes as a file.
fn read_anything(input: &[u8]) {
    if let Some(demuxer) = checked(Demuxer::new(input)) {
        for sample in checked(demuxer.samples(input)).unwrap_or_default() {
            assert!(sample.data.len() <= input.len());
        }
    }
    let mut changed = input.to_vec();
    fragment::shift(&mut changed, |_| 1);
    assert_eq!(changed.len(), input.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_makes_fragments() {
        for name in ["H264Aac", "HevcAac", "Av1Opus", "Vp9Opus", "H264Mp3"] {
            let path = format!("{}/tests/fixtures/fuzz/mp4/{name}", env!("CARGO_MANIFEST_DIR"));
            let input = std::fs::read(path).expect("read an input");
            let mut flv = FlvDemuxer::at_tag(0);
            flv.feed(&input[1..]);
            let mut muxer = Muxer::new(MuxerOptions {
                audio: true,
                video: true,
                part_ms: 120,
                segment_type: false,
            });
            let mut fragments = 0;
            while let Ok(Some(Item::Tag(tag))) = flv.pull() {
                let frame = Frame::new(tag.kind, tag.timestamp, tag.body);
                fragments += usize::from(muxer.write(&frame, &mut Vec::new()).expect("a message").is_some());
            }
            assert!(
                fragments > 0 && muxer.tracks().len() == 2,
                "{name}: {fragments} fragments"
            );
        }
    }
}
