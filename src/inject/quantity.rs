//! Amounts of memory and of processor time as Kubernetes writes them: `2Gi`, `1097152e3`, `1.5Gi`, `500m`.

/// The number of bytes in a mebibyte.
pub const MIB: f64 = 1_048_576.0;

/// Returns the amount of a quantity, in bytes or processors; none where the text is not one.
#[must_use]
pub fn amount(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 13] = [
        ("Ki", 1024.0),
        ("Mi", MIB),
        ("Gi", 1024.0 * MIB),
        ("Ti", MIB * MIB),
        ("Pi", 1024.0 * MIB * MIB),
        ("Ei", MIB * MIB * MIB),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    // Divided by, since a float has no exact thousandth.
    const PARTS: [(&str, f64); 3] = [("n", 1e9), ("u", 1e6), ("m", 1e3)];
    let text = text.trim();
    if let Some((number, divisor)) = split(text, &PARTS) {
        return Some(plain(number)? / divisor);
    }
    let (number, factor) = split(text, &UNITS)?;
    Some(plain(number)? * factor)
}

/// Splits a quantity into its number and the meaning of its unit.
fn split<'t>(text: &'t str, units: &[(&str, f64)]) -> Option<(&'t str, f64)> {
    let mut units = units.iter();
    units.find_map(|(unit, meaning)| Some((text.strip_suffix(unit)?, *meaning)))
}

/// Returns a number without a unit; none where the text is not one.
fn plain(text: &str) -> Option<f64> {
    let allowed = |c: char| c.is_ascii_digit() || ".eE+-".contains(c);
    let is_number = !text.is_empty() && text.chars().all(allowed);
    is_number.then(|| text.parse().ok())?
}

/// Whether two texts are the same quantity, such as `1` and `1000m`. Texts that are none are compared as they
/// are.
#[must_use]
pub fn are_equal(one: &str, other: &str) -> bool {
    one == other || amount(one).is_some_and(|one| amount(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::{MIB, amount, are_equal};

    #[test]
    fn equal_amounts_are_equal_however_they_are_written() {
        for (one, other) in [
            ("1", "1000m"),
            ("0.7", "700m"),
            ("1Gi", "1024Mi"),
            ("1Gi", "1073741824"),
            ("1E", "1000P"),
            ("1Ei", "1024Pi"),
            ("1E3", "1k"),
            ("1500u", "1.5m"),
            ("2000n", "2u"),
            ("${CPU}", "${CPU}"),
        ] {
            assert!(are_equal(one, other), "{one} {other}");
        }
        for (one, other) in [("1", "1001m"), ("1G", "1Gi"), ("${A}", "${B}"), ("1", "")] {
            assert!(!are_equal(one, other), "{one} {other}");
        }
    }

    #[test]
    fn amounts_are_read_as_kubernetes_reads_them() {
        for (text, expected) in [
            ("2Gi", Some(2048.0 * MIB)),
            ("2G", Some(2e9)),
            ("1097152e3", Some(1_097_152e3)),
            ("1.5Gi", Some(1536.0 * MIB)),
            ("1536Mi", Some(1536.0 * MIB)),
            ("2147483648", Some(2048.0 * MIB)),
            ("", None),
            ("much", None),
            ("inf", None),
            ("Gi", None),
        ] {
            assert_eq!(amount(text), expected, "{text}");
        }
    }
}
