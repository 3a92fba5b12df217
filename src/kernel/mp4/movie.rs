//! What comes first: the file type and the movie box (ISO/IEC 14496-12, 4.3, 8.2 to 8.6, 8.8.1 to 8.8.3).

use super::boxes::{put_box, put_full_box};
use super::sample_entry::{Shape, TrackConfig};
use crate::kernel::buf::Put;

/// Number of the track of pictures.
pub const VIDEO_TRACK: u32 = 1;
/// Number of the track of sound.
pub const AUDIO_TRACK: u32 = 2;

/// Ticks a second of the movie header, whose durations are all zero in a fragmented file.
const MOVIE_TIMESCALE: u32 = 1000;
/// Sample flags of what decoding can start with: sample_depends_on 2.
pub const SYNC_FLAGS: u32 = 0x0200_0000;
/// Sample flags of other pictures: sample_depends_on 1, sample_is_non_sync_sample.
pub const NON_SYNC_FLAGS: u32 = 0x0101_0000;
/// Rows of the matrix that leaves pictures as they are.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// Appends the initialisation segment of a fragmented file: its samples come in fragments, its duration is not told.
pub fn put_init(out: &mut Vec<u8>, tracks: &[TrackConfig]) {
    put_file_type(out, tracks);
    put_init_movie(out, tracks);
}

/// Appends the movie box of an initialisation segment alone.
pub fn put_init_movie(out: &mut Vec<u8>, tracks: &[TrackConfig]) {
    put_box(out, b"moov", |out| {
        put_movie_header(out, 0);
        for track in tracks {
            put_track(out, track, Extent::default(), put_empty_tables);
        }
        put_box(out, b"mvex", |out| {
            for track in tracks {
                put_track_extends(out, track);
            }
        });
    });
}

/// A file of one track is CMAF.
fn put_file_type(out: &mut Vec<u8>, tracks: &[TrackConfig]) {
    put_box(out, b"ftyp", |out| {
        out.put_slice(b"iso6");
        out.put_u32(0);
        out.put_slice(b"iso6mp41");
        if tracks.len() == 1 {
            out.put_slice(b"cmfc");
        }
    });
}

/// Appends the movie header; the duration is in milliseconds.
pub fn put_movie_header(out: &mut Vec<u8>, duration_ms: u32) {
    put_full_box(out, b"mvhd", 0, 0, |out| {
        // Times of creation and of change: none, so that equal media give equal bytes.
        out.put_u32(0);
        out.put_u32(0);
        out.put_u32(MOVIE_TIMESCALE);
        out.put_u32(duration_ms);
        // rate 1.0, volume 1.0, reserved.
        out.put_u32(0x1_0000);
        out.put_u16(0x0100);
        out.put_slice(&[0; 10]);
        put_matrix(out);
        out.put_slice(&[0; 24]);
        // next_track_ID
        out.put_u32(AUDIO_TRACK + 1);
    });
}

/// When a track begins and how long it is; all zero in a fragmented file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// From the beginning of the movie to that of the track, milliseconds.
    pub delay_ms: u32,
    /// How long the track is, ticks.
    pub ticks: u64,
}

impl Extent {
    fn duration_ms(self, track: &TrackConfig) -> u32 {
        let ms = self.ticks.saturating_mul(1000) / u64::from(track.timescale.max(1));
        u32::try_from(ms).unwrap_or(u32::MAX)
    }

    /// Where the track ends in the movie, milliseconds.
    pub fn end_ms(self, track: &TrackConfig) -> u32 {
        self.delay_ms.saturating_add(self.duration_ms(track))
    }
}

/// Appends a track; `tables` writes where its samples are (stts to stco).
pub fn put_track(out: &mut Vec<u8>, track: &TrackConfig, extent: Extent, tables: impl FnOnce(&mut Vec<u8>)) {
    put_box(out, b"trak", |out| {
        put_track_header(out, track, extent.end_ms(track));
        put_edits(out, extent.delay_ms, extent.duration_ms(track));
        put_box(out, b"mdia", |out| {
            put_media_header(out, track.timescale, extent.ticks);
            let (handler, name): (&[u8; 4], &[u8]) = match track.shape {
                Shape::Video { .. } => (b"vide", b"VideoHandler\0"),
                Shape::Audio { .. } => (b"soun", b"SoundHandler\0"),
            };
            put_full_box(out, b"hdlr", 0, 0, |out| {
                out.put_u32(0);
                out.put_slice(handler);
                out.put_slice(&[0; 12]);
                out.put_slice(name);
            });
            put_box(out, b"minf", |out| {
                match track.shape {
                    Shape::Video { .. } => put_full_box(out, b"vmhd", 0, 1, |out| out.put_slice(&[0; 8])),
                    Shape::Audio { .. } => put_full_box(out, b"smhd", 0, 0, |out| out.put_u32(0)),
                }
                put_data_information(out);
                put_box(out, b"stbl", |out| {
                    track.put_sample_description(out);
                    tables(out);
                });
            });
        });
    });
}

fn put_media_header(out: &mut Vec<u8>, timescale: u32, ticks: u64) {
    // At 90 kHz, 32 bits are 13 hours.
    let is_long = u32::try_from(ticks).is_err();
    put_full_box(out, b"mdhd", u8::from(is_long), 0, |out| {
        let mut put = |value: u64| match is_long {
            true => out.put_u64(value),
            false => out.put_u32(value as u32),
        };
        put(0);
        put(0);
        out.put_u32(timescale);
        match is_long {
            true => out.put_u64(ticks),
            false => out.put_u32(ticks as u32),
        }
        // The language is not told: "und", five bits a letter.
        out.put_u16(0x55c4);
        out.put_u16(0);
    });
}

/// A track that begins later than the movie is shown nothing of until then.
fn put_edits(out: &mut Vec<u8>, delay_ms: u32, duration_ms: u32) {
    if delay_ms == 0 {
        return;
    }
    put_box(out, b"edts", |out| {
        put_full_box(out, b"elst", 0, 0, |out| {
            out.put_u32(2);
            // Nothing, then all of it at its own speed.
            for (duration_ms, media_time) in [(delay_ms, u32::MAX), (duration_ms, 0)] {
                out.put_u32(duration_ms);
                out.put_u32(media_time);
                out.put_u32(0x1_0000);
            }
        });
    });
}

fn put_track_header(out: &mut Vec<u8>, track: &TrackConfig, duration_ms: u32) {
    // track_enabled, track_in_movie.
    put_full_box(out, b"tkhd", 0, 3, |out| {
        out.put_u32(0);
        out.put_u32(0);
        out.put_u32(track.track_id());
        out.put_u32(0);
        out.put_u32(duration_ms);
        // reserved, layer, alternate_group.
        out.put_slice(&[0; 12]);
        let (volume, width, height) = match track.shape {
            Shape::Video { width, height } => (0, width, height),
            Shape::Audio { .. } => (0x0100, 0, 0),
        };
        out.put_u16(volume);
        out.put_u16(0);
        put_matrix(out);
        out.put_u32(u32::from(width) << 16);
        out.put_u32(u32::from(height) << 16);
    });
}

fn put_matrix(out: &mut Vec<u8>) {
    MATRIX.iter().for_each(|value| out.put_u32(*value));
}

/// The samples are in this file.
fn put_data_information(out: &mut Vec<u8>) {
    put_box(out, b"dinf", |out| {
        put_full_box(out, b"dref", 0, 0, |out| {
            out.put_u32(1);
            put_full_box(out, b"url ", 0, 1, |_| {});
        });
    });
}

fn put_empty_tables(out: &mut Vec<u8>) {
    for kind in [b"stts", b"stsc"] {
        put_full_box(out, kind, 0, 0, |out| out.put_u32(0));
    }
    put_full_box(out, b"stsz", 0, 0, |out| out.put_u64(0));
    put_full_box(out, b"stco", 0, 0, |out| out.put_u32(0));
}

/// What fragments need not tell again.
fn put_track_extends(out: &mut Vec<u8>, track: &TrackConfig) {
    put_full_box(out, b"trex", 0, 0, |out| {
        out.put_u32(track.track_id());
        out.put_u32(1);
        out.put_u32(track.default_duration);
        out.put_u32(0);
        out.put_u32(if track.is_video() { NON_SYNC_FLAGS } else { SYNC_FLAGS });
    });
}
