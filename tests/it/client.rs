//! The commands that talk to a running supervisor, run as processes of their own.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::binary;

/// A client command for this socket in an empty environment.
pub fn client(program: &Path, words: &str, socket: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(words.split_whitespace())
        .arg("--control-socket")
        .arg(socket)
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// Runs it; exit code, standard output, standard error.
pub async fn outcome(mut command: Command) -> (i32, String, String) {
    let ended = tokio::task::spawn_blocking(move || command.output()).await;
    let output = ended.expect("no panic").expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().expect("no signal ended it"),
        text(output.stdout),
        text(output.stderr),
    )
}

pub async fn order(words: &str, socket: &Path) -> (i32, String, String) {
    outcome(client(binary(), words, socket)).await
}

pub async fn obeyed(words: &str, socket: &Path) -> String {
    let (code, out, err) = order(words, socket).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    out
}
