//! The phases of a start, one after the other, and the lines of the errorlog at each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::engine::{Current, Engine};
use super::script::{Phase, StartPhase};

/// The parts of a recovery, in percent of its length, at which it writes its progress into the errorlog. The
/// real engine does so seldom and unevenly (tests/corpus/recorded/errorlog/08: 0 %, then 18 % after most of
/// a minute).
const PROGRESS_PERCENT: [u32; 4] = [3, 55, 60, 94];

#[derive(Debug)]
pub enum Change {
    /// Plays these phases, then ready.
    Play(Vec<StartPhase>),
    /// Ends the current phase.
    Next,
}

/// A change, and the sender that reports when it has happened.
#[derive(Debug)]
pub struct Order {
    pub change: Change,
    pub done: oneshot::Sender<()>,
}

/// The lines that are in the errorlog already; each is written once a start.
#[derive(Debug, Default)]
struct Said {
    listening: bool,
    ready: bool,
    recovered: bool,
    tempdb: bool,
    collation: bool,
}

/// Runs for ever; the shutdown drops it. `begun` is sent once the first phase is entered.
pub async fn run(
    engine: Arc<Engine>,
    mut orders: mpsc::Receiver<Order>,
    begun: oneshot::Sender<()>,
) {
    let mut said = Said::default();
    let mut queue: VecDeque<StartPhase> = engine.script.borrow().start.clone().into();
    engine
        .errorlog
        .line("spid9s", "Starting up database 'master'.");
    let mut waiting = Some(begun);
    loop {
        let next = queue.pop_front().unwrap_or(StartPhase {
            phase: Phase::Ready,
            ms: None,
        });
        let length = next.ms.map(Duration::from_millis);
        enter(&engine, next.phase, length, &mut said);
        if let Some(done) = waiting.take() {
            // Who gave the order may have gone.
            let _ = done.send(());
        }
        if let Some(Order { change, done }) = stay(&engine, length, &mut orders).await {
            waiting = Some(done);
            if let Change::Play(phases) = change {
                queue = phases.into();
                said.recovered = false;
            }
        }
    }
}

/// Waits for the phase's end or for an order; writes recovery progress meanwhile.
async fn stay(
    engine: &Engine,
    length: Option<Duration>,
    orders: &mut mpsc::Receiver<Order>,
) -> Option<Order> {
    let Some(length) = length else {
        // It stands at a fixed percentage.
        return orders.recv().await;
    };
    let started = tokio::time::Instant::now();
    for percent in PROGRESS_PERCENT {
        tokio::select! {
            () = tokio::time::sleep_until(started + length * percent / 100) => log_progress(engine),
            order = orders.recv() => return order,
        }
    }
    tokio::select! {
        () = tokio::time::sleep_until(started + length) => None,
        order = orders.recv() => order,
    }
}

/// Writes the line of the first phase, which is over soon.
fn log_analysis(engine: &Engine, name: &str) {
    engine.errorlog.line(
        "spid20s",
        &format!(
            "Analysis of database '{name}' ({}) is 0% complete (approximately 0 seconds remain). Phase 1 of 3. This is \
             an informational message only. No user action is required.",
            id_of(engine, name)
        ),
    );
}

fn log_progress(engine: &Engine) {
    let Some(percent) = engine.percent() else {
        return;
    };
    let left = {
        let current = engine.current.borrow();
        current.length.map_or(0, |length| {
            length.saturating_sub(current.since.elapsed()).as_secs()
        })
    };
    let Phase::Recovering { databases, .. } = engine.phase() else {
        return;
    };
    for name in databases {
        engine.errorlog.line(
            "spid20s",
            &format!(
                "Recovery of database '{name}' ({}) is {percent:.0}% complete (approximately {left} seconds remain). \
                 Phase 2 of 3. This is an informational message only. No user action is required.",
                id_of(engine, &name)
            ),
        );
    }
}

fn id_of(engine: &Engine, name: &str) -> usize {
    engine
        .databases()
        .iter()
        .position(|database| database.name == name)
        .map_or(0, |position| position + 1)
}

fn enter(engine: &Engine, phase: Phase, length: Option<Duration>, said: &mut Said) {
    let ready = phase == Phase::Ready;
    let waits = matches!(phase, Phase::NotReady | Phase::ClosingAtAccept);
    engine.current.send_replace(Current {
        phase: phase.clone(),
        since: Instant::now(),
        length,
    });
    if let Phase::Recovering { databases, .. } = &phase {
        for name in databases {
            let text = format!("Starting up database '{name}'.");
            engine.errorlog.line("spid20s", &text);
            log_analysis(engine, name);
        }
        // With a length the first percentage comes later.
        if length.is_none() {
            log_progress(engine);
        }
    }
    if phase == Phase::ChangingCollation {
        log_collation(engine, said);
    } else if std::mem::take(&mut said.collation) {
        engine
            .errorlog
            .line("spid10s", "The default collation was successfully changed.");
    }
    if !engine.listens() {
        return;
    }
    if !said.listening {
        said.listening = true;
        log_listening(engine);
    }
    if !waits {
        log_ready(engine, said);
    }
    let finishing = ready || phase == Phase::Finishing;
    if finishing && !said.tempdb {
        said.tempdb = true;
        engine.errorlog.line("spid9s", "Clearing tempdb database.");
    }
    if ready && !said.recovered {
        said.recovered = true;
        engine
            .errorlog
            .line("spid9s", "Starting up database 'tempdb'.");
        engine
            .errorlog
            .line("spid9s", "The tempdb database has 1 data file(s).");
        engine.errorlog.line(
            "spid9s",
            "Recovery is complete. This is an informational message only. No user action is required.",
        );
    }
}

fn log_ready(engine: &Engine, said: &mut Said) {
    if said.ready {
        return;
    }
    said.ready = true;
    engine.errorlog.line(
        "Server",
        "SQL Server is now ready for client connections. This is an informational message; no user action is required.",
    );
}

/// Writes the lines after "ready", as tests/corpus/recorded/errorlog/13 has them.
fn log_collation(engine: &Engine, said: &mut Said) {
    log_ready(engine, said);
    said.collation = true;
    for text in [
        "Warning ******************",
        "Attempting to change default collation to Latin1_General_CI_AS.",
        "index restored for master.syspriorities.",
        "index restored for master.sysbrickfiles.",
    ] {
        engine.errorlog.line("spid10s", text);
    }
}

fn log_listening(engine: &Engine) {
    let master = "Recovery completed for database master (database ID 1) in 1 second(s) (analysis 1 ms, redo 2 ms, undo 3 \
                  ms.) This is an informational message only. No user action is required.";
    let log = |source: &str, text: &str| engine.errorlog.line(source, text);
    log("spid9s", master);
    log("spid9s", "Starting up database 'mssqlsystemresource'.");
    log("spid9s", "Starting up database 'model'.");
    log("spid9s", "Starting up database 'msdb'.");
    log(
        "spid18s",
        "A self-generated certificate was successfully loaded for encryption.",
    );
    log(
        "spid18s",
        &format!(
            "Server is listening on [ {} <ipv4> {}] accept sockets 1.",
            engine.options.listen_address, engine.options.port
        ),
    );
    if let Some(port) = engine.options.dac_port {
        log(
            "spid18s",
            &format!(
                "Dedicated admin connection support was established for listening locally on port {port}."
            ),
        );
    }
    // For launchpadd.
    log(
        "spid18s",
        "Server is listening on [ 127.0.0.1 <ipv4> 1431] accept sockets 1.",
    );
}
