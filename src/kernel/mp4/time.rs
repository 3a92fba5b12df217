//! Decoding times of samples: pictures have those of their messages, sound counts its samples.

/// A step back beyond this is another clock and no disorder, milliseconds.
const BACK_MS: i64 = 1000;

/// Decoding times of pictures: they always grow, as players want it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PictureClock {
    last: Option<i64>,
}

impl PictureClock {
    /// The time of a picture whose message says `now`, ticks. It is below the last one only where the publisher's clock
    /// starts anew.
    pub fn stamp(&mut self, now: i64, timescale: u32) -> i64 {
        let back = i64::from(timescale) * BACK_MS / 1000;
        let time = match self.last {
            Some(last) if now <= last && last - now <= back => last + 1,
            _ => now,
        };
        self.last = Some(time);
        time
    }
}

/// Decoding times of sound: each message starts where the one before ends, to the sample, as its duration is told by its
/// samples. Timestamps of whole milliseconds would leave gaps and overlaps that can be heard.
///
/// A publisher's timestamps jitter, and drift against its samples. Up to 30 ms apart nothing is done: nobody sees sound
/// that is so early or late. Beyond, durations are changed by one in 200 until both agree, which nobody hears; by one in
/// 16 where messages hold less than they should. More than 100 ms ahead, sound was lost: there is a gap.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleClock {
    end: Option<i64>,
    corrects: bool,
}

/// When a message of sound starts, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Ticks.
    pub start: i64,
    /// Ticks.
    pub duration: u32,
}

impl SampleClock {
    const APART_MS: i64 = 30;
    const TOGETHER_MS: i64 = 5;
    const FAR_MS: i64 = 60;
    const LOST_MS: i64 = 100;

    /// The time of a message of so many samples that says `now`; the timescale is the sample rate.
    pub fn stamp(&mut self, now: i64, samples: u32, sample_rate: u32) -> Stamp {
        let ticks = |ms: i64| i64::from(sample_rate) * ms / 1000;
        let end = self.end.unwrap_or(now);
        let ahead = now - end;
        if ahead > ticks(Self::LOST_MS) || ahead < -ticks(BACK_MS) {
            self.corrects = false;
            return self.pass(now, samples);
        }
        let off = ahead.abs();
        let tolerance = if self.corrects {
            Self::TOGETHER_MS
        } else {
            Self::APART_MS
        };
        self.corrects = off > ticks(tolerance);
        let part = if off > ticks(Self::FAR_MS) { 16 } else { 200 };
        let limit = i64::from(samples / part);
        let change = if self.corrects { ahead.clamp(-limit, limit) } else { 0 };
        // At least 15 in 16 are left.
        self.pass(end, samples.saturating_add_signed(change as i32))
    }

    fn pass(&mut self, start: i64, duration: u32) -> Stamp {
        self.end = Some(start + i64::from(duration));
        Stamp { start, duration }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 44_100;

    /// Stamps `count` messages of 1024 told samples whose times grow by `step_us` microseconds.
    fn run(count: i64, step_us: i64, jitter_ms: i64) -> (Vec<Stamp>, i64) {
        let (mut clock, mut random) = (SampleClock::default(), fastrand::Rng::with_seed(3));
        let mut worst = 0;
        let stamps = (0..count)
            .map(|index| {
                let exact_ms = index * step_us / 1000;
                let now = (exact_ms + random.i64(-jitter_ms..=jitter_ms)) * i64::from(RATE) / 1000;
                let stamp = clock.stamp(now, 1024, RATE);
                worst = worst.max((stamp.start - exact_ms * i64::from(RATE) / 1000).abs());
                stamp
            })
            .collect();
        (stamps, worst * 1000 / i64::from(RATE))
    }

    #[track_caller]
    fn check_contiguous(stamps: &[Stamp]) {
        for pair in stamps.windows(2) {
            assert_eq!(pair[1].start, pair[0].start + i64::from(pair[0].duration));
        }
    }

    #[test]
    fn sound_neither_drifts_nor_has_gaps_in_a_day() {
        // 1024 samples at 44,100 a second are 23,219.95 microseconds; timestamps lose their fraction and jitter.
        let mut clock = SampleClock::default();
        for index in 0..3_700_000_i64 {
            let now = index * 1024 * 1000 / i64::from(RATE) * i64::from(RATE) / 1000;
            let stamp = clock.stamp(now, 1024, RATE);
            assert_eq!((stamp.start, stamp.duration), (index * 1024, 1024));
        }
        let (stamps, worst) = run(20_000, 23_220, 15);
        check_contiguous(&stamps);
        assert!(stamps.iter().all(|stamp| stamp.duration == 1024) && worst <= 20);
    }

    #[test]
    fn a_drifting_publisher_is_followed() {
        for (step_us, furthest) in [(23_243, 32), (23_197, 32), (21_769, 75)] {
            let (stamps, worst) = run(50_000, step_us, 0);
            check_contiguous(&stamps);
            assert!(worst <= furthest, "{step_us} us: {worst} ms apart");
            assert!(stamps.iter().all(|stamp| (960..=1088).contains(&stamp.duration)));
        }
    }

    #[test]
    fn lost_sound_leaves_a_gap_and_another_clock_starts_anew() {
        let mut clock = SampleClock::default();
        assert_eq!(clock.stamp(1000, 1024, RATE).start, 1000);
        assert_eq!(clock.stamp(2100, 1024, RATE).start, 2024);
        assert_eq!(clock.stamp(7700, 1024, RATE).start, 7700);
        assert_eq!(clock.stamp(-90_000, 1024, RATE).start, -90_000);
        assert_eq!(clock.stamp(-88_000, 0, RATE).duration, 0);
    }

    #[test]
    fn pictures_always_step_on() {
        let mut clock = PictureClock::default();
        let times = [9000, 9000, 5000, 12_600, -90_000].map(|now| clock.stamp(now, 90_000));
        assert_eq!(times, [9000, 9001, 9002, 12_600, -90_000]);
    }
}
