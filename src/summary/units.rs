//! Durations and sizes with the precision that a person wants.

use std::time::Duration;

/// Returns a span of whole seconds, such as `3m12s`.
#[must_use]
pub fn whole(span: Duration) -> String {
    let whole = Duration::from_secs(span.as_secs());
    humantime::format_duration(whole)
        .to_string()
        .replace(' ', "")
}

/// Returns a span with one decimal below a minute, and whole seconds from there on.
#[must_use]
pub fn span(span: Duration) -> String {
    match span.as_secs() {
        0 if span < Duration::from_millis(100) => format!("{:.1} ms", span.as_secs_f64() * 1e3),
        0..60 => format!("{:.1} s", span.as_secs_f64()),
        _ => whole(span),
    }
}

/// Returns a number of seconds as [`span`] does; one that is no span, as it is.
pub fn seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_| format!("{seconds:e} s"), span)
}

/// Returns a number of bytes in binary units.
#[must_use]
#[allow(clippy::cast_precision_loss)] // for people, one decimal
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        for (given, wanted) in [
            (Duration::from_micros(1_240), "1.2 ms"),
            (Duration::from_millis(100), "0.1 s"),
            (Duration::from_millis(59_900), "59.9 s"),
            (Duration::from_millis(61_900), "1m1s"),
            (Duration::from_secs(7_260), "2h1m"),
            (Duration::from_secs(90_000), "1day1h"),
        ] {
            assert_eq!(span(given), wanted);
        }
    }

    #[test]
    fn what_is_no_span_stays_a_number() {
        assert_eq!(seconds(0.5), "0.5 s");
        assert_eq!(seconds(1e300), "1e300 s");
        assert_eq!(seconds(-1.0), "-1e0 s");
    }

    #[test]
    fn sizes_read_well() {
        for (given, wanted) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_610_612_736, "1.5 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(given), wanted);
        }
    }
}
