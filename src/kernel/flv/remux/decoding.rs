//! Decoding times for pictures that come in decoding order with nothing but the times when they are shown, as in RTP.

/// The most pictures that a decoder may hold back (ITU-T H.264 A.3.1, H.265 A.4.2).
const REORDER_MAX: usize = 16;

/// Guesses decoding times: the sorted presentation times, late by as many pictures as were seen to come out of order.
#[derive(Clone, Debug, Default)]
pub struct DecodingClock {
    /// The latest presentation times, in their order; one more than pictures are held back.
    window: Vec<i64>,
    held_back: usize,
    last: Option<i64>,
}

impl DecodingClock {
    /// How many pictures it needs to see before it can tell times that fit from the first one on.
    pub const LEARNING: usize = 10;

    /// Knows from the first pictures of a stream, in decoding order, how many are held back. What it does not see there
    /// it learns when it comes, at the price of some pictures that are decoded late.
    pub fn learnt(presentations: &[i64]) -> Self {
        let before = |at: usize| {
            presentations
                .iter()
                .take(at)
                .filter(|early| **early > presentations[at])
                .count()
        };
        let held_back = (0..presentations.len()).map(before).max().unwrap_or(0).min(REORDER_MAX);
        let mut sorted = presentations.to_vec();
        sorted.sort_unstable();
        let steps = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0);
        let (step, first) = (steps.min().unwrap_or(0), sorted.first().copied().unwrap_or(0));
        // As if as many pictures had been shown before the first one.
        let window = (1..=held_back as i64).rev().map(|early| first - early * step).collect();
        DecodingClock {
            window,
            held_back,
            last: None,
        }
    }

    /// The decoding time of the next picture, in the units of its presentation time. It never goes back; a step back of
    /// more than `jump` is a new beginning.
    pub fn next(&mut self, presentation: i64, jump: i64) -> i64 {
        if self
            .last
            .is_some_and(|last| presentation.abs_diff(last) > jump.unsigned_abs())
        {
            *self = DecodingClock {
                held_back: self.held_back,
                ..DecodingClock::default()
            };
        }
        if self.last.is_some_and(|last| presentation < last) && self.held_back < REORDER_MAX {
            self.held_back += 1;
        }
        let at = self.window.partition_point(|other| *other <= presentation);
        self.window.insert(at, presentation);
        while self.window.len() > self.held_back + 1 {
            self.window.remove(0);
        }
        let smallest = self.window.first().copied().unwrap_or(presentation);
        let decoding = self.last.map_or(smallest, |last| smallest.max(last));
        self.last = Some(decoding);
        decoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(presentation: &[i64]) -> Vec<i64> {
        let mut clock = DecodingClock::default();
        presentation.iter().map(|time| clock.next(*time, 1000)).collect()
    }

    #[test]
    fn without_b_frames_both_times_are_the_same() {
        assert_eq!(run(&[0, 40, 80, 120]), [0, 40, 80, 120]);
    }

    #[test]
    fn b_frames_are_learnt_and_then_no_picture_is_shown_before_its_decoding() {
        // I P b b P b b …, 40 ms a picture.
        let mut shown = vec![0];
        for group in 0..8 {
            shown.extend([group * 120 + 120, group * 120 + 40, group * 120 + 80]);
        }
        let decoded = run(&shown);
        assert!(decoded.is_sorted(), "{decoded:?}");
        let late = shown
            .iter()
            .zip(&decoded)
            .skip(7)
            .filter(|(shown, decoded)| shown < decoded);
        assert_eq!(late.count(), 0, "{shown:?} {decoded:?}");
    }

    #[test]
    fn who_has_seen_the_start_is_right_from_the_first_picture_on() {
        // I P B b b P B b b …, where b refers to B.
        let mut shown = vec![0];
        for group in 0..6 {
            shown.extend([160, 80, 40, 120].map(|time| group * 160 + time));
        }
        let mut clock = DecodingClock::learnt(&shown[..DecodingClock::LEARNING]);
        let decoded: Vec<i64> = shown.iter().map(|time| clock.next(*time, 1000)).collect();
        assert!(decoded.windows(2).all(|pair| pair[1] - pair[0] == 40), "{decoded:?}");
        assert!(shown.iter().zip(&decoded).all(|(shown, decoded)| shown >= decoded));
        let mut clock = DecodingClock::learnt(&[7, 7]);
        assert_eq!(clock.next(7, 1000), 7);
        assert_eq!(DecodingClock::learnt(&[]).next(5, 1000), 5);
    }

    #[test]
    fn a_jump_starts_anew() {
        assert_eq!(run(&[5000, 5040, 0, 40]), [5000, 5040, 0, 40]);
    }
}
