//! Segment names on a grid of wall-clock time (`hls_ts_floor`), for several servers that must name one stream's segments
//! alike.

/// Further off the grid than this, in segments, the counter jumps back to it.
const JUMP: i64 = 20;
/// How much of what it is off the grid the next segment makes good.
const REPAIR: f64 = 0.3;

/// The counter of one stream: Unix time in segments, but never one left out or used twice.
#[derive(Debug, Default)]
pub struct Floor {
    last: Option<i64>,
    /// Segments that the counter is ahead of the clock.
    ahead: i64,
}

impl Floor {
    /// The next segment's value for `[timestamp]`, opened at `unix_ms`.
    pub fn next(&mut self, unix_ms: i64, fragment_ms: i64) -> i64 {
        let now = unix_ms / fragment_ms.max(1);
        let next = self.last.map_or(now - 1, |last| last + 1);
        let accepted = match (next - now).abs() > JUMP {
            true => {
                log::warn!("HLS segments are {} ahead of the clock, their names jump", next - now);
                now - 1
            }
            false => next,
        };
        self.ahead = accepted - now;
        self.last = Some(accepted);
        accepted
    }

    /// By how much the present segment is to be longer, milliseconds, to come nearer to the grid.
    pub fn shift_ms(&self, fragment_ms: i64) -> i64 {
        (REPAIR * self.ahead as f64 * fragment_ms as f64) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_by_one_and_leans_to_the_clock() {
        let mut floor = Floor::default();
        assert_eq!(floor.next(100_000, 10_000), 9);
        assert_eq!(floor.shift_ms(10_000), -3_000);
        assert_eq!(floor.next(107_000, 10_000), 10);
        assert_eq!(floor.shift_ms(10_000), 0);
        assert_eq!(floor.next(108_000, 10_000), 11);
        assert_eq!(floor.shift_ms(10_000), 3_000);
    }

    #[test]
    fn it_jumps_when_far_off() {
        let mut floor = Floor::default();
        floor.next(100_000, 10_000);
        assert_eq!(floor.next(1_000_000, 10_000), 99);
        for _ in 0..21 {
            floor.next(1_000_000, 10_000);
        }
        assert_eq!(floor.next(1_000_000, 10_000), 99);
    }
}
