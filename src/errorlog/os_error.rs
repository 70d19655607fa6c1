//! The error of the operating system in a message, by the numbers of Windows: the platform layer
//! makes them of Linux's.

/// The beginning of a HRESULT of facility Win32, with the severity bit.
const HRESULT: &str = "HRESULT 0x8007";

/// The greatest number of digits of such an error's number.
const MAX_DIGITS: usize = 5;

/// Returns the number: `Error 5(Access is denied.)`, `Operating system error 1117(The ...`,
/// `OS error: 2(The ...`, `Operating system error 2: "2(The ...`, `system error = 5(...`,
/// `(HRESULT 0x80070002)`. In each language it stands before a bracket with its text.
#[must_use]
pub fn os_error(text: &str) -> Option<u32> {
    if let Some((_, after)) = text.split_once(HRESULT) {
        let code = after.get(..4)?;
        return u32::from_str_radix(code, 16).ok();
    }
    // Chinese and Japanese texts may have the wide bracket.
    let brackets = text.match_indices(['(', '（']);
    let before_brackets = brackets.map(|(at, _)| &text[..at]);
    let mut numbers = before_brackets.filter_map(|before| {
        let end = before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        // Part of a word or of a hexadecimal number it is none.
        let free = !before[..end].ends_with(|c: char| c.is_alphanumeric());
        let digits = before.get(end..)?;
        (free && digits.len() <= MAX_DIGITS).then(|| digits.parse().ok())?
    });
    numbers.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wherever_it_stands() {
        for (text, expected) in [
            (
                "Error 87(The parameter is incorrect.) occurred while opening file",
                Some(87),
            ),
            (
                "x.ldf: Operating system error 31(A device attached",
                Some(31),
            ),
            (
                "Unable to open \"x\". Operating system error 2: \"2(The system",
                Some(2),
            ),
            ("Operating system error = 5(Access is denied.).", Some(5)),
            (
                "'/var/opt/mssql/data/master.mdf':  2(The system cannot",
                Some(2),
            ),
            (
                "BootstrapSystemDataDirectories() failure (HRESULT 0x80070005)",
                Some(5),
            ),
            (
                "BootstrapSystemDataDirectories() failure (HRESULT 0x8007",
                None,
            ),
            ("errno = 0xD(13) Permission denied", None),
            ("错误 5（拒绝访问。）", Some(5)),
            ("Permission denied (13)", None),
            ("", None),
        ] {
            assert_eq!(os_error(text), expected, "{text}");
        }
    }
}
