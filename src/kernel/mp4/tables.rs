//! Where the samples of a track are in a file, as the movie box tells it (ISO/IEC 14496-12, 8.6.1, 8.6.2, 8.7).

use super::boxes::put_full_box;
use super::demux::Sample;
use super::movie::Extent;
use super::sample_entry::TrackConfig;
use crate::kernel::buf::Put;

/// The samples of one track, in as little memory as their tables take in the file.
#[derive(Clone, Debug)]
pub struct SampleTables {
    track: TrackConfig,
    /// Decoding time of the first sample, ticks.
    start: u64,
    /// Decoding time and duration of the last one.
    last: Option<(u64, u32)>,
    ticks: u64,
    sizes: Vec<u32>,
    /// How many samples in a row last so long.
    durations: Vec<(u32, u32)>,
    /// How many samples in a row are shown so much later.
    compositions: Vec<(u32, i32)>,
    /// Which samples decoding can start with, counting from 1; empty as long as all are such.
    syncs: Vec<u32>,
    has_others: bool,
    chunks: Vec<u64>,
    /// From which chunk on, counting from 1, a chunk has so many samples.
    chunk_samples: Vec<(u32, u32)>,
}

impl SampleTables {
    /// Tables of a track without samples.
    pub fn new(track: TrackConfig) -> Self {
        SampleTables {
            track,
            start: 0,
            last: None,
            ticks: 0,
            sizes: Vec::new(),
            durations: Vec::new(),
            compositions: Vec::new(),
            syncs: Vec::new(),
            has_others: false,
            chunks: Vec::new(),
            chunk_samples: Vec::new(),
        }
    }

    /// The track.
    pub fn track(&self) -> &TrackConfig {
        &self.track
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Memory that the tables take, bytes.
    pub fn bytes(&self) -> usize {
        4 * (self.sizes.len() + self.syncs.len())
            + 8 * (self.durations.len() + self.compositions.len() + self.chunks.len() + self.chunk_samples.len())
    }

    /// Adds samples that lie one behind the other from `offset` on.
    pub fn add_chunk(&mut self, samples: &[Sample<'_>], offset: u64) {
        if samples.is_empty() {
            return;
        }
        self.chunks.push(offset);
        let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        if self.chunk_samples.last().is_none_or(|(_, last)| *last != count) {
            let number = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
            self.chunk_samples.push((number, count));
        }
        samples.iter().for_each(|sample| self.add(sample));
    }

    fn add(&mut self, sample: &Sample<'_>) {
        match self.last {
            // The table has no gaps: the one before lasts until this one begins. After a step back time goes on.
            Some((time, duration)) => {
                let step = sample.time.checked_sub(time).filter(|step| *step > 0);
                self.end_last(step.unwrap_or(duration.into()));
            }
            None => self.start = sample.time,
        }
        self.last = Some((sample.time, sample.duration));
        self.sizes.push(u32::try_from(sample.data.len()).unwrap_or(u32::MAX));
        push_run(&mut self.compositions, sample.composition);
        self.note_sync(sample.sync);
    }

    /// Notes it of the sample that was added last.
    fn note_sync(&mut self, is_sync: bool) {
        let number = u32::try_from(self.sizes.len()).unwrap_or(u32::MAX);
        match (is_sync, self.has_others) {
            (true, true) => self.syncs.push(number),
            (false, false) => {
                self.has_others = true;
                self.syncs.extend(1..number);
            }
            _ => {}
        }
    }

    fn end_last(&mut self, ticks: u64) {
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        self.ticks += u64::from(ticks);
        push_run(&mut self.durations, ticks);
    }

    /// The last sample ends as it says.
    pub fn finish(&mut self) {
        if let Some((_, duration)) = self.last.take() {
            self.end_last(duration.into());
        }
    }

    /// When the first sample is decoded, milliseconds.
    pub fn start_ms(&self) -> u64 {
        self.start.saturating_mul(1000) / u64::from(self.track.timescale.max(1))
    }

    /// When the track begins and how long it is, in a movie that begins at `movie_start_ms`. Only after
    /// [`finish`](Self::finish).
    pub fn extent(&self, movie_start_ms: u64) -> Extent {
        let delay_ms = self.start_ms().saturating_sub(movie_start_ms);
        Extent {
            delay_ms: u32::try_from(delay_ms).unwrap_or(u32::MAX),
            ticks: self.ticks,
        }
    }

    /// Appends the tables.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_full_box(out, b"stts", 0, 0, |out| {
            put_count(out, self.durations.len());
            for (count, ticks) in &self.durations {
                out.put_u32(*count);
                out.put_u32(*ticks);
            }
        });
        if self.compositions.iter().any(|(_, ticks)| *ticks != 0) {
            put_full_box(out, b"ctts", 1, 0, |out| {
                put_count(out, self.compositions.len());
                for (count, ticks) in &self.compositions {
                    out.put_u32(*count);
                    out.put_slice(&ticks.to_be_bytes());
                }
            });
        }
        if self.has_others {
            put_full_box(out, b"stss", 0, 0, |out| {
                put_count(out, self.syncs.len());
                self.syncs.iter().for_each(|number| out.put_u32(*number));
            });
        }
        put_full_box(out, b"stsc", 0, 0, |out| {
            put_count(out, self.chunk_samples.len());
            for (chunk, samples) in &self.chunk_samples {
                out.put_u32(*chunk);
                out.put_u32(*samples);
                // sample_description_index
                out.put_u32(1);
            }
        });
        put_full_box(out, b"stsz", 0, 0, |out| {
            out.put_u32(0);
            put_count(out, self.sizes.len());
            self.sizes.iter().for_each(|size| out.put_u32(*size));
        });
        self.put_chunk_offsets(out);
    }

    fn put_chunk_offsets(&self, out: &mut Vec<u8>) {
        let is_large = self.chunks.last().is_some_and(|last| u32::try_from(*last).is_err());
        let kind = if is_large { b"co64" } else { b"stco" };
        put_full_box(out, kind, 0, 0, |out| {
            put_count(out, self.chunks.len());
            for offset in &self.chunks {
                match is_large {
                    true => out.put_u64(*offset),
                    false => out.put_u32(*offset as u32),
                }
            }
        });
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
}

fn push_run<T: PartialEq>(runs: &mut Vec<(u32, T)>, value: T) {
    match runs.last_mut() {
        Some((count, last)) if *last == value => *count += 1,
        _ => runs.push((1, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::audio::AudioFormat;
    use super::super::boxes::Boxes;
    use super::*;
    use crate::kernel::codec::AudioCodec;

    fn tables() -> SampleTables {
        let audio = AudioFormat::parse(AudioCodec::Aac, &[0x12, 0x10]).unwrap().unwrap();
        SampleTables::new(audio.config().clone())
    }

    fn sample(time: u64, composition: i32, sync: bool, data: &'static [u8]) -> Sample<'static> {
        Sample {
            track: 2,
            time,
            duration: 100,
            composition,
            sync,
            data,
        }
    }

    /// The numbers in a box, behind version and flags.
    fn numbers(out: &[u8], kind: &[u8; 4]) -> Vec<u32> {
        let found = Boxes::new(out).find(|found| found.kind == *kind).expect("a table");
        let words = found.contents[4..].chunks(4);
        words.map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect()
    }

    #[test]
    fn tables_are_those_of_the_standard() {
        let mut tables = tables();
        assert!(tables.is_empty());
        tables.add_chunk(
            &[sample(44_100, 200, true, b"key"), sample(44_200, 200, false, b"")],
            48,
        );
        tables.add_chunk(&[], 51);
        // Late by 50, and a step back.
        tables.add_chunk(&[sample(44_350, -1, false, b"x"), sample(44_000, -1, false, b"y")], 90);
        tables.add_chunk(&[sample(44_100, -1, true, b"four")], 100);
        tables.finish();
        let mut out = Vec::new();
        tables.put(&mut out);
        assert_eq!(numbers(&out, b"stts"), [3, 1, 100, 1, 150, 3, 100]);
        assert_eq!(numbers(&out, b"ctts"), [2, 2, 200, 3, u32::MAX]);
        assert_eq!(numbers(&out, b"stss"), [2, 1, 5]);
        assert_eq!(numbers(&out, b"stsc"), [2, 1, 2, 1, 3, 1, 1]);
        assert_eq!(numbers(&out, b"stsz"), [0, 5, 3, 0, 1, 1, 4]);
        assert_eq!(numbers(&out, b"stco"), [3, 48, 90, 100]);
        let extent = tables.extent(400);
        assert_eq!((extent.delay_ms, extent.ticks), (600, 550));
        assert_eq!(extent.end_ms(tables.track()), 612);
    }

    #[test]
    fn large_files_and_plain_tracks() {
        let mut tables = tables();
        tables.add_chunk(&[sample(0, 0, true, b"a")], u64::from(u32::MAX) + 1);
        tables.finish();
        let mut out = Vec::new();
        tables.put(&mut out);
        assert_eq!(numbers(&out, b"co64"), [1, 1, 0]);
        for absent in [b"ctts", b"stss", b"stco"] {
            assert!(Boxes::new(&out).all(|found| found.kind != *absent));
        }
    }

    /// The figure of `docs/dvr.md`.
    #[test]
    fn an_hour_takes_little_memory() {
        let (mut sound, mut pictures) = (tables(), tables());
        for second in 0..3600u64 {
            let heard: Vec<_> = (0..43).map(|_| sample(0, 0, true, b"sound")).collect();
            sound.add_chunk(&heard, second * 1000);
            // 30 a second in milliseconds, every 60th a keyframe, two B-frames between the others.
            let millis = |number: u64| number * 1000 / 30;
            let shown = (second * 30..second * 30 + 30).map(|number| {
                let ahead = [3, 0, 0][number as usize % 3];
                let composition = (millis(number + ahead) - millis(number)) * 90 + number % 2;
                sample(millis(number) * 90, composition as i32, number.is_multiple_of(60), b"p")
            });
            pictures.add_chunk(&shown.collect::<Vec<_>>(), second * 1000 + 500);
        }
        let bytes = sound.bytes() + pictures.bytes();
        assert!((2_000_000..2_700_000).contains(&bytes), "{bytes} bytes");
    }
}
