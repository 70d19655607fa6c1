//! Tests of an event's body against the limits of events.k8s.io/v1, and of the ServiceAccount's
//! files.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;

use super::*;
use crate::publish::events::journal::Journal;
use crate::publish::fixture;

fn server(pod: &str) -> ApiServer {
    ApiServer {
        host: "fd00::1".to_owned(),
        port: 6443,
        account: PathBuf::from("/nowhere"),
        pod_name: pod.to_owned(),
        pod_uid: "4ad1a2b4".to_owned(),
    }
}

fn notes() -> Vec<Note> {
    let view = fixture::view("hostile");
    let decision = view.published.decision.clone().expect("it has one");
    Journal::default().see(&decision)
}

#[test]
fn an_event_keeps_the_limits_of_the_api() {
    let at = UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    let notes = notes();
    assert!(!notes.is_empty());
    for pod in ["sql-0", &"a".repeat(253), &format!("{}.b", "a".repeat(229))] {
        for note in &notes {
            let text = body(&server(pod), "databases", at, note);
            let event: Event = serde_json::from_str(&text).expect("it is the typed API's Event");
            assert!(event.note.expect("a note").len() < 1024);
            assert!(event.reporting_instance.expect("one").len() <= 128);
            assert_eq!(event.reporting_controller.as_deref(), Some(CONTROLLER));
            assert!(event.event_time.is_some() && event.action.is_some());
            let name = event.metadata.name.expect("a name");
            assert!(name.len() <= 253, "{name}");
            assert!(!name.contains("..") && !name.contains("-."), "{name}");
            let regarding = event.regarding.expect("it is about a pod");
            assert_eq!(regarding.name.as_deref(), Some(pod));
            assert_eq!(regarding.uid.as_deref(), Some("4ad1a2b4"));
        }
    }
}

#[test]
fn two_events_of_one_decision_have_two_names() {
    let at = SystemTime::now();
    let name = |note: &Note| {
        let text = body(&server("sql-0"), "databases", at, note);
        let event: Event = serde_json::from_str(&text).expect("an Event");
        event.metadata.name.expect("a name")
    };
    let notes = notes();
    let names: std::collections::BTreeSet<_> = notes.iter().map(name).collect();
    assert_eq!(names.len(), notes.len());
}

#[test]
fn text_is_cut_between_characters() {
    assert_eq!(cut("aäö", 2), "a");
    assert_eq!(cut("aäö", 3), "aä");
    assert_eq!(cut("a", 10), "a");
}

#[test]
fn a_missing_file_of_the_account_is_named() {
    let error = account(Path::new("/nowhere")).err().expect("there is none");
    assert!(error.to_string().contains("/nowhere/token"), "{error}");
}

#[test]
fn only_a_denied_event_is_answered_by_a_grant() {
    let status =
        br#"{"kind":"Status","message":"Event.events.k8s.io \"sql-0\" is invalid:\n action"}"#;
    for (code, grants) in [(401, false), (403, true), (404, false), (422, false)] {
        let code = StatusCode::from_u16(code).expect("a status");
        let error = outcome(code, status).expect_err("it is no success");
        assert!(matches!(error, PostError::Refused { .. }), "{error:?}");
        assert_eq!(error.advice().contains("`create`"), grants, "{code}");
        let text = error.to_string();
        assert!(text.contains(code.as_str()), "{text}");
        assert!(
            text.ends_with(r#"Event.events.k8s.io "sql-0" is invalid:  action"#),
            "{text}"
        );
    }
    for code in [408, 429, 500, 503] {
        let code = StatusCode::from_u16(code).expect("a status");
        let error = outcome(code, status).expect_err("it is no success");
        assert!(matches!(error, PostError::Busy { .. }), "{error:?}");
    }
    assert!(outcome(StatusCode::CREATED, b"").is_ok());
}

#[test]
fn a_message_of_the_api_server_is_bounded_and_may_be_absent() {
    for body in [&b""[..], b"{}", b"no JSON", b"{\"message\":7}", &[0xff; 9]] {
        assert_eq!(message(body), "", "{body:?}");
    }
    let body = json!({ "message": "\u{e4}".repeat(MAX_MESSAGE_BYTES) }).to_string();
    assert!(message(body.as_bytes()).len() <= MAX_MESSAGE_BYTES);
}
