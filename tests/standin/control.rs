//! The control socket. It has tasks of its own: it answers while every TDS session hangs.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::command::{Command, Reply, Statistics, Status};
use super::engine::{Ending, Engine};
use super::failure;
use super::lifecycle::{Change, Order};
use super::process;
use super::script::{Database, Script};

const MAX_CLIENTS: usize = 16;
const MAX_LINE_BYTES: u64 = 1 << 20;
/// The greatest number of databases: 1,000 and the system's own.
const MAX_DATABASES: usize = 1004;

/// Binds the socket, readable for its owner only; a leftover of an earlier process is replaced.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

pub async fn serve(
    engine: Arc<Engine>,
    listener: UnixListener,
    orders: mpsc::Sender<Order>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let (stream, _) = listener.accept().await?;
        let Ok(place) = places.clone().try_acquire_owned() else {
            continue;
        };
        let (engine, orders) = (engine.clone(), orders.clone());
        tokio::spawn(async move {
            let _place = place;
            // A client that went away needs no answer.
            let _ = converse(&engine, stream, &orders).await;
        });
    }
}

async fn converse(
    engine: &Engine,
    stream: UnixStream,
    orders: &mpsc::Sender<Order>,
) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut input).take(MAX_LINE_BYTES);
        if limited.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let (reply, ending) = match serde_json::from_slice(&line) {
            Ok(command) => {
                let done = execute(engine, command, orders).await;
                engine.until_settled().await;
                done
            }
            Err(error) => (refused(error), None),
        };
        let mut answer = serde_json::to_vec(&reply)?;
        answer.push(b'\n');
        output.write_all(&answer).await?;
        // Only now, so that the client that asked for the end receives the answer to that.
        if let Some(ending) = ending {
            engine.ending.send_replace(Some(ending));
        }
    }
}

fn refused(reason: impl ToString) -> Reply {
    Reply::Refused {
        reason: reason.to_string(),
    }
}

async fn execute(
    engine: &Engine,
    command: Command,
    orders: &mpsc::Sender<Order>,
) -> (Reply, Option<Ending>) {
    let ending = match command {
        Command::Exit { status } => Ending::Exit(status),
        Command::FailStart { why } => {
            why.tell(Some(&engine.errorlog), &engine.options.data_dir);
            Ending::Exit(failure::STATUS)
        }
        Command::Die { signal } => Ending::Signal(signal),
        Command::Zombie => Ending::Zombie,
        other => return (answer(engine, other, orders).await, None),
    };
    (Reply::Done, Some(ending))
}

/// Changes the phase and waits until it has happened.
async fn change_phase(change: Change, orders: &mpsc::Sender<Order>) -> Reply {
    let (done, happened) = oneshot::channel();
    let sent = orders.send(Order { change, done }).await;
    match (sent, happened.await) {
        (Ok(()), Ok(())) => Reply::Done,
        _ => refused("the engine is stopping"),
    }
}

async fn answer(engine: &Engine, command: Command, orders: &mpsc::Sender<Order>) -> Reply {
    match command {
        Command::Status => return Reply::Status(status(engine)),
        Command::Statistics => return Reply::Statistics(engine.statistics().clone()),
        Command::ResetStatistics => *engine.statistics() = Statistics::default(),
        Command::Script => {
            return Reply::Script {
                script: Box::new(engine.script()),
            };
        }
        Command::Certificate => {
            return Reply::Certificate {
                pem: engine.identity.certificate.clone(),
            };
        }
        Command::Dump { ms } => process::ask_for_dump(ms),
        Command::LogLine { source, text } => engine.errorlog.line(&source, &text),
        Command::CloseConnections { reset } => engine.hangup.send_modify(|hangup| {
            hangup.number += 1;
            hangup.reset = reset;
        }),
        Command::Reset => {
            engine.script.send_replace(Script::default());
            return change_phase(Change::Play(Vec::new()), orders).await;
        }
        Command::StartPhases { phases } => {
            return change_phase(Change::Play(phases), orders).await;
        }
        Command::NextPhase => return change_phase(Change::Next, orders).await,
        other => return change_script(engine, other),
    }
    Reply::Done
}

fn status(engine: &Engine) -> Status {
    Status {
        phase: engine.phase(),
        percent: engine.percent(),
        listening: *engine.open.borrow(),
        connections: engine.connections.load(Ordering::Relaxed),
        journal_rows: engine.journal.acknowledged(),
    }
}

/// Commands that change the script.
fn change_script(engine: &Engine, command: Command) -> Reply {
    let mut reply = Reply::Done;
    engine.script.send_modify(|script| match command {
        Command::SetScript { script: new } => *script = *new,
        Command::Accept { accept } => script.accept = accept,
        Command::Dac { dac } => script.dac = dac,
        Command::Login { login } => script.login = login,
        Command::SetLogin { user, password } => {
            script.logins.insert(user, password);
        }
        Command::Faults { faults } => script.faults = faults,
        Command::Answers { answers } => script.answers = answers,
        Command::Databases { databases } => script.databases = databases,
        Command::SetDatabase { database } => set_database(script, database),
        Command::RemoveDatabase { name } => script
            .databases
            .retain(|database| !database.name.eq_ignore_ascii_case(&name)),
        Command::ManyDatabases { count } => many_databases(script, count),
        Command::SetView { name, view } => {
            script.views.insert(name, view);
        }
        Command::ForgetView { name } => {
            script.views.remove(&name);
        }
        Command::Product { product } => script.product = product,
        Command::Diagnostics { diagnostics } => script.diagnostics = diagnostics,
        Command::ViewServerState { granted } => script.view_server_state = granted,
        Command::Paused { paused } => script.paused = paused,
        Command::IgnoreSigterm { ignore } => script.ignore_sigterm = ignore,
        Command::WriteErrorlog { write } => script.write_errorlog = write,
        Command::ShutdownMs { ms } => script.shutdown_ms = ms,
        Command::Load { load } => script.load = load,
        other => reply = refused(format!("{other:?} does not change the script")),
    });
    engine
        .errorlog
        .set_enabled(engine.script.borrow().write_errorlog);
    reply
}

fn many_databases(script: &mut Script, count: usize) {
    script.databases = Script::default().databases;
    let room = MAX_DATABASES - script.databases.len();
    let names = (1..=count.min(room)).map(|number| format!("db_{number:04}"));
    script
        .databases
        .extend(names.map(|name| Database::online(&name)));
}

fn set_database(script: &mut Script, database: Database) {
    let position = script
        .databases
        .iter()
        .position(|known| known.name.eq_ignore_ascii_case(&database.name));
    match position {
        Some(position) => script.databases[position] = database,
        None if script.databases.len() < MAX_DATABASES => script.databases.push(database),
        None => {}
    }
}
