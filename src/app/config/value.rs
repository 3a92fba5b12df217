//! Values as text: numbers, flags, durations. The language is lenient, so each parser says what it takes a text for
//! and whether the text says exactly that.

use std::time::Duration;

/// What a text is taken for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taken<T> {
    /// The value.
    pub value: T,
    /// Whether the whole text says this value; when not, the user deserves a warning.
    pub exact: bool,
}

/// When a flag counts as on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagRule {
    /// Only the text `on`.
    OnlyOn,
    /// Everything but the text `off`.
    UnlessOff,
}

/// A flag's text under a rule.
pub fn flag(text: &str, rule: FlagRule) -> Taken<bool> {
    let value = match rule {
        FlagRule::OnlyOn => text == "on",
        FlagRule::UnlessOff => text != "off",
    };
    Taken {
        value,
        exact: text == "on" || text == "off",
    }
}

/// A whole number: the leading digits count, the rest is ignored, no digits are 0. A number that does not fit 32 bits
/// keeps its low 32, as C's `atoi` does on the machines that SRS runs on.
pub fn integer(text: &str) -> Taken<i32> {
    let (negative, digits) = sign(text.trim_start_matches(is_space));
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let magnitude = digits[..length].bytes().fold(0i64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    let wide = if negative { -magnitude } else { magnitude };
    // The truncation is the documented one.
    let value = wide as i32;
    Taken {
        value,
        exact: length > 0 && length == digits.len() && i64::from(value) == wide,
    }
}

/// A decimal number: the longest prefix that is one counts, the rest is ignored, no number is 0.
pub fn decimal(text: &str) -> Taken<f64> {
    let trimmed = text.trim_start_matches(is_space);
    let length = decimal_prefix(trimmed);
    let value = trimmed[..length].parse::<f64>().unwrap_or(0.0);
    let value = if value.is_finite() { value } else { 0.0 };
    Taken {
        value,
        exact: length > 0 && length == trimmed.len(),
    }
}

/// A span of `unit`s, whole numbers only. A negative one is taken as zero.
pub fn duration(text: &str, unit: Duration) -> Taken<Duration> {
    let Taken { value, exact } = integer(text);
    Taken {
        value: u32::try_from(value).map_or(Duration::ZERO, |count| unit.saturating_mul(count)),
        exact: exact && value >= 0,
    }
}

/// A span of `unit`s that may have a fraction. A negative one is taken as zero.
pub fn fractional_duration(text: &str, unit: Duration) -> Taken<Duration> {
    let Taken { value, exact } = decimal(text);
    let seconds = value * unit.as_secs_f64();
    Taken {
        value: Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO),
        exact: exact && value >= 0.0,
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// Bytes of the longest prefix of the form `[sign] digits [. digits] [e [sign] digits]`, 0 when there is none.
fn decimal_prefix(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let signed = |from: usize| from + usize::from(matches!(bytes.get(from), Some(b'+' | b'-')));
    let start = signed(0);
    let whole = digits(start);
    let mut end = start + whole;
    let mut count = whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        count += fraction;
        end += 1 + fraction;
    }
    if count == 0 {
        return 0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let from = signed(end + 1);
        let exponent = digits(from);
        if exponent > 0 {
            end = from + exponent;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_c_does() {
        let cases: [(&str, i32, bool); 14] = [
            ("0", 0, true),
            ("1935", 1935, true),
            ("-1", -1, true),
            ("+7", 7, true),
            (" 12", 12, true),
            ("10s", 10, false),
            ("9.3", 9, false),
            ("abc", 0, false),
            ("", 0, false),
            ("-", 0, false),
            ("0x10", 0, false),
            ("2147483648", i32::MIN, false),
            ("4294967297", 1, false),
            ("99999999999999999999999", -1, false),
        ];
        for (text, value, exact) in cases {
            assert_eq!(integer(text), Taken { value, exact }, "{text:?}");
        }
    }

    #[test]
    fn decimals_take_the_longest_prefix() {
        let cases: [(&str, f64, bool); 14] = [
            ("0.8", 0.8, true),
            (".5", 0.5, true),
            ("5.", 5.0, true),
            ("1e3", 1000.0, true),
            ("1e", 1.0, false),
            ("-2.5", -2.5, true),
            ("2.5s", 2.5, false),
            ("1.2.3", 1.2, false),
            ("nan", 0.0, false),
            ("inf", 0.0, false),
            (".", 0.0, false),
            ("", 0.0, false),
            ("1e999", 0.0, true),
            ("ä1", 0.0, false),
        ];
        for (text, value, exact) in cases {
            assert_eq!(decimal(text), Taken { value, exact }, "{text:?}");
        }
    }

    #[test]
    fn durations_have_a_fixed_unit_and_are_never_negative() {
        let second = Duration::from_secs(1);
        assert_eq!(duration("30", second).value, Duration::from_secs(30));
        assert_eq!(
            duration("30s", second),
            Taken {
                value: Duration::from_secs(30),
                exact: false
            }
        );
        assert_eq!(
            duration("-3", second),
            Taken {
                value: Duration::ZERO,
                exact: false
            }
        );
        assert_eq!(duration("2147483647", Duration::MAX).value, Duration::MAX);
        let milli = Duration::from_millis(1);
        assert_eq!(fractional_duration("2.5", milli).value, Duration::from_micros(2500));
        assert_eq!(
            fractional_duration("-2.5", milli),
            Taken {
                value: Duration::ZERO,
                exact: false
            }
        );
        assert_eq!(fractional_duration("1e300", second).value, Duration::ZERO);
    }

    #[test]
    fn flags_follow_their_rule() {
        assert!(flag("yes", FlagRule::UnlessOff).value);
        assert!(!flag("yes", FlagRule::OnlyOn).value);
        assert!(!flag("yes", FlagRule::OnlyOn).exact);
        assert!(flag("on", FlagRule::OnlyOn).value && flag("on", FlagRule::OnlyOn).exact);
        assert!(!flag("OFF", FlagRule::OnlyOn).value && flag("OFF", FlagRule::UnlessOff).value);
    }
}
