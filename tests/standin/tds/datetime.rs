//! Calendar arithmetic for `datetime` values and for the errorlog's time stamps (UTC, Gregorian).

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;
/// Days from 1900-01-01, where `datetime` counts from, to 1970-01-01.
const DAYS_1900_TO_1970: i64 = 25_567;
/// `datetime` has a resolution of 1/300 s.
const TICKS_PER_SECOND: u64 = 300;

/// A point in time with the parts that a `datetime` column and a log line need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime {
    days_since_1970: i64,
    milliseconds: u64,
}

impl DateTime {
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Returns the days since 1900-01-01 and the 1/300 seconds since midnight, as on the wire.
    pub fn to_wire(self) -> (i32, u32) {
        let days = i32::try_from(self.days_since_1970 + DAYS_1900_TO_1970).unwrap_or(i32::MAX);
        let ticks = (self.milliseconds * TICKS_PER_SECOND + 500) / 1000;
        // 23:59:59.999 rounds up to midnight; the real engine carries it into the next day.
        if ticks == SECONDS_PER_DAY * TICKS_PER_SECOND {
            return (days.saturating_add(1), 0);
        }
        (days, u32::try_from(ticks).unwrap_or(0))
    }

    /// Returns the milliseconds since 1970.
    pub fn unix_milliseconds(self) -> i64 {
        self.days_since_1970 * SECONDS_PER_DAY as i64 * 1000 + self.milliseconds as i64
    }

    fn civil(self) -> (i64, i64, i64) {
        // Howard Hinnant, "chrono-compatible low-level date algorithms": civil_from_days.
        let shifted = self.days_since_1970 + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 {
            month_index + 3
        } else {
            month_index - 9
        };
        (year_of_era + era * 400 + i64::from(month <= 2), month, day)
    }
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl From<SystemTime> for DateTime {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let seconds = since.as_secs();
        Self {
            days_since_1970: i64::try_from(seconds / SECONDS_PER_DAY).unwrap_or(i64::MAX / 2),
            milliseconds: (seconds % SECONDS_PER_DAY) * 1000 + u64::from(since.subsec_millis()),
        }
    }
}

/// `2026-11-23 04:51:00.123`
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        let seconds = self.milliseconds / 1000;
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{:03}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            self.milliseconds % 1000
        )
    }
}

#[derive(Debug, thiserror::Error)]
#[error("expected YYYY-MM-DD[ HH:MM:SS[.mmm]]")]
pub struct InvalidDateTime;

impl FromStr for DateTime {
    type Err = InvalidDateTime;

    fn from_str(text: &str) -> Result<Self, InvalidDateTime> {
        let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
        let with_dashes;
        // 20261123, the same whatever the language.
        let date = match date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) {
            true => {
                with_dashes = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]);
                &with_dashes
            }
            false => date,
        };
        let date: Vec<i64> = numbers(date, '-')?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let time: Vec<i64> = numbers(time, ':')?;
        let ([year, month, day], [hour, minute, second]) = (&date[..], &time[..]) else {
            return Err(InvalidDateTime);
        };
        let valid = (1753..=9999).contains(year)
            && (1..=12).contains(month)
            && (1..=31).contains(day)
            && (0..24).contains(hour)
            && (0..60).contains(minute)
            && (0..60).contains(second)
            && fraction.len() <= 3;
        if !valid {
            return Err(InvalidDateTime);
        }
        let fraction: u64 = format!("{fraction:0<3}")
            .parse()
            .map_err(|_| InvalidDateTime)?;
        let seconds = u64::try_from(hour * 3600 + minute * 60 + second).unwrap_or(0);
        Ok(Self {
            days_since_1970: days_from_civil(*year, *month, *day),
            milliseconds: seconds * 1000 + fraction,
        })
    }
}

fn numbers(text: &str, separator: char) -> Result<Vec<i64>, InvalidDateTime> {
    text.split(separator)
        .map(|part| part.parse().map_err(|_| InvalidDateTime))
        .collect()
}
