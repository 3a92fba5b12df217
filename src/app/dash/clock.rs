//! Keeps a stream's media time at the time of the server's clock, over months: the manifest tells players where the
//! newest segment is by that clock, and no encoder's runs quite as fast.

/// How long arrivals are watched before a small difference counts, milliseconds: networks delay more than clocks differ.
const WATCH_MS: i64 = 10_000;
/// Differences up to this are left alone, milliseconds.
const SLACK_MS: i64 = 200;
/// What is mended at once each [`WATCH_MS`]: faster than clocks drift, and nobody hears it.
const STEP_MS: i64 = 5;
/// More is no drift but a jump of the publisher's time.
const JUMP_MS: i64 = 5000;

/// The difference between a publisher's time stamps and the stream's time.
#[derive(Debug, Default)]
pub struct Clock {
    /// What is added to time stamps, milliseconds modulo 2^32.
    shift: Option<u32>,
    watched_since_ms: i64,
    /// The least delay of a message since then, milliseconds.
    least_late_ms: i64,
}

impl Clock {
    /// The stream's time of a message that came at `now_ms` with this time stamp, milliseconds modulo 2^32; and by how
    /// much the stream's time jumps with it, if it does.
    pub fn follow(&mut self, timestamp: u32, now_ms: i64) -> (u32, Option<i64>) {
        let shift = *self.shift.get_or_insert_with(|| {
            (self.watched_since_ms, self.least_late_ms) = (now_ms, i64::MAX);
            (now_ms as u32).wrapping_sub(timestamp)
        });
        let late_ms = i64::from((now_ms as u32).wrapping_sub(timestamp.wrapping_add(shift)) as i32);
        self.least_late_ms = self.least_late_ms.min(late_ms);
        // What is too early now can only get earlier; what is late may be a network that is about to catch up.
        let is_watched = now_ms - self.watched_since_ms >= WATCH_MS;
        let mend_ms = match self.least_late_ms {
            early if early < -JUMP_MS => late_ms,
            least if !is_watched || least.abs() <= SLACK_MS => 0,
            late if late > JUMP_MS => late_ms,
            drift => STEP_MS * drift.signum(),
        };
        if is_watched || mend_ms != 0 {
            (self.watched_since_ms, self.least_late_ms) = (now_ms, i64::MAX);
        }
        let shift = shift.wrapping_add(mend_ms as u32);
        self.shift = Some(shift);
        (
            timestamp.wrapping_add(shift),
            (mend_ms.abs() > STEP_MS).then_some(mend_ms),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last media time less the clock's, and how often it jumped, after `seconds` of 25 messages each; `stamp` tells
    /// the time stamp of a moment, `arrival` when it comes.
    fn run(seconds: i64, stamp: impl Fn(i64) -> i64, arrival: impl Fn(i64) -> i64) -> (i64, usize) {
        let mut clock = Clock::default();
        let (mut ahead, mut jumps) = (0, 0);
        for sent_ms in (0..seconds * 1000).step_by(40) {
            let now_ms = arrival(sent_ms);
            let (media, jump) = clock.follow(stamp(sent_ms) as u32, now_ms);
            ahead = i64::from(media.wrapping_sub(now_ms as u32) as i32);
            jumps += usize::from(jump.is_some());
        }
        (ahead, jumps)
    }

    #[test]
    fn a_clock_that_runs_wrong_stays_close() {
        for ppm in [-300, -20, 100, 400] {
            let stamp = |ms: i64| ms + ms / 1000 * ppm / 1000 + 4_294_960_000;
            // Without mending these are up to eight seconds.
            let (ahead, jumps) = run(20_000, stamp, |ms| ms);
            assert!(ahead.abs() <= SLACK_MS + 20, "{ppm} ppm: {ahead} ms");
            assert_eq!(jumps, 0);
        }
    }

    #[test]
    fn a_network_that_halts_and_catches_up_changes_nothing() {
        // All of 8 s comes at once.
        let arrival = |ms: i64| if (20_000..28_000).contains(&ms) { 28_000 } else { ms };
        assert_eq!(run(60, |ms| ms, arrival), (0, 0));
    }

    #[test]
    fn a_jump_of_the_publisher_is_taken_back() {
        for jump in [3_600_000, -3_600_000, 7_000] {
            let stamp = |ms: i64| if ms < 15_000 { ms } else { ms + jump };
            assert_eq!(run(60, stamp, |ms| ms), (0, 1), "{jump}");
        }
    }
}
