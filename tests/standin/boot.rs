//! The engine process from its first file to its last line in the errorlog.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::datadir::{DataDirectory, StartFailure};
use super::engine::{Current, Ending, Engine};
use super::errorlog::ErrorLog;
use super::logins;
use super::messages::SqlError;
use super::options::Options;
use super::process::DO_NOT_REAP;
use super::script::{Phase, Script};
use super::server::Door;
use super::store::Journal;
use super::tds::tls::Identity;
use super::{control, failure, lifecycle, load, server};

const FLUSH_LIMIT: Duration = Duration::from_secs(2);
const ORDERS_IN_FLIGHT: usize = 4;
/// A fault handler may take the first signal; the second one then meets the default action.
const SIGNAL_ATTEMPTS: usize = 3;

/// The line by which a test learns the pids, the ports and the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    pub parent_pid: u32,
    pub child_pid: u32,
    pub port: u16,
    /// The port of the administrator connection, where it was asked for.
    pub dac_port: Option<u16>,
    pub control: Option<std::path::PathBuf>,
}

/// Runs the engine; returns its exit status.
pub fn run(options: Options) -> anyhow::Result<u8> {
    let script = read_script(&options)?;
    let directory = match DataDirectory::open(&options.data_dir) {
        Ok(directory) => directory,
        Err(StartFailure(text)) => {
            // The only place that has the text: there may be no errorlog to write to.
            let _ = writeln!(io::stdout(), "{text}");
            return Ok(1);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("building the runtime")?;
    let ending = runtime.block_on(live(options, script, directory));
    // A disk operation that stalls must not keep the process from ending.
    runtime.shutdown_background();
    match ending? {
        Ending::Clean { .. } => Ok(0),
        Ending::Exit(status) => Ok(status),
        Ending::Zombie => {
            tell_parent();
            Ok(0)
        }
        Ending::Signal(number) => die(number),
    }
}

fn read_script(options: &Options) -> anyhow::Result<Script> {
    let Some(path) = &options.script else {
        return Ok(Script::default());
    };
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("parsing {}", path.display()))
}

async fn live(
    mut options: Options,
    mut script: Script,
    directory: DataDirectory,
) -> anyhow::Result<Ending> {
    let mut terminate = signal(SignalKind::terminate()).context("watching SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watching SIGINT")?;
    let errorlog = ErrorLog::start(&directory.log(), options.utf16_errorlog)
        .context("initerrlog: could not open error log file")?;
    errorlog.set_enabled(script.write_errorlog);
    for (name, password) in logins::read(&directory.data()) {
        script.logins.entry(name).or_insert(password);
    }
    log_banner(&errorlog, &directory, &script);
    if let Some(why) = options.fail_start {
        why.tell(Some(&errorlog), &directory.root);
        return Ok(Ending::Exit(failure::STATUS));
    }
    let address = SocketAddr::from((options.listen_address, options.port));
    let reserved = match server::reserve(address) {
        Ok(reserved) => reserved,
        Err(error) => return Ok(port_in_use(&errorlog, address, &error)),
    };
    options.port = reserved.local_addr().context("reading the port")?.port();
    let dac = reserve_dac(&mut options)?;
    let control = options.control.as_deref().map(control::bind).transpose();
    let control = control.context("binding the control socket")?;
    let identity = identity(&options)?;
    let journal = Journal::open(&directory.data()).context("opening the journal")?;
    let engine = Arc::new(Engine::new(options, script, journal, errorlog, identity)?);
    let (orders, order_queue) = mpsc::channel(ORDERS_IN_FLIGHT);
    let (done, begun) = oneshot::channel();
    let life = tokio::spawn(lifecycle::run(engine.clone(), order_queue, done));
    tokio::spawn(load::follow(engine.clone(), directory.data()));
    let listening = tokio::spawn(server::serve(engine.clone(), reserved, Door::Clients));
    if let Some(dac) = dac {
        tokio::spawn(server::serve(engine.clone(), dac, Door::Administrator));
    }
    if let Some(listener) = control {
        tokio::spawn(control::serve(engine.clone(), listener, orders.clone()));
    }
    // The first phase has begun and the port is as that phase wants it, before the process is announced.
    begun.await.context("starting the life cycle")?;
    engine.until_settled().await;
    announce(&engine)?;
    let mut ended = engine.ending.subscribe();
    let ending = tokio::select! {
        () = unless_ignored(&engine, &mut terminate) => Ending::Clean { system_shutdown: false },
        () = unless_ignored(&engine, &mut interrupt) => Ending::Clean { system_shutdown: true },
        // The sender lives in the engine.
        Ok(ending) = ended.wait_for(Option::is_some) => ending.unwrap_or(Ending::Exit(1)),
        listening = listening => return Err(anyhow::anyhow!("the listener ended: {listening:?}")),
    };
    if let Ending::Clean { system_shutdown } = ending {
        life.abort();
        shut_down(&engine, system_shutdown).await;
    }
    Ok(ending)
}

/// Reserves the port of the administrator connection, always on loopback.
fn reserve_dac(options: &mut Options) -> anyhow::Result<Option<TcpSocket>> {
    let Some(port) = options.dac_port else {
        return Ok(None);
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = server::reserve(address).context("binding the administrator's port")?;
    options.dac_port = Some(socket.local_addr().context("reading the port")?.port());
    Ok(Some(socket))
}

async fn unless_ignored(engine: &Engine, signal: &mut tokio::signal::unix::Signal) {
    while signal.recv().await.is_some() {
        if !engine.script.borrow().ignore_sigterm {
            return;
        }
    }
}

fn identity(options: &Options) -> anyhow::Result<Identity> {
    let Some((certificate, key)) = &options.certificate else {
        return Identity::self_signed();
    };
    let read = |path: &std::path::Path| {
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
    };
    Ok(Identity {
        certificate: read(certificate)?,
        key: read(key)?,
    })
}

fn log_banner(errorlog: &ErrorLog, directory: &DataDirectory, script: &Script) {
    for name in &directory.copied {
        errorlog.line(
            "Server",
            &format!(
                "Setup step is copying system data file 'C:\\templatedata\\{name}' to '{}'.",
                directory.data().join(name).display()
            ),
        );
    }
    let product = &script.product;
    for text in [
        format!(
            "Microsoft Azure SQL Edge ({}) - {} (X64)",
            product.level, product.version
        ),
        format!("Server process ID is {}.", std::process::id()),
        format!(
            "Logging SQL Server messages in file '{}'.",
            directory.log().join("errorlog").display()
        ),
        "Registry startup parameters:".to_owned(),
        "Detected 4096 MB of RAM. This is an informational message; no user action is required."
            .to_owned(),
        format!("Instance Id: {}", directory.instance_id),
    ] {
        errorlog.line("Server", &text);
    }
}

fn port_in_use(errorlog: &ErrorLog, address: SocketAddr, error: &io::Error) -> Ending {
    for (number, state, text) in [
        (
            26_023,
            1,
            format!("Server TCP provider failed to listen on [ {address} ]. {error}."),
        ),
        (
            17_182,
            1,
            "TDSSNIClient initialization failed with error 0x2740, status code 0xa.".to_owned(),
        ),
        (
            17_826,
            3,
            "Could not start the network library because of an internal error in the network library.".to_owned(),
        ),
        (
            17_120,
            1,
            "SQL Server could not spawn FRunCommunicationsManager thread.".to_owned(),
        ),
    ] {
        let class = SqlError::new(number).class();
        errorlog.line(
            "spid18s",
            &format!("Error: {number}, Severity: {class}, State: {state}."),
        );
        errorlog.line("spid18s", &text);
    }
    errorlog.flush(FLUSH_LIMIT);
    Ending::Exit(1)
}

fn announce(engine: &Engine) -> anyhow::Result<()> {
    let announcement = Announcement {
        parent_pid: std::os::unix::process::parent_id(),
        child_pid: std::process::id(),
        port: engine.options.port,
        dac_port: engine.options.dac_port,
        control: engine.options.control.clone(),
    };
    let mut line = serde_json::to_string(&announcement).context("writing the announcement")?;
    line.push('\n');
    let written = match &engine.options.announce {
        Some(path) => OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes())),
        None => io::stdout().write_all(line.as_bytes()),
    };
    written.context("announcing")
}

/// Shuts down on SIGTERM: no more logins, a checkpoint, the last lines of the errorlog.
async fn shut_down(engine: &Arc<Engine>, system_shutdown: bool) {
    engine.current.send_modify(|current: &mut Current| {
        current.phase = Phase::Stopping;
        current.length = None;
    });
    let cause = if system_shutdown {
        // 17147
        "SQL Server is terminating because of a system shutdown. This is an informational message only. No user \
         action is required."
    } else {
        // 17148
        "SQL Server is terminating in response to a 'stop' request from Service Control Manager. This is an \
         informational message only. No user action is required."
    };
    engine.errorlog.line(
        "spid9s",
        "Always On: The availability replica manager is going offline because SQL Server is shutting down. This is an \
         informational message only. No user action is required.",
    );
    engine.errorlog.line("spid9s", cause);
    checkpoint_time(engine).await;
    let journal = engine.journal.clone();
    // Every row is on disk before its DONE, so a failure here loses nothing.
    let _ = tokio::task::spawn_blocking(move || journal.checkpoint()).await;
    engine.errorlog.line(
        "spid9s",
        "SQL Trace was stopped due to server shutdown. Trace ID = '1'. This is an informational message only; no \
         user action is required.",
    );
    engine.errorlog.flush(FLUSH_LIMIT);
}

/// Waits as long as the script wants the checkpoints to take; a change takes effect at once.
async fn checkpoint_time(engine: &Engine) {
    let begun = tokio::time::Instant::now();
    let mut script = engine.script.subscribe();
    loop {
        let length = Duration::from_millis(script.borrow_and_update().shutdown_ms);
        tokio::select! {
            () = tokio::time::sleep_until(begun + length) => return,
            _ = script.changed() => {}
        }
    }
}

/// Asks the parent, over the pipe that is this process's standard input, not to reap.
fn tell_parent() {
    let pipe = io::stdin().as_fd().try_clone_to_owned();
    // Without a parent there is nobody who could reap either.
    let _ = pipe.and_then(|pipe| std::fs::File::from(pipe).write_all(&[DO_NOT_REAP]));
}

fn die(number: i32) -> anyhow::Result<u8> {
    let signal = nix::sys::signal::Signal::try_from(number).context("unknown signal")?;
    let no_core = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(rustix::process::Resource::Core, no_core)
        .context("switching core dumps off")?;
    for _ in 0..SIGNAL_ATTEMPTS {
        nix::sys::signal::raise(signal).context("raising the signal")?;
    }
    anyhow::bail!("survived {signal}")
}
