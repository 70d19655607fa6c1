//! An order, read from a request and written as one. Pure: both ends of the socket are made from this file.

use std::time::Duration;

use hyper::Method;

use crate::config::kind::{Kind, Span, show_duration, span};
use crate::config::raw::{Given, Origin, Raw};

/// The shortest maintenance.
pub const MIN_HOLD: Duration = Duration::from_secs(1);
/// The longest maintenance: a hold that somebody forgot has to end by itself, and within a day somebody
/// looks.
pub const MAX_HOLD: Duration = Duration::from_secs(24 * 3600);
const _: () = assert!(MIN_HOLD.as_secs() < MAX_HOLD.as_secs());
const HOLD: Span = span(MIN_HOLD, MAX_HOLD);

/// Every path and its methods, in the order in which a 404 lists them.
const ROUTES: &[(&str, &str)] = &[
    ("/adopt", "POST"),
    ("/maintenance", "POST, DELETE"),
    ("/release", "POST"),
    ("/stop", "POST"),
];

/// The longest grace of a stop, the same as of the setting.
pub const MAX_GRACE: Duration = Duration::from_secs(3600);
const GRACE: Span = span(Duration::from_secs(1), MAX_GRACE);
/// The time for the end of an engine that was sent SIGKILL, and for the report of that end.
const AFTER_GRACE: Duration = Duration::from_secs(15);

/// An order of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Liveness is held for this time; a later pause takes the place of an earlier one.
    Pause(Duration),
    /// Liveness is held no longer.
    Resume,
    /// The restart budget starts afresh, and its hold is over.
    Release,
    /// The volume is accepted as it is now.
    Adopt,
    /// The engine is stopped cleanly within this grace, or within the one of the settings. The order is
    /// obeyed when the engine is gone.
    Stop(Option<Duration>),
}

/// The outcome of an order: what was done, or why nothing was.
pub type Obeyed = Result<String, String>;

/// The reason why a request is no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The path is not served.
    NotFound,
    /// The path takes only these methods.
    Method(&'static str),
    /// The query can't be understood; the text names what is wrong and what to do.
    Query(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => {
                f.write_str("no such path; these are served:")?;
                for (path, methods) in ROUTES {
                    write!(f, " {path} ({methods})")?;
                }
                f.write_str("; what only asks goes to the HTTP port")
            }
            Self::Method(allowed) => write!(f, "this path takes {allowed}"),
            Self::Query(why) => f.write_str(why),
        }
    }
}

impl Order {
    /// Returns the order that a request's head gives.
    ///
    /// # Errors
    /// The head gives no order.
    pub fn from_request(method: &Method, path: &str, query: Option<&str>) -> Result<Self, Refusal> {
        let route = ROUTES.iter().find(|(known, _)| *known == path);
        let (path, methods) = route.ok_or(Refusal::NotFound)?;
        let order = match (*path, method) {
            ("/maintenance", &Method::POST) => return pause(query.unwrap_or_default()),
            ("/maintenance", &Method::DELETE) => Self::Resume,
            ("/release", &Method::POST) => Self::Release,
            ("/adopt", &Method::POST) => Self::Adopt,
            ("/stop", &Method::POST) => return stop(query.unwrap_or_default()),
            _ => return Err(Refusal::Method(methods)),
        };
        match query.unwrap_or_default() {
            "" => Ok(order),
            _ => Err(Refusal::Query("it takes no parameter".to_owned())),
        }
    }

    /// Returns the request that gives this order: its method, and its path with the query.
    #[must_use]
    pub fn to_request(self) -> (Method, String) {
        match self {
            Self::Pause(span) => {
                let span = show_duration(span);
                (Method::POST, format!("/maintenance?for={span}"))
            }
            Self::Resume => (Method::DELETE, "/maintenance".to_owned()),
            Self::Release => (Method::POST, "/release".to_owned()),
            Self::Adopt => (Method::POST, "/adopt".to_owned()),
            Self::Stop(None) => (Method::POST, "/stop".to_owned()),
            Self::Stop(Some(grace)) => {
                let grace = show_duration(grace);
                (Method::POST, format!("/stop?grace={grace}"))
            }
        }
    }

    /// Returns the time within which this order is obeyed, where the deciding loop takes an order within
    /// `limit`.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Duration {
        match self {
            Self::Pause(_) | Self::Resume | Self::Release | Self::Adopt => limit,
            Self::Stop(grace) => grace.unwrap_or(MAX_GRACE) + AFTER_GRACE,
        }
    }

    /// Returns the text that describes what was done, for an order that was obeyed.
    #[must_use]
    pub fn done(self) -> String {
        match self {
            Self::Pause(span) => format!(
                "liveness is held for {}; `resume` ends it sooner",
                show_duration(span)
            ),
            Self::Resume => "liveness is not held for maintenance".to_owned(),
            Self::Adopt => {
                "the volume is being accepted as it is; `status` and the log say what came of it"
                    .to_owned()
            }
            Self::Release => "the restart budget starts afresh; nothing is held by it".to_owned(),
            Self::Stop(_) => "the engine is stopped".to_owned(),
        }
    }

    /// Returns the name of the order, as on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause(_) => "pause",
            Self::Resume => "resume",
            Self::Release => "release",
            Self::Adopt => "adopt",
            Self::Stop(_) => "stop",
        }
    }
}

fn pause(query: &str) -> Result<Order, Refusal> {
    match duration("for", query, parse_hold)? {
        Some(span) => Ok(Order::Pause(span)),
        None => Err(Refusal::Query(format!(
            "give ?for=30m: {}",
            HOLD.describe()
        ))),
    }
}

fn stop(query: &str) -> Result<Order, Refusal> {
    duration("grace", query, parse_grace).map(Order::Stop)
}

/// Returns the value of the parameter `name`, the only one that is taken; none where the query is empty.
fn duration(
    name: &str,
    query: &str,
    parse: impl Fn(&str) -> Result<Duration, String>,
) -> Result<Option<Duration>, Refusal> {
    if query.is_empty() {
        return Ok(None);
    }
    let text = query
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('='));
    let text = text.filter(|text| !text.contains('&'));
    let text = text.ok_or_else(|| Refusal::Query(format!("it takes `{name}` and nothing else")))?;
    parse(text)
        .map(Some)
        .map_err(|why| Refusal::Query(format!("{name}={}: {why}", text.escape_debug())))
}

/// Parses a duration that [`Order::Pause`] takes.
///
/// # Errors
/// The text is no duration, or out of its bounds; the error names what to give.
pub fn parse_hold(text: &str) -> Result<Duration, String> {
    parse(HOLD, "for", text)
}

/// Parses a duration that [`Order::Stop`] takes.
///
/// # Errors
/// The text is no duration, or out of its bounds; the error names what to give.
pub fn parse_grace(text: &str) -> Result<Duration, String> {
    parse(GRACE, "grace", text)
}

fn parse(bounds: Span, flag: &str, text: &str) -> Result<Duration, String> {
    let given = Given {
        raw: Raw::Text(text.to_owned()),
        origin: Origin::Flag(flag.to_owned()),
    };
    bounds.parse(&given).map_err(|problem| {
        let advice = problem.advice;
        let advice = advice.unwrap_or_else(|| format!("give {}", bounds.describe()));
        format!("{}; {advice}", problem.what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(method: &Method, target: &str) -> Result<Order, Refusal> {
        match target.split_once('?') {
            Some((path, query)) => Order::from_request(method, path, Some(query)),
            None => Order::from_request(method, target, None),
        }
    }

    #[test]
    fn what_one_end_sends_the_other_understands() {
        let spans = [
            MIN_HOLD,
            MAX_HOLD,
            Duration::from_millis(90_500),
            Duration::from_secs(3 * 3600 + 62),
        ];
        let orders = spans.map(Order::Pause).into_iter();
        for given in orders.chain([
            Order::Resume,
            Order::Release,
            Order::Stop(None),
            Order::Stop(Some(Duration::from_secs(25))),
        ]) {
            let (method, target) = given.to_request();
            assert_eq!(order(&method, &target), Ok(given), "{target}");
            assert!(!given.done().is_empty());
        }
    }

    #[test]
    fn paths_and_methods_that_are_not_served() {
        for path in ["/", "/livez", "/maintenance/", "/Release", ""] {
            assert_eq!(order(&Method::POST, path), Err(Refusal::NotFound));
        }
        for (method, path, allowed) in [
            (Method::GET, "/maintenance", "POST, DELETE"),
            (Method::PUT, "/maintenance", "POST, DELETE"),
            (Method::GET, "/release", "POST"),
            (Method::DELETE, "/release", "POST"),
        ] {
            assert_eq!(order(&method, path), Err(Refusal::Method(allowed)));
        }
        let text = Refusal::NotFound.to_string();
        assert!(text.contains("/maintenance (POST, DELETE)"), "{text}");
    }

    #[test]
    fn a_query_says_how_long_and_nothing_else() {
        for query in [
            "",
            "?",
            "?for",
            "?for=",
            "?for=0",
            "?for=30",
            "?for=soon",
            "?for=999ms",
            "?for=24h1s",
            "?for=1h&for=2h",
            "?FOR=1h",
            "?for=1h%2030m",
            "?for=99999999999999999999s",
        ] {
            let refused = order(&Method::POST, &format!("/maintenance{query}"));
            let Err(Refusal::Query(why)) = refused else {
                panic!("{query}: {refused:?}");
            };
            assert!(!why.is_empty());
        }
        for (method, target) in [
            (Method::POST, "/release?for=1h"),
            (Method::DELETE, "/maintenance?for=1h"),
        ] {
            assert!(matches!(order(&method, target), Err(Refusal::Query(_))));
        }
    }

    #[test]
    fn a_duration_is_refused_with_what_to_give() {
        let refused = |text| parse_hold(text).expect_err("it is none");
        assert_eq!(
            refused("soon"),
            "is not a duration; give a duration from 1s to 1day"
        );
        assert!(refused("30").contains("30s for seconds"));
        assert!(
            refused("25h").contains("is above 1day"),
            "{}",
            refused("25h")
        );
        assert_eq!(parse_hold("1h30m"), Ok(Duration::from_secs(5400)));
    }
}
