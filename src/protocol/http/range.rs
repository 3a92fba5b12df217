//! Byte ranges (RFC 9110 section 14). Of several ranges none is served: the whole is, as the standard allows.

/// What part of a representation is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Range {
    /// All of it; also for what cannot be understood.
    Whole,
    /// These bytes, `first <= last < size`.
    Part {
        /// The first byte's offset.
        first: u64,
        /// The last byte's offset.
        last: u64,
    },
    /// Nothing that is there.
    Unsatisfiable,
}

impl Range {
    /// Reads a `Range` field, for something of `size` bytes.
    pub fn parse(field: &str, size: u64) -> Self {
        match field.split_once('=') {
            Some((unit, span)) if unit.trim().eq_ignore_ascii_case("bytes") => Self::parse_span(span, size),
            _ => Range::Whole,
        }
    }

    /// Reads `first-last`, `first-` or `-count` (the last `count` bytes).
    pub fn parse_span(span: &str, size: u64) -> Self {
        let Some((first, last)) = span.trim().split_once('-') else {
            return Range::Whole;
        };
        let (first, last) = (Bound::parse(first), Bound::parse(last));
        match (first, last) {
            (Bound::At(first), Bound::At(last)) if last < first => Range::Whole,
            (Bound::At(first), _) if first >= size && last != Bound::Nonsense => Range::Unsatisfiable,
            (Bound::At(first), Bound::At(last)) => Range::Part {
                first,
                last: last.min(size - 1),
            },
            (Bound::At(first), Bound::Absent) => Range::Part { first, last: size - 1 },
            (Bound::Absent, Bound::At(count)) if count == 0 || size == 0 => Range::Unsatisfiable,
            (Bound::Absent, Bound::At(count)) => Range::Part {
                first: size.saturating_sub(count),
                last: size - 1,
            },
            _ => Range::Whole,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Absent,
    /// Saturated where it does not fit.
    At(u64),
    Nonsense,
}

impl Bound {
    fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            Bound::Absent
        } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
            Bound::At(text.parse().unwrap_or(u64::MAX))
        } else {
            Bound::Nonsense
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(first: u64, last: u64) -> Range {
        Range::Part { first, last }
    }

    #[test]
    fn the_forms_of_the_standard() {
        let cases = [
            ("bytes=0-499", part(0, 499)),
            ("bytes=500-999", part(500, 999)),
            ("bytes=-500", part(9500, 9999)),
            ("bytes=9500-", part(9500, 9999)),
            ("BYTES = 0-0", part(0, 0)),
            ("bytes=9999-20000", part(9999, 9999)),
            ("bytes=-20000", part(0, 9999)),
            ("bytes=10000-", Range::Unsatisfiable),
            ("bytes=-0", Range::Unsatisfiable),
            ("bytes=5-4", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("bytes=0--1", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("bytes=20000-x", Range::Whole),
            ("bytes", Range::Whole),
            ("lines=0-1", Range::Whole),
        ];
        for (field, range) in cases {
            assert_eq!(Range::parse(field, 10_000), range, "{field}");
        }
    }

    #[test]
    fn numbers_beyond_64_bits_do_not_wrap() {
        let huge = "99999999999999999999999999";
        assert_eq!(Range::parse(&format!("bytes=1-{huge}"), 10), part(1, 9));
        assert_eq!(Range::parse(&format!("bytes={huge}-"), 10), Range::Unsatisfiable);
        assert_eq!(Range::parse(&format!("bytes=-{huge}"), 10), part(0, 9));
        assert_eq!(
            Range::parse("bytes=0-18446744073709551615", u64::MAX),
            part(0, u64::MAX - 1)
        );
        assert_eq!(
            Range::parse("bytes=18446744073709551615-", u64::MAX),
            Range::Unsatisfiable
        );
    }

    #[test]
    fn nothing_has_no_parts() {
        for field in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(Range::parse(field, 0), Range::Unsatisfiable, "{field}");
        }
    }

    #[test]
    fn a_part_always_lies_inside() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..20_000 {
            let text: String = (0..random.usize(..10))
                .map(|_| char::from(b"0123456789-,= x"[random.usize(..15)]))
                .collect();
            let size = random.u64(..1000);
            if let Range::Part { first, last } = Range::parse_span(&text, size) {
                assert!(first <= last && last < size, "{text} of {size}");
            }
        }
    }
}
