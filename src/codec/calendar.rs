//! Seconds since 1970 to UTC dates of the Gregorian calendar and back, for dates from 1970 to 9999.

use std::fmt;

const DAY: i64 = 86_400;
/// Days from the first of March of the year 0 to 1970-01-01.
const TO_1970: i64 = 719_468;
/// Days in 400 years.
const ERA: i64 = 146_097;

/// A second of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
}

impl Utc {
    /// Reads RFC 3339 in UTC: a day (`2026-11-21`), which stands for its first second, or a second
    /// (`2026-11-21T05:17:09Z`). `None` if it is no date from 1970 on.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| text.get(from..to)?.parse().ok();
        let whole = match text.len() {
            10 => format!("{text}T00:00:00Z"),
            _ => text.into(),
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let time = |from, to| if text.len() == 10 { Some(0) } else { number(from, to) };
        let date = Self { year, month, day, hour: time(11, 13)?, minute: time(14, 16)?, second: time(17, 19)? };
        (date.to_seconds().is_some() && date.to_string() == whole).then_some(date)
    }

    /// The date of a number of seconds since 1970.
    pub fn of_seconds(seconds: i64) -> Self {
        // The year begins in March, so that a leap day is its last.
        let days = seconds.div_euclid(DAY) + TO_1970;
        let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let time = seconds.rem_euclid(DAY);
        Self {
            year: era * 400 + year + i64::from(month >= 10),
            month: if month < 10 { month + 3 } else { month - 9 },
            day: of_year - (153 * month + 2) / 5 + 1,
            hour: time / 3_600,
            minute: time / 60 % 60,
            second: time % 60,
        }
    }

    /// The seconds since 1970; `None` if there is no such date.
    pub fn to_seconds(self) -> Option<i64> {
        let (year, month) = if self.month < 3 { (self.year - 1, self.month + 9) } else { (self.year, self.month - 3) };
        let leap_days = year / 4 - year / 100 + year / 400;
        let days = year * 365 + leap_days + (153 * month + 2) / 5 + self.day - 1 - TO_1970;
        let seconds = days * DAY + self.hour * 3_600 + self.minute * 60 + self.second;
        // What is no date, such as the 30th of February, comes back as another one.
        (seconds >= 0 && Self::of_seconds(seconds) == self).then_some(seconds)
    }
}

/// RFC 3339: `2026-11-21T05:17:09Z`.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::limits;

    #[test]
    fn every_day_comes_back() {
        let mut last = None;
        for day in 0..=limits::LATEST_DATE / DAY {
            let seconds = day * DAY + day % DAY;
            let utc = Utc::of_seconds(seconds);
            assert_eq!(utc.to_seconds(), Some(seconds));
            assert!(last.is_none_or(|(y, m, d)| (y, m, d) < (utc.year, utc.month, utc.day)), "{utc}");
            last = Some((utc.year, utc.month, utc.day));
        }
    }

    #[test]
    fn what_is_printed_is_read_and_nothing_else() {
        for seconds in [0, 951_782_400, 1_795_238_229, limits::LATEST_DATE] {
            let utc = Utc::of_seconds(seconds);
            assert_eq!(Utc::from_rfc3339(&utc.to_string()), Some(utc));
        }
        assert_eq!(Utc::from_rfc3339("2026-11-21").unwrap().to_string(), "2026-11-21T00:00:00Z");
        for bad in [
            "",
            "2026",
            "2026-11-1",
            "2026-02-29",
            "2026-13-01",
            "1969-12-31",
            "20261121",
            "2026-11-21T05:17:09",
            "2026-11-21T05:17:09+01:00",
            "2026-11-21T24:00:00Z",
            "2026-11-21 05:17:09Z",
            "+026-11-21",
            "2026-11-21T05:17Z",
            "é026-11-2",
        ] {
            assert_eq!(Utc::from_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn known_dates_are_right() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_238_229, "2026-11-21T05:17:09Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (limits::LATEST_DATE, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Utc::of_seconds(seconds).to_string(), text);
        }
    }
}
