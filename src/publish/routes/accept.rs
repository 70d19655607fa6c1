//! Content negotiation between text and JSON, compressed or not: as much of RFC 9110, sections 12.5.1
//! and 12.5.3, as that needs.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING};

/// Whether a client prefers JSON over text. Without a preference it gets text: that is what the
/// kubelet and a person with curl want, and a probe is never refused with 406.
pub fn prefers_json(headers: &HeaderMap) -> bool {
    let mut json = Preference::default();
    let mut text = Preference::default();
    for value in headers.get_all(ACCEPT) {
        // A header that is not ASCII names no media type.
        for range in value.to_str().unwrap_or_default().split(',') {
            json.take(range, "application/json", "application/*");
            text.take(range, "text/plain", "text/*");
        }
    }
    json.weight > 0 && (json.weight, json.specificity) > (text.weight, text.specificity)
}

/// Whether a client names gzip among what it takes. A client that names nothing gets plain text: a
/// person with curl wants to read it.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    let codings = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    let mut gzip = Preference::default();
    for coding in codings {
        gzip.take(coding, "gzip", "x-gzip");
    }
    gzip.weight > 0
}

/// The preference of a client for one media type: the most specific range that matches it decides.
#[derive(Clone, Copy, Debug, Default)]
struct Preference {
    /// The q-value in thousandths, which is all the precision that it may have.
    weight: u16,
    /// The specificity of that range: 0 not named, 1 `*/*`, 2 `type/*`, 3 exact.
    specificity: u8,
}

impl Preference {
    fn take(&mut self, range: &str, exact: &str, family: &str) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let specificity = if name.eq_ignore_ascii_case(exact) {
            3
        } else if name.eq_ignore_ascii_case(family) {
            2
        } else if name == "*/*" {
            1
        } else {
            return;
        };
        if specificity > self.specificity {
            self.specificity = specificity;
            self.weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(1000, weight);
        }
    }
}

/// Returns a q-value in thousandths; one that can't be read counts as not acceptable.
fn weight(q: &str) -> u16 {
    let q: f32 = q.trim().parse().unwrap_or(0.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to 0..=1000
    let weight = (q.clamp(0.0, 1.0) * 1000.0).round() as u16;
    weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn table() {
        for (accept, json) in [
            ("", false),
            ("*/*", false),
            ("application/json", true),
            ("APPLICATION/JSON", true),
            ("application/*", true),
            ("application/json, */*", true),
            ("application/json;q=0.5, text/plain", false),
            ("application/json ; q=0.9 , text/plain ; q=0.8", true),
            ("application/json;q=0, */*", false),
            ("text/html, application/json;q=0.9, */*;q=0.8", true),
            ("text/plain, application/json", false),
            ("application/json;q=nonsense", false),
            ("application/json;q=NaN", false),
            ("application/jsonp", false),
            (",;,;q=1,/", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(prefers_json(&headers), json, "{accept}");
        }
    }

    #[test]
    fn codings() {
        for (accept, gzip) in [
            ("", false),
            ("identity", false),
            ("*", false),
            ("gzip", true),
            ("GZIP", true),
            ("x-gzip", true),
            ("gzip, deflate, br", true),
            ("zstd, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip ; q=0.0 , *", false),
            ("gzipped", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accept));
            assert_eq!(takes_gzip(&headers), gzip, "{accept}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn several_headers_count_as_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, HeaderValue::from_static("text/plain;q=0.1"));
        headers.append(ACCEPT, HeaderValue::from_static("application/json"));
        headers.append(ACCEPT, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(prefers_json(&headers));
    }
}
