//! `pause`, `resume`, `release`, `adopt` and `stop`: commands for a running supervisor over its control
//! socket.

use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use super::Exit;
use super::client::{self, Answer, ClientError};
use super::table::safe;
use crate::act::order::Order;
use crate::cli::ControlTarget;
use crate::config::parse::parse_control_socket;
use crate::config::{Environment, Sources};

/// Gives the command and prints what was done.
///
/// # Errors
/// When the output can't be written.
pub fn execute(
    order: Order,
    target: &ControlTarget,
    environment: Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let sources = Sources::load(target.flags.clone(), environment);
    let socket = match parse_control_socket(&sources) {
        Ok(socket) => socket,
        Err(mistake) => {
            let _ = writeln!(err, "{mistake}");
            return Ok(Exit::Usage);
        }
    };
    match outcome(client::order(&socket, order, target.timeout)) {
        Ok(done) => {
            writeln!(out, "{}", safe(&done))?;
            Ok(Exit::Done)
        }
        Err(why) => {
            let _ = writeln!(err, "{}", safe(&failed(order, &socket, &why)));
            Ok(Exit::Failed)
        }
    }
}

/// Returns what was done, or the reason for which nothing was.
fn outcome(answer: Result<Answer, ClientError>) -> Result<String, String> {
    let Answer { status, body } = answer.map_err(|error| match &error {
        ClientError::Io(io) => no_contact(io).map_or_else(|| error.to_string(), str::to_owned),
        _ => error.to_string(),
    })?;
    let said = serde_json::from_str::<Value>(&body).unwrap_or_default();
    match (status, said["done"].as_str(), said["error"].as_str()) {
        (200, Some(done), _) => Ok(done.to_owned()),
        (_, _, Some(error)) => Err(error.to_owned()),
        _ => Err(format!("it answers {status}: is it a supervisor?")),
    }
}

fn no_contact(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no socket: is the supervisor running, in this container, with this state-dir?"
        }
        io::ErrorKind::ConnectionRefused => {
            "nobody listens on it any more: is the supervisor running?"
        }
        io::ErrorKind::PermissionDenied => "only root and the supervisor's own user may use it",
        _ => return None,
    })
}

fn failed(order: Order, socket: &Path, why: &str) -> String {
    format!("{}: {}: {why}", order.name(), socket.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_confirmed_order_is_done() {
        let answer = |status, body: &str| {
            outcome(Ok(Answer {
                status,
                body: body.to_owned(),
            }))
        };
        assert_eq!(answer(200, r#"{"done":"held"}"#), Ok("held".to_owned()));
        assert_eq!(answer(403, r#"{"error":"who?"}"#), Err("who?".to_owned()));
        for (status, body) in [
            (200, "ok"),
            (200, "{}"),
            (202, r#"{"done":"x"}"#),
            (404, ""),
            (503, r#"{"error":7}"#),
        ] {
            let why = answer(status, body).expect_err("nothing was confirmed");
            assert!(why.contains("is it a supervisor?"), "{why}");
        }
    }

    #[test]
    fn a_socket_that_is_not_there_is_named_with_what_to_check() {
        let error = io::Error::from(io::ErrorKind::NotFound);
        let why = outcome(Err(ClientError::Io(error))).expect_err("nobody was asked");
        let text = failed(Order::Release, Path::new("/s/control.sock"), &why);
        assert!(text.starts_with("release: /s/control.sock: there is no socket"));
        assert!(text.contains("is the supervisor running"), "{text}");
        let error = ClientError::TimedOut(std::time::Duration::from_secs(1));
        let why = outcome(Err(error)).expect_err("nobody answered");
        assert_eq!(why, "no answer within 1s");
    }
}
