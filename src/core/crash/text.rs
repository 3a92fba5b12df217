//! Log lines in memory of a fixed size, for where none may be allocated.

use std::fmt::{self, Write};

use crate::core::clock;
use crate::core::id::ContextId;

/// The longest line, bytes; what is beyond is cut off.
const LONGEST: usize = 512;
const DAY_SECONDS: i64 = 86_400;

/// What each line begins with.
pub(super) struct Stamp {
    /// Local time since 1970.
    seconds: i64,
    milliseconds: i64,
    /// Whose line it is.
    pub(super) context: ContextId,
}

impl Stamp {
    /// For now, where local time is `offset` seconds ahead of UTC.
    pub(super) fn now(offset: i32, context: ContextId) -> Self {
        let time = clock::unix_time();
        Stamp {
            seconds: time.as_secs() as i64 + i64::from(offset),
            milliseconds: i64::from(time.subsec_millis()),
            context,
        }
    }
}

/// As the log writes it.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.seconds.div_euclid(DAY_SECONDS));
        let second = self.seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "[{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}][ERROR][{}][{}][0] ",
            self.milliseconds,
            std::process::id(),
            self.context
        )
    }
}

/// Year, month and day of a number of days since 1970-01-01. Years begin in March here, so that a leap day is the last.
fn date(days: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    // 0000-03-01 is 719,468 days before 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// A line that is being written.
pub(super) struct Line {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Line {
    /// A line with its stamp.
    pub(super) fn begin(stamp: &Stamp) -> Self {
        let mut line = Line {
            bytes: [0; LONGEST],
            length: 0,
        };
        let _ = write!(line, "{stamp}");
        line
    }

    /// The line with its line feed.
    pub(super) fn end(&self) -> &[u8] {
        &self.bytes[..=self.length]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // One byte is for the line feed, which stands behind what is there at any time.
        let room = LONGEST - 1 - self.length;
        let taken = text.len().min(room);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        self.bytes[self.length] = b'\n';
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_779, (2026, 11, 22)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
    }

    #[test]
    fn a_line_is_one_of_the_log() {
        let stamp = Stamp {
            seconds: 20_779 * DAY_SECONDS + 19 * 3600 + 25 * 60 + 17,
            milliseconds: 44,
            context: ContextId::parse("66140591").unwrap(),
        };
        let mut line = Line::begin(&stamp);
        let _ = write!(line, "text {}", 7);
        let pid = std::process::id();
        let expected = format!("[2026-11-22 19:25:17.044][ERROR][{pid}][66140591][0] text 7\n");
        assert_eq!(std::str::from_utf8(line.end()), Ok(&*expected));
        let _ = line.write_str(&"x".repeat(2 * LONGEST));
        assert_eq!((line.end().len(), line.end().last()), (LONGEST, Some(&b'\n')));
    }
}
