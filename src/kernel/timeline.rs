//! Time without end, of timestamps that wrap.

/// Makes times that grow without end from milliseconds modulo 2^32. A step of less than 24 days is taken for what it is,
/// forwards or backwards.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeline {
    last: Option<(u32, i64)>,
}

impl Timeline {
    /// The time of a message, milliseconds.
    pub fn millis(&mut self, timestamp_ms: u32) -> i64 {
        let now_ms = match self.last {
            Some((last, last_ms)) => last_ms + i64::from(timestamp_ms.wrapping_sub(last) as i32),
            None => i64::from(timestamp_ms),
        };
        self.last = Some((timestamp_ms, now_ms));
        now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_go_on_over_their_wrap() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.millis(u32::MAX), i64::from(u32::MAX));
        assert_eq!(timeline.millis(9), i64::from(u32::MAX) + 10);
        assert_eq!(timeline.millis(u32::MAX - 10), i64::from(u32::MAX) - 10);
    }
}
