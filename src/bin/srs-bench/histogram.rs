//! Durations counted in buckets: constant memory, and percentiles within three percent.

use std::time::Duration;

/// Below this many microseconds each has its own bucket; above, each doubling has half as many.
const FINE: u64 = 64;
const HALF: u64 = FINE / 2;

/// The durations of one kind.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket(micros);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.longest = self.longest.max(micros);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The duration that this share of them (0 to 1) does not exceed; `None` if none was counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_micros(upper_bound(bucket).min(self.longest)))
    }

    /// The longest.
    pub fn longest(&self) -> Option<Duration> {
        (self.total > 0).then(|| Duration::from_micros(self.longest))
    }
}

fn bucket(micros: u64) -> usize {
    let shift = u64::from(u64::BITS - micros.max(1).leading_zeros()).saturating_sub(FINE.ilog2().into());
    (shift * HALF + (micros >> shift)) as usize
}

/// The longest duration of a bucket, microseconds.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / HALF).saturating_sub(1);
    let step = bucket - shift * HALF;
    (((u128::from(step) + 1) << shift) - 1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_ends_where_the_next_begins() {
        for bucket_number in 0..1900 {
            let last = upper_bound(bucket_number);
            assert_eq!(bucket(last), bucket_number);
            if last < u64::MAX {
                assert_eq!(bucket(last + 1), bucket_number + 1);
            }
        }
        assert_eq!(upper_bound(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_are_close() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=10_000).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        for (share, micros) in [(0.0, 1), (0.5, 5000), (0.99, 9900), (1.0, 10_000)] {
            let found = histogram.quantile(share).unwrap().as_micros() as f64;
            let off = (found - f64::from(micros)).abs() / f64::from(micros);
            assert!(off <= 0.032, "{share}: {found}");
        }
        assert_eq!(histogram.longest(), Some(Duration::from_millis(10)));
        assert_eq!(histogram.count(), 10_000);
    }
}
