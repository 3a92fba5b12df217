//! Fragments: a movie fragment box and the samples that it tells of (ISO/IEC 14496-12, 8.8.4 to 8.8.8, 8.8.12, 8.16.2).

use bytes::Bytes;

use super::boxes::{self, Boxes, put_box, put_full_box, set_u32};
use super::movie::SYNC_FLAGS;
use super::sample_entry::TrackConfig;
use crate::kernel::buf::Put;

const TFHD_DEFAULT_DURATION: u32 = 0x8;
const TFHD_DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
const TRUN_DATA_OFFSET: u32 = 0x1;
const TRUN_FIRST_SAMPLE_FLAGS: u32 = 0x4;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_COMPOSITION: u32 = 0x800;

/// One sample: a picture, or a message of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Ticks of the track's timescale.
    pub duration: u32,
    /// Presentation minus decoding time, ticks.
    pub composition: i32,
    /// The coded bytes.
    pub data: Bytes,
}

/// Samples of one track that follow each other.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The track.
    pub track: &'a TrackConfig,
    /// Decoding time of the first sample, ticks.
    pub start: u64,
    /// Decoding can start with the first sample; for sound it always can.
    pub starts_with_sync: bool,
    /// All of them; none leaves the track out.
    pub samples: &'a [Sample],
}

/// Appends a segment type box, which opens a segment of DASH or HLS.
pub fn put_segment_type(out: &mut Vec<u8>) {
    put_box(out, b"styp", |out| {
        out.put_slice(b"msdh");
        out.put_u32(0);
        out.put_slice(b"msdhmsix");
    });
}

/// Appends a fragment: `moof`, and the samples in `mdat`, those of one track behind those of the other.
pub fn put_fragment(out: &mut Vec<u8>, sequence_number: u32, runs: &[Run<'_>]) {
    let start = out.len();
    let runs = || runs.iter().filter(|run| !run.samples.is_empty());
    // At most two tracks; where each one's data_offset stands.
    let mut offsets = [0; 2];
    put_box(out, b"moof", |out| {
        put_full_box(out, b"mfhd", 0, 0, |out| out.put_u32(sequence_number));
        for (run, offset) in runs().zip(&mut offsets) {
            *offset = put_track_fragment(out, run);
        }
    });
    for (run, offset) in runs().zip(offsets) {
        let before: usize = runs()
            .take_while(|other| other.track.track_id() != run.track.track_id())
            .map(|other| bytes_of(other.samples))
            .sum();
        let from_moof = out.len() - start + boxes::HEADER_BYTES + before;
        set_u32(out, offset, u32::try_from(from_moof).unwrap_or_default());
    }
    put_box(out, b"mdat", |out| {
        for sample in runs().flat_map(|run| run.samples) {
            out.put_slice(&sample.data);
        }
    });
}

/// Gives where the data_offset stands.
fn put_track_fragment(out: &mut Vec<u8>, run: &Run<'_>) -> usize {
    let first_duration = run.samples.first().map_or(0, |sample| sample.duration);
    let is_uniform = run.samples.iter().all(|sample| sample.duration == first_duration);
    let mut offset_at = 0;
    put_box(out, b"traf", |out| {
        let tells_duration = is_uniform && first_duration != run.track.default_duration;
        let flags = TFHD_DEFAULT_BASE_IS_MOOF | if tells_duration { TFHD_DEFAULT_DURATION } else { 0 };
        put_full_box(out, b"tfhd", 0, flags, |out| {
            out.put_u32(run.track.track_id());
            if tells_duration {
                out.put_u32(first_duration);
            }
        });
        put_full_box(out, b"tfdt", 1, 0, |out| out.put_u64(run.start));
        let mut flags = TRUN_DATA_OFFSET | TRUN_SIZE;
        let first_flags = run.track.is_video() && run.starts_with_sync;
        let has_composition = run.samples.iter().any(|sample| sample.composition != 0);
        for (is_set, flag) in [
            (first_flags, TRUN_FIRST_SAMPLE_FLAGS),
            (!is_uniform, TRUN_DURATION),
            (has_composition, TRUN_COMPOSITION),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        put_full_box(out, b"trun", 1, flags, |out| {
            out.put_u32(u32::try_from(run.samples.len()).unwrap_or_default());
            offset_at = out.len();
            out.put_u32(0);
            if first_flags {
                out.put_u32(SYNC_FLAGS);
            }
            for sample in run.samples {
                if !is_uniform {
                    out.put_u32(sample.duration);
                }
                out.put_u32(u32::try_from(sample.data.len()).unwrap_or_default());
                if has_composition {
                    out.put_slice(&sample.composition.to_be_bytes());
                }
            }
        });
    });
    offset_at
}

fn bytes_of(samples: &[Sample]) -> usize {
    samples.iter().map(|sample| sample.data.len()).sum()
}

/// Takes time off all fragments that `put_fragment` wrote to `bytes`: `ticks` gives how much for each track. Decoding
/// times do not go below zero.
pub fn shift(bytes: &mut [u8], ticks: impl Fn(u32) -> i64) {
    let mut times = Vec::new();
    for moof in Boxes::new(bytes).filter(|found| found.kind == *b"moof") {
        let in_moof = moof.start + boxes::HEADER_BYTES;
        for traf in Boxes::new(moof.contents).filter(|found| found.kind == *b"traf") {
            let in_traf = in_moof + traf.start + boxes::HEADER_BYTES;
            let inner = |kind: &[u8; 4]| Boxes::new(traf.contents).find(|found| found.kind == *kind);
            let (Some(header), Some(time)) = (inner(b"tfhd"), inner(b"tfdt")) else {
                continue;
            };
            let track = header.contents.get(4..).and_then(<[u8]>::first_chunk);
            let start = time.contents.get(4..).and_then(<[u8]>::first_chunk);
            if let (Some(track), Some(start)) = (track, start) {
                let shifted = u64::from_be_bytes(*start)
                    .saturating_add_signed(ticks(u32::from_be_bytes(*track)).saturating_neg());
                times.push((in_traf + time.start + boxes::HEADER_BYTES + 4, shifted));
            }
        }
    }
    for (at, time) in times {
        if let Some(field) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *field = time.to_be_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::audio::AudioFormat;
    use super::super::demux::{self, Demuxer};
    use super::super::movie;
    use super::super::video::VideoFormat;
    use super::*;
    use crate::kernel::codec::{AudioCodec, VideoCodec};

    fn tracks() -> [TrackConfig; 2] {
        let mut video = VideoFormat::parse(VideoCodec::Vp9, &[0, 31, 0x82, 2, 2, 2, 0, 0])
            .unwrap()
            .unwrap();
        video
            .learn_size(&[0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30, 0])
            .unwrap();
        let audio = AudioFormat::parse(AudioCodec::Aac, &[0x12, 0x10]).unwrap().unwrap();
        [video.config().unwrap().clone(), audio.config().clone()]
    }

    fn sample(duration: u32, composition: i32, data: &'static [u8]) -> Sample {
        Sample {
            duration,
            composition,
            data: Bytes::from_static(data),
        }
    }

    fn fragment(tracks: &[TrackConfig; 2]) -> Vec<u8> {
        let pictures = [
            sample(3600, 7200, b"key"),
            sample(3000, -3600, b"b"),
            sample(3600, 0, b""),
        ];
        let sounds = [sample(1024, 0, b"sound"), sample(1024, 0, b"more")];
        let run = |track, start, samples| Run {
            track,
            start,
            starts_with_sync: true,
            samples,
        };
        let mut out = Vec::new();
        let runs = [
            run(&tracks[0], 90_000, &pictures),
            run(&tracks[1], u64::MAX - 5000, &sounds),
        ];
        put_fragment(&mut out, 7, &runs);
        out
    }

    fn read<'a>(tracks: &[TrackConfig], bytes: &'a [u8]) -> Vec<demux::Sample<'a>> {
        let mut init = Vec::new();
        movie::put_init(&mut init, tracks);
        Demuxer::new(&init).unwrap().samples(bytes).unwrap()
    }

    #[test]
    fn samples_read_back_as_they_were_written() {
        let tracks = tracks();
        let out = [b"\0\0\0\x08free", &fragment(&tracks)[..]].concat();
        let read = read(&tracks, &out);
        let of = |track| {
            let samples = read.iter().filter(move |sample| sample.track == track);
            samples.map(|sample| {
                (
                    sample.time,
                    sample.duration,
                    sample.composition,
                    sample.sync,
                    sample.data,
                )
            })
        };
        let pictures: Vec<_> = of(1).collect();
        let expected: [(u64, u32, i32, bool, &[u8]); 3] = [
            (90_000, 3600, 7200, true, b"key"),
            (93_600, 3000, -3600, false, b"b"),
            (96_600, 3600, 0, false, b""),
        ];
        assert_eq!(pictures, expected);
        let sounds: Vec<_> = of(2).collect();
        let late = u64::MAX - 5000;
        let expected: [(u64, u32, i32, bool, &[u8]); 2] =
            [(late, 1024, 0, true, b"sound"), (late + 1024, 1024, 0, true, b"more")];
        assert_eq!(sounds, expected);
    }

    #[test]
    fn a_fragment_without_one_track_is_small() {
        let tracks = tracks();
        let sounds = [sample(1024, 0, b"sound")];
        let run = |track, samples| Run {
            track,
            start: 0,
            starts_with_sync: false,
            samples,
        };
        let mut out = Vec::new();
        put_fragment(&mut out, 1, &[run(&tracks[0], &[]), run(&tracks[1], &sounds)]);
        // moof 8, mfhd 16, traf 8, tfhd 16, tfdt 20, trun 24, mdat 8.
        assert_eq!(out.len(), 100 + 5);
        assert_eq!(read(&tracks, &out)[0].data, b"sound");
    }

    #[test]
    fn time_is_taken_off_each_track() {
        let tracks = tracks();
        let mut out = [fragment(&tracks), fragment(&tracks)].concat();
        shift(&mut out, |track| if track == 1 { 80_000 } else { 100_000 });
        let starts = |out: &[u8]| {
            let read = read(&tracks, out);
            [0, 3, 5, 8].map(|index| read[index].time)
        };
        assert_eq!(starts(&out), [10_000, u64::MAX - 105_000, 10_000, u64::MAX - 105_000]);
        shift(&mut out, |_| i64::MAX);
        assert_eq!(starts(&out)[0], 0);
        shift(&mut out, |_| i64::MIN);
        assert_eq!(starts(&out)[0], i64::MAX as u64);
        for cut in 0..out.len() {
            shift(&mut out[..cut], |_| 1);
        }
        let mut random = fastrand::Rng::with_seed(33);
        for _ in 0..3000 {
            let mut changed = out.clone();
            let at = random.usize(..200);
            changed[at] = random.u8(..);
            shift(&mut changed, |_| 1);
            let mut init = Vec::new();
            movie::put_init(&mut init, &tracks);
            let _ = Demuxer::new(&init).unwrap().samples(&changed);
        }
    }
}
