//! Amounts of memory as Kubernetes writes them: `2Gi`, `2G`, `1097152e3`, `1.5Gi`.

/// The number of bytes in a mebibyte.
pub const MIB: f64 = 1_048_576.0;

/// Returns the bytes of a quantity; none where the text is not one.
#[must_use]
pub fn bytes(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 11] = [
        ("Ki", 1024.0),
        ("Mi", MIB),
        ("Gi", 1024.0 * MIB),
        ("Ti", 1024.0 * 1024.0 * MIB),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("m", 1e-3),
        ("", 1.0),
    ];
    let text = text.trim();
    let (number, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let plain = |c: char| c.is_ascii_digit() || ".eE+-".contains(c);
    let is_number = !number.is_empty() && number.chars().all(plain);
    let number: f64 = is_number.then(|| number.parse().ok())??;
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::{MIB, bytes};

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
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
