//! `probe`: returns one verdict as an exit code, for exec probes and HEALTHCHECK.
//!
//! **Invariant:** `probe live` fails only when a supervisor answers 503. Whatever else goes wrong -
//! nobody listens, no answer in time, another server, a mistake in the configuration - it passes and
//! prints why: a probe that can't ask is no evidence against the database.

use std::io::Write;

use super::client::{self, Answer, ClientError, ServerUrl};
use super::table::safe;
use super::{Exit, endpoint};
use crate::cli::Target;
use crate::config::Environment;
use crate::decide::decision::Probe;

/// The result of asking a supervisor for a verdict.
#[derive(Debug)]
enum Outcome {
    /// The supervisor answered with a verdict.
    Verdict { pass: bool, body: String },
    /// The supervisor could not be asked, for this reason.
    Unknown(String),
}

/// Asks the supervisor, and prints the verdict with its reasons. A failure to print changes no verdict.
pub fn execute(
    probe: Probe,
    target: &Target,
    environment: Environment,
    verbose: bool,
    out: &mut dyn Write,
) -> Exit {
    let outcome = match endpoint(target, environment) {
        Ok(endpoint) => {
            let query = if verbose { "?verbose" } else { "" };
            let path = format!("/{}z{query}", probe.name());
            let answer = client::get(&endpoint, &path, "text/plain", target.timeout);
            outcome(&endpoint, answer)
        }
        Err(mistake) => Outcome::Unknown(mistake.to_string()),
    };
    let (exit, text) = judge(probe, &outcome);
    let _ = write!(out, "{text}");
    exit
}

fn outcome(endpoint: &ServerUrl, answer: Result<Answer, ClientError>) -> Outcome {
    match answer {
        Ok(Answer { status: 200, body }) => Outcome::Verdict { pass: true, body },
        Ok(Answer { status: 503, body }) => Outcome::Verdict { pass: false, body },
        Ok(Answer { status, .. }) => Outcome::Unknown(format!(
            "{endpoint} answers {status}, which is no verdict: is it a supervisor?"
        )),
        Err(error) => Outcome::Unknown(format!("{endpoint}: {error}")),
    }
}

fn judge(probe: Probe, outcome: &Outcome) -> (Exit, String) {
    let name = probe.name();
    match outcome {
        Outcome::Verdict { pass, body } => {
            let (exit, word) = match pass {
                true => (Exit::Done, "pass"),
                false => (Exit::Failed, "fail"),
            };
            let mut text = format!("{name}: {word}\n");
            for line in body.lines().filter(|line| !line.trim().is_empty()) {
                text += &format!("  {}\n", safe(line));
            }
            (exit, text)
        }
        Outcome::Unknown(why) if probe == Probe::Live => (
            Exit::Done,
            format!(
                "{name}: pass, because the supervisor can't be asked: {}\n",
                safe(why)
            ),
        ),
        Outcome::Unknown(why) => (
            Exit::Failed,
            format!(
                "{name}: fail, because the supervisor can't be asked: {}\n",
                safe(why)
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verdict_fails_liveness() {
        let unknown = || Outcome::Unknown("refused".to_owned());
        let verdict = |pass| Outcome::Verdict {
            pass,
            body: "Recovering\n".to_owned(),
        };
        for probe in Probe::ALL {
            assert_eq!(judge(probe, &verdict(true)).0, Exit::Done);
            assert_eq!(judge(probe, &verdict(false)).0, Exit::Failed);
            let unasked = judge(probe, &unknown());
            assert_eq!(unasked.0 == Exit::Done, probe == Probe::Live);
            assert!(unasked.1.contains("can't be asked: refused"));
        }
        assert_eq!(
            judge(Probe::Ready, &verdict(false)).1,
            "ready: fail\n  Recovering\n"
        );
    }

    #[test]
    fn another_server_is_no_verdict() {
        let endpoint = ServerUrl::from_url("http://127.0.0.1:1").expect("a literal");
        for status in [204, 301, 404, 500] {
            let answer = Ok(Answer {
                status,
                body: String::new(),
            });
            assert!(matches!(outcome(&endpoint, answer), Outcome::Unknown(_)));
        }
    }
}
