//! Time in a transport stream: sound counted by its samples, and when the program's clock is due.

/// Ticks of a time stamp in a millisecond.
pub const TICKS_PER_MS: i64 = 90;

/// A clock whose parts of a tick are kept: 27 MHz.
const UNITS_PER_SECOND: i64 = 27_000_000;
const UNITS_PER_TICK: i64 = 300;

/// Where the times of sound come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AudioClock {
    /// From the messages, as they are: whole milliseconds.
    Stream,
    /// Counted by the samples from the first message on, and led back to the messages' times in steps too small to hear.
    #[default]
    Samples,
}

/// How long a message plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Samples a channel.
    pub samples: u32,
    /// Samples a second; above 0.
    pub sample_rate: u32,
}

impl Span {
    /// Ticks of 90 kHz, rounded down.
    pub fn ticks(self) -> i64 {
        self.units() / UNITS_PER_TICK
    }

    fn units(self) -> i64 {
        i64::from(self.samples) * UNITS_PER_SECOND / i64::from(self.sample_rate.max(1))
    }
}

/// Counts time by samples. It follows the messages' times, which jitter and may drift against the samples, so slowly that
/// no gap is heard: at most by one in 200. If both are too far apart, sound was lost and it starts anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleClock {
    state: Option<Counted>,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    /// Of sample 0, 27 MHz.
    base: i64,
    samples: i64,
    sample_rate: u32,
}

impl SampleClock {
    /// How far samples and messages may be apart: what nginx-rtmp and SRS allow.
    const SYNC_TICKS: i64 = 100 * TICKS_PER_MS;

    /// The time of a message that plays for `span` and says `stream_ticks`; ticks of 90 kHz.
    pub fn stamp(&mut self, stream_ticks: i64, span: Span) -> i64 {
        let stream = stream_ticks * UNITS_PER_TICK;
        let fresh = Counted {
            base: stream,
            samples: 0,
            sample_rate: span.sample_rate,
        };
        let mut counted = match self.state {
            Some(counted) if counted.is_near(stream, span) => counted,
            _ => fresh,
        };
        let now = counted.now();
        let limit = span.units() / 200;
        counted.base += ((stream - now) / 32).clamp(-limit, limit);
        counted.pass(span.samples);
        self.state = Some(counted);
        now.div_euclid(UNITS_PER_TICK)
    }

    /// Takes the next message's time for its own.
    pub fn restart(&mut self) {
        self.state = None;
    }
}

impl Counted {
    fn now(&self) -> i64 {
        self.base + self.samples * UNITS_PER_SECOND / i64::from(self.sample_rate.max(1))
    }

    fn is_near(&self, stream: i64, span: Span) -> bool {
        let distance = stream.abs_diff(self.now());
        self.sample_rate == span.sample_rate && distance <= (SampleClock::SYNC_TICKS * UNITS_PER_TICK) as u64
    }

    /// Whole seconds go to the base, so that no number grows for ever.
    fn pass(&mut self, samples: u32) {
        let rate = i64::from(self.sample_rate.max(1));
        let total = self.samples + i64::from(samples);
        self.base += total / rate * UNITS_PER_SECOND;
        self.samples = total % rate;
    }
}

/// Tells when the program's clock (PCR) is due: at least each 100 ms (2.7.2).
#[derive(Clone, Copy, Debug, Default)]
pub struct PcrSchedule {
    last: Option<i64>,
    /// Time of the unit before.
    unit: i64,
    /// The next unit carries it whatever the time is.
    wanted: bool,
}

impl PcrSchedule {
    /// Where units come so seldom, packets with nothing but the clock go between them.
    const LONGEST_TICKS: i64 = 100 * TICKS_PER_MS;
    const FILL_TICKS: i64 = 90 * TICKS_PER_MS;

    /// The next unit carries the clock: it starts a segment, or players enter there.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// The time of a packet that has to go before what happens at `now`; ask until there is none. Never more than 33,
    /// as a longer wait is a jump.
    pub fn fill(&mut self, now: i64) -> Option<i64> {
        let last = self.last?;
        let late = (Self::LONGEST_TICKS + 1..=Jump::FORWARD_TICKS).contains(&(now - last));
        late.then(|| {
            self.last = Some(last + Self::FILL_TICKS);
            last + Self::FILL_TICKS
        })
    }

    /// Whether a unit at `now` carries the clock, which never goes back: the next unit would be too late, if it is as far
    /// away as the one before.
    pub fn is_due(&mut self, now: i64) -> bool {
        let next = now + (now - self.unit).clamp(0, Self::LONGEST_TICKS);
        self.unit = now;
        let due = match self.last {
            Some(last) => now > last && (self.wanted || next - last > Self::LONGEST_TICKS),
            None => true,
        };
        if due {
            (self.last, self.wanted) = (Some(now), false);
        }
        due
    }

    /// Whether the clock has to jump to `now` since a track did; it then counts from there.
    pub fn jump(&mut self, now: i64) -> bool {
        let far = self.last.is_some_and(|last| Jump::is_one(last, now));
        if far {
            self.last = Some(now);
        }
        far
    }
}

/// What is no pause and no disorder any more but another clock: a publisher that came back.
#[derive(Clone, Copy, Debug)]
pub struct Jump;

impl Jump {
    const FORWARD_TICKS: i64 = 3000 * TICKS_PER_MS;
    const BACK_TICKS: i64 = 1000 * TICKS_PER_MS;

    /// Whether it is one to go from `last` to `now` in one track.
    pub fn is_one(last: i64, now: i64) -> bool {
        now - last > Self::FORWARD_TICKS || last - now > Self::BACK_TICKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AAC: Span = Span {
        samples: 1024,
        sample_rate: 44_100,
    };

    #[test]
    fn samples_neither_drift_nor_jitter() {
        // A day of AAC; the publisher rounds to milliseconds.
        let mut clock = SampleClock::default();
        let mut last = None;
        for frame in 0..3_700_000_i64 {
            let exact = frame * 1024 * 90_000 / 44_100;
            let stream_ms = frame * 1024 * 1000 / 44_100;
            let now = clock.stamp(stream_ms * 90, AAC);
            assert!((now - exact).abs() <= 90, "frame {frame}: {now}, exact {exact}");
            if let Some(last) = last {
                // 2089.8 ticks, at most half a percent off.
                assert!(
                    (2079..=2101).contains(&(now - last)),
                    "frame {frame}: step {}",
                    now - last
                );
            }
            last = Some(now);
        }
    }

    #[test]
    fn a_drifting_publisher_is_followed_without_a_gap() {
        let mut clock = SampleClock::default();
        let (mut last, mut now, mut stream) = (None, 0, 0);
        for frame in 0..100_000_i64 {
            // One in 1000 too fast.
            stream = frame * 1024 * 1000 * 1001 / 44_100 / 1000 * 90;
            now = clock.stamp(stream, AAC);
            let step = now - last.unwrap_or(now - 2090);
            assert!((2079..=2101).contains(&step), "frame {frame}: step {step}");
            last = Some(now);
        }
        assert!((now - stream).abs() < 20 * 90);
    }

    #[test]
    fn lost_sound_and_another_rate_start_anew() {
        let mut clock = SampleClock::default();
        assert_eq!(clock.stamp(9000, AAC), 9000);
        assert_eq!(clock.stamp(9000, AAC), 11_089);
        assert_eq!(clock.stamp(90_000, AAC), 90_000);
        let other = Span {
            samples: 1152,
            sample_rate: 48_000,
        };
        assert_eq!(clock.stamp(92_000, other), 92_000);
        clock.restart();
        assert_eq!(clock.stamp(5, other), 5);
    }

    #[test]
    fn the_program_clock_comes_in_time_and_never_goes_back() {
        let mut schedule = PcrSchedule::default();
        assert!(schedule.fill(0).is_none());
        // 25 pictures a second: each second one carries it.
        let carried = [0, 3600, 7200, 10_800, 14_400].map(|now| schedule.is_due(now));
        assert_eq!(carried, [true, false, true, false, true]);
        schedule.want();
        assert!(!schedule.is_due(14_400) && !schedule.is_due(0) && schedule.is_due(14_401));
        // 18 a second: each one.
        assert!(schedule.is_due(19_401) && schedule.is_due(24_401));
        // A second without a picture: ten packets, 90 ms apart.
        let times: Vec<i64> = std::iter::from_fn(|| schedule.fill(24_401 + 90_000)).collect();
        assert_eq!((times.len(), times[0], times[9]), (10, 24_401 + 8100, 24_401 + 81_000));
        assert!(!schedule.jump(110_000) && schedule.jump(900_000) && schedule.jump(0));
        assert!(
            std::iter::from_fn(|| schedule.fill(i64::from(u32::MAX)))
                .next()
                .is_none()
        );
    }
}
