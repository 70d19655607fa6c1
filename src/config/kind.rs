//! The kinds of values: how a value of each kind is read, how it is written, and what the kind allows.
//!
//! Kinds that are numbers are here, kinds that are texts in [`super::text`].

use std::fmt::Display;
use std::time::Duration;

use super::raw::{Given, Problem, Raw, Shown};

/// A kind of values: the type of a setting, with its bounds.
pub trait Kind {
    /// The type that a value of this kind is read into.
    type Value;

    /// Reads a value of this kind.
    ///
    /// # Errors
    /// When the value is not one of this kind, or is out of bounds.
    fn parse(&self, given: &Given) -> Result<Self::Value, Problem>;

    /// Writes a value so that [`Self::parse`] reads the same value again.
    fn show(&self, value: &Self::Value) -> Shown;

    /// Returns the allowed values as words that complete the sentence "give ...".
    fn describe(&self) -> String;
}

/// Returns the text of a value that is no list.
pub fn scalar(given: &Given) -> Result<&str, Problem> {
    match &given.raw {
        Raw::Text(text) => Ok(text),
        Raw::List(_) => Err(Problem::new("is a list where one value is needed")),
        Raw::SecretIn(_) => Err(Problem::new("is a secret, which is not read here")),
        Raw::Other(name) => Err(Problem::new(format!("is {name} where a value is needed"))),
    }
}

fn within<T: PartialOrd>(
    value: T,
    min: &T,
    max: &T,
    show: impl Fn(&T) -> String,
) -> Result<T, Problem> {
    if value < *min {
        Err(Problem::new(format!("is below {}", show(min))))
    } else if value > *max {
        Err(Problem::new(format!("is above {}", show(max))))
    } else {
        Ok(value)
    }
}

/// The kind of a length of time.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The shortest duration that is allowed.
    pub min: Duration,
    /// The longest duration that is allowed.
    pub max: Duration,
    /// Whether only whole seconds are allowed.
    pub whole_seconds: bool,
}

/// Returns the kind of a duration from `min` to `max`.
#[must_use]
pub const fn span(min: Duration, max: Duration) -> Span {
    Span {
        min,
        max,
        whole_seconds: false,
    }
}

impl Span {
    /// Restricts the kind to whole seconds.
    #[must_use]
    pub const fn whole_seconds(mut self) -> Self {
        self.whole_seconds = true;
        self
    }
}

/// Writes a duration without blanks, which YAML would want in quotes.
#[must_use]
pub fn show_duration(value: Duration) -> String {
    humantime::format_duration(value)
        .to_string()
        .replace(' ', "")
}

impl Kind for Span {
    type Value = Duration;

    fn parse(&self, given: &Given) -> Result<Duration, Problem> {
        let text = scalar(given)?.trim();
        let number = text.parse::<f64>().ok();
        // Not `inf`, `nan` or a negative one: no unit makes a duration of them.
        if number.is_some_and(|number| number.is_finite() && number > 0.0) {
            return Err(Problem::with_advice(
                "has no unit",
                format!("add one: {text}s for seconds, {text}ms for milliseconds"),
            ));
        }
        let value =
            humantime::parse_duration(text).map_err(|_| Problem::new("is not a duration"))?;
        let value = within(value, &self.min, &self.max, |value| show_duration(*value))?;
        if self.whole_seconds && value.subsec_nanos() != 0 {
            return Err(Problem::new("is not a whole number of seconds"));
        }
        Ok(value)
    }

    fn show(&self, value: &Duration) -> Shown {
        Shown::Plain(show_duration(*value))
    }

    fn describe(&self) -> String {
        format!(
            "a duration from {} to {}{}",
            show_duration(self.min),
            show_duration(self.max),
            if self.whole_seconds {
                ", in whole seconds"
            } else {
                ""
            }
        )
    }
}

/// The kind of an amount of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The smallest amount that is allowed, in bytes.
    pub min: u64,
    /// The largest amount that is allowed, in bytes.
    pub max: u64,
}

/// The units of [`Bytes`], largest first.
const BYTE_UNITS: [(&str, u64); 3] = [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

fn show_bytes(value: u64) -> String {
    BYTE_UNITS
        .iter()
        .find(|(_, size)| value >= *size && value.is_multiple_of(*size))
        .map_or_else(
            || value.to_string(),
            |(unit, size)| format!("{}{unit}", value / size),
        )
}

fn parse_bytes(text: &str) -> Option<u64> {
    let (digits, size) = BYTE_UNITS
        .iter()
        .find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)))
        .unwrap_or((text, 1));
    digits.trim_end().parse::<u64>().ok()?.checked_mul(size)
}

impl Kind for Bytes {
    type Value = u64;

    fn parse(&self, given: &Given) -> Result<u64, Problem> {
        let value = parse_bytes(scalar(given)?.trim())
            .ok_or_else(|| Problem::new("is not an amount of bytes"))?;
        within(value, &self.min, &self.max, |value| show_bytes(*value))
    }

    fn show(&self, value: &u64) -> Shown {
        Shown::Plain(show_bytes(*value))
    }

    fn describe(&self) -> String {
        format!(
            "bytes from {} to {}; Ki, Mi and Gi are understood",
            show_bytes(self.min),
            show_bytes(self.max)
        )
    }
}

/// The kind of a whole number.
#[derive(Clone, Copy, Debug)]
pub struct Count<T> {
    /// The smallest number that is allowed.
    pub min: T,
    /// The largest number that is allowed.
    pub max: T,
}

impl<T> Kind for Count<T>
where
    T: Copy + PartialOrd + Display + TryFrom<u64>,
{
    type Value = T;

    fn parse(&self, given: &Given) -> Result<T, Problem> {
        let text = scalar(given)?.trim();
        if text.starts_with("tcp://") || text.starts_with("udp://") {
            return Err(service_link());
        }
        let number = text
            .parse::<u64>()
            .map_err(|_| Problem::new("is not a whole number"))?;
        let value =
            T::try_from(number).map_err(|_| Problem::new(format!("is above {}", self.max)))?;
        within(value, &self.min, &self.max, ToString::to_string)
    }

    fn show(&self, value: &T) -> Shown {
        Shown::Plain(value.to_string())
    }

    fn describe(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }
}

/// Returns the problem of a variable that Kubernetes made. It gives each Service's address to each pod of its
/// namespace, in variables named after the Service: one named `mssql-tcp` takes the name MSSQL_TCP_PORT.
fn service_link() -> Problem {
    Problem::with_advice(
        "is the link that Kubernetes makes for a Service of that name",
        "set `enableServiceLinks: false` in the pod, or give the setting by its flag",
    )
}

/// The kind of a share, such as 0.5.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// The smallest share that is allowed.
    pub min: f64,
    /// The largest share that is allowed.
    pub max: f64,
}

impl Kind for Ratio {
    type Value = f64;

    fn parse(&self, given: &Given) -> Result<f64, Problem> {
        let value = scalar(given)?
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .ok_or_else(|| Problem::new("is not a number"))?;
        // Of the two zeros the one without a sign: the other is read back from a file as this one.
        within(value + 0.0, &self.min, &self.max, ToString::to_string)
    }

    fn show(&self, value: &f64) -> Shown {
        Shown::Plain(value.to_string())
    }

    fn describe(&self) -> String {
        format!("a share from {} to {}", self.min, self.max)
    }
}

/// The kind of a setting that is `true` or `false`.
#[derive(Clone, Copy, Debug)]
pub struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn parse(&self, given: &Given) -> Result<bool, Problem> {
        match scalar(given)?.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Problem::new("is neither true nor false")),
        }
    }

    fn show(&self, value: &bool) -> Shown {
        Shown::Plain(value.to_string())
    }

    fn describe(&self) -> String {
        "true or false".to_owned()
    }
}

/// The kind of a setting that takes a word out of a list, each with the value that it stands for.
#[derive(Clone, Copy, Debug)]
pub struct Choice<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Value = T;

    fn parse(&self, given: &Given) -> Result<T, Problem> {
        let text = scalar(given)?.trim();
        self.0
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| Problem::new("is not one of the choices"))
    }

    fn show(&self, value: &T) -> Shown {
        let word = self.0.iter().find(|(_, choice)| choice == value);
        // `off` is a boolean for some readers of YAML: quoted, all of them agree.
        Shown::Quoted(word.map_or_else(String::new, |(word, _)| (*word).to_owned()))
    }

    fn describe(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
        format!("one of {}", words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::Origin;
    use super::*;

    fn given(text: &str) -> Given {
        Given {
            raw: Raw::Text(text.to_owned()),
            origin: Origin::Default,
        }
    }

    fn wrong<K: Kind>(kind: &K, text: &str) -> String {
        match kind.parse(&given(text)) {
            Ok(_) => panic!("{text:?} must be refused"),
            Err(problem) => problem.what,
        }
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn durations() {
        let kind = span(50 * MS, 60_000 * MS);
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("1m", 60_000),
            (" 2s ", 2000),
        ] {
            assert_eq!(kind.parse(&given(text)), Ok(millis * MS), "{text}");
        }
        for (text, what) in [
            ("2", "has no unit"),
            ("inf", "is not a duration"),
            ("nan", "is not a duration"),
            ("-5", "is not a duration"),
            ("0", "is below 50ms"),
            ("0s", "is below 50ms"),
            ("49ms", "is below 50ms"),
            ("2h", "is above 1m"),
            ("soon", "is not a duration"),
            ("", "is not a duration"),
            ("-1s", "is not a duration"),
            ("99999999999999999999s", "is not a duration"),
        ] {
            assert_eq!(wrong(&kind, text), what, "{text}");
        }
        assert_eq!(
            wrong(&kind.whole_seconds(), "1500ms"),
            "is not a whole number of seconds"
        );
        assert_eq!(show_duration(90_500 * MS), "1m30s500ms");
    }

    #[test]
    fn bytes() {
        let kind = Bytes {
            min: 1,
            max: 1 << 40,
        };
        for (text, value) in [
            ("8192", 8192),
            ("16Ki", 16 << 10),
            ("64Mi", 64 << 20),
            ("2 Gi", 2 << 30),
        ] {
            assert_eq!(kind.parse(&given(text)), Ok(value), "{text}");
        }
        for (text, what) in [
            ("0", "is below 1"),
            ("2000Gi", "is above 1024Gi"),
            ("1.5Gi", "is not an amount of bytes"),
            ("Ki", "is not an amount of bytes"),
            ("99999999999999999999Gi", "is not an amount of bytes"),
            ("64MB", "is not an amount of bytes"),
        ] {
            assert_eq!(wrong(&kind, text), what, "{text}");
        }
        for (value, text) in [(0, "0"), (1023, "1023"), (1024, "1Ki"), (3 << 29, "1536Mi")] {
            assert_eq!(show_bytes(value), text);
        }
    }

    #[test]
    fn numbers_ratios_and_words() {
        let port = Count::<u16> { min: 1, max: 65535 };
        assert_eq!(port.parse(&given("1433")), Ok(1433));
        assert_eq!(wrong(&port, "0"), "is below 1");
        assert_eq!(wrong(&port, "65536"), "is above 65535");
        assert_eq!(wrong(&port, "-1"), "is not a whole number");
        assert_eq!(
            wrong(&port, "tcp://10.0.0.1:1433"),
            "is the link that Kubernetes makes for a Service of that name"
        );

        let ratio = Ratio { min: 0.0, max: 1.0 };
        assert_eq!(ratio.parse(&given("0.5")), Ok(0.5));
        for text in ["NaN", "inf", "half", ""] {
            assert_eq!(wrong(&ratio, text), "is not a number", "{text}");
        }
        assert_eq!(wrong(&ratio, "1.01"), "is above 1");

        assert_eq!(Flag.parse(&given("true")), Ok(true));
        assert_eq!(wrong(&Flag, "yes"), "is neither true nor false");
        assert_eq!(
            wrong(&Choice(&[("text", 1), ("json", 2)]), "xml"),
            "is not one of the choices"
        );
    }

    #[test]
    fn a_list_or_a_map_is_no_scalar() {
        let mut given = given("");
        given.raw = Raw::List(vec!["1".to_owned()]);
        assert!(Flag.parse(&given).is_err());
        given.raw = Raw::Other("a map");
        let problem = Flag.parse(&given).expect_err("a map is refused");
        assert_eq!(problem.what, "is a map where a value is needed");
    }
}
