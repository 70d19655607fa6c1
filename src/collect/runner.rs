//! Runs the collectors: one after the other, on a thread and a connection of their own.
//!
//! The thread has a low priority and a runtime of its own: an answer of megabytes that is parsed, or
//! a thousand databases that are rendered and compressed, delay neither a decision nor a probe. It
//! publishes through a channel that keeps the last value only, and nobody waits for it.
//!
//! While the engine should be left alone (`may_ask` is false: it starts, stops, is restarted, or an
//! operator has paused the supervisor) there is no connection, and a batch that is under way is
//! abandoned with it.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tiberius::Row;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep_until;
use tracing::{debug, info, warn};

use super::databases::Databases;
use super::failure::{Trouble, log_outcome};
use super::files::{Directory, Loaded};
use super::names::Names;
use super::roster::{Roster, Run, Success, is_wanted};
use super::{Engine, Failure, Output, Profiles};
use crate::config::{Config, MetricsConfig, SqlConfig};
use crate::decide::observation::ContactError;
use crate::exposition::{Exposition, Families, Fragment};
use crate::parts::part;
use crate::tds::deadline::Deadline;
use crate::tds::session::{COLLECT_APPLICATION_NAME, Connector, Session};
use crate::tds::value::Cells;

/// The thread's name, as `/proc/PID/task/TID/comm` shows it.
pub const THREAD_NAME: &str = "collect";

/// The thread's nice value: it is given a processor later than the other threads (setpriority(2)).
const NICE: i32 = 10;

/// The longest answer of one collector, in bytes. The performance counters of a thousand databases
/// are 2.5 MB; one text as long as all of it takes three times this in memory.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// The pace at which the directory of files is looked at.
const FILES_PACE: Duration = Duration::from_secs(5);

/// The time without a new try after a connection could not be made: the collectors that are due
/// meanwhile share its failure, instead of trying one after the other.
const CONNECT_RETRY: Duration = Duration::from_secs(5);

/// The time without a new login after one was refused: the engine writes each refusal to its log,
/// and may lock the login.
const LOGIN_REFUSED_RETRY: Duration = Duration::from_secs(60);

/// The batch that sets up each connection and asks what the engine is. A lock is waited for for a
/// second (then error 1222), and in a deadlock it is the collector that loses.
const PREAMBLE: &str = "SET LOCK_TIMEOUT 1000; \
     SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; \
     SET DEADLOCK_PRIORITY LOW; \
     SELECT CAST(SERVERPROPERTY('EngineEdition') AS int) AS engine_edition";

/// The handle of the running thread, if anything is to be collected. Dropping it ends the thread
/// soon, and waits for nothing.
#[derive(Debug)]
pub struct Collecting {
    /// A sender that never sends: dropping it ends the thread.
    _stop: oneshot::Sender<()>,
}

/// Starts the thread. `taken` are the names of the supervisor's own families; the engine is asked
/// while `may_ask` is true.
///
/// # Errors
///
/// The system has no thread or descriptor left.
pub fn spawn(
    config: &Config,
    taken: &[String],
    may_ask: watch::Receiver<bool>,
) -> io::Result<(Collecting, watch::Receiver<Arc<Exposition>>)> {
    let (stop, stopped) = oneshot::channel();
    let (publish, published) = watch::channel(Arc::default());
    if is_wanted(&config.metrics) {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let names = Names::of_supervisor(taken);
        let (metrics, sql) = (config.metrics.clone(), config.sql.clone());
        thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || {
                // Where it may not be lowered it runs like the others.
                let _ = rustix::process::setpriority_process(None, NICE);
                let runner = Runner::new(metrics, sql, names, publish);
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = part("supervisor.collectors", runner.run(may_ask)) => {}
                    }
                });
                // A name that is being resolved must not hold the thread.
                runtime.shutdown_background();
            })?;
    }
    Ok((Collecting { _stop: stop }, published))
}

/// A connection, and the engine that answers on it.
struct Connection {
    session: Session,
    engine: Engine,
}

struct Runner {
    config: MetricsConfig,
    roster: Roster,
    directory: Option<Directory>,
    databases: Databases,
    connector: Connector,
    login_timeout: Duration,
    connection: Option<Connection>,
    /// The reason why no connection is tried before that moment.
    barred: Option<(Failure, Instant)>,
    publish: watch::Sender<Arc<Exposition>>,
}

impl Runner {
    fn new(
        config: MetricsConfig,
        sql: SqlConfig,
        names: Names,
        publish: watch::Sender<Arc<Exposition>>,
    ) -> Self {
        Self {
            roster: Roster::new(&config, names, Instant::now()),
            directory: config.collectors_dir.as_deref().map(Directory::new),
            databases: Databases::new(config.filter.clone(), config.max_databases),
            login_timeout: sql.login.deadline,
            connector: Connector::named(sql, COLLECT_APPLICATION_NAME),
            connection: None,
            barred: None,
            config,
            publish,
        }
    }

    /// Runs for ever, or until the sender of `may_ask` is gone.
    ///
    /// # Cancel safety
    /// Drop it to end it; its connection is closed.
    async fn run(mut self, mut may_ask: watch::Receiver<bool>) {
        if self.directory.is_none() {
            self.tell_strangers(&[]);
        }
        self.load_files();
        self.publish();
        // Without a directory there is nothing to look at, ever.
        let pace = self.directory.is_some().then(|| self.files_pace());
        let mut look_at = pace.map(|pace| Instant::now() + pace);
        let mut asked = false;
        loop {
            if look_at.is_some_and(|at| Instant::now() >= at) {
                look_at = pace.map(|pace| Instant::now() + pace);
                if self.load_files() {
                    self.publish();
                }
            }
            let ask = *may_ask.borrow_and_update();
            if ask && !asked {
                debug!("the engine may be asked for metrics");
                // It may be another engine, or one that was granted more.
                self.barred = None;
                self.roster.all_due(Instant::now());
            } else if !ask && asked {
                debug!("the engine is left alone");
                self.connection = None;
                self.roster.withdraw();
                self.publish();
            }
            asked = ask;
            let now = Instant::now();
            let next = self.roster.next().filter(|_| ask);
            if let Some((index, _)) = next.filter(|(_, due)| *due <= now) {
                let may_go_on = tokio::select! {
                    biased;
                    may_go_on = until_not(&mut may_ask) => may_go_on,
                    () = self.take_turn(index) => true,
                };
                if !may_go_on {
                    return;
                }
                continue;
            }
            let due = [next.map(|(_, due)| due), look_at];
            tokio::select! {
                changed = may_ask.changed() => if changed.is_err() { return },
                () = until(due.into_iter().flatten().min()) => {}
            }
        }
    }

    /// Returns the pace for the files, which is the collectors' own where they are run more often.
    fn files_pace(&self) -> Duration {
        FILES_PACE.min(self.config.pace.interval)
    }

    /// Reads the files, if they have changed. Returns whether they had.
    fn load_files(&mut self) -> bool {
        let Some(directory) = &mut self.directory else {
            return false;
        };
        let names = self.roster.names();
        let Some(loaded) = directory.load_if_changed(|| names.clone()) else {
            return false;
        };
        for Loaded { file, collector } in &loaded {
            match collector {
                Ok(collector) => info!(%file, collector = collector.name(), "a custom collector"),
                Err(mistakes) => {
                    for mistake in mistakes {
                        let mistake = mistake.to_string().replace(char::is_control, " ");
                        warn!(%file, "the file is no collector: {mistake}");
                    }
                }
            }
        }
        self.tell_strangers(&loaded);
        self.roster.replace_files(loaded, Instant::now());
        true
    }

    fn tell_strangers(&self, files: &[Loaded]) {
        for name in self.roster.strangers(files) {
            warn!(name, "metrics-collectors-off names no collector");
        }
    }

    fn publish(&self) {
        self.publish
            .send_replace(Arc::new(self.roster.exposition()));
    }

    /// Runs one collector, and publishes the outcome.
    async fn take_turn(&mut self, index: usize) {
        let run = self.collect(index).await;
        let result = match &run.result {
            Ok(success) => Ok(success.fragment.samples()),
            Err(trouble) => Err((trouble.failure, trouble.detail.clone())),
        };
        let Some(member) = self.roster.get_mut(index) else {
            return;
        };
        let is_news = member.record(run, Instant::now());
        // Before it is logged: whoever reads of it in the log finds it served.
        self.publish();
        if let Some(member) = self.roster.get_mut(index).filter(|_| is_news) {
            log_outcome(member.collector.name(), result);
        }
    }

    async fn collect(&mut self, index: usize) -> Run {
        let standing = self.connection.is_some();
        let run = self.try_once(index).await;
        // The engine or an administrator may have closed it since the last turn.
        let closed = |trouble: &Trouble| trouble.failure == Failure::Unreachable;
        if standing && run.result.as_ref().is_err_and(closed) {
            let began = run.began;
            let run = self.try_once(index).await;
            return Run { began, ..run };
        }
        run
    }

    /// Runs the collector on the connection that stands, or on a new one.
    async fn try_once(&mut self, index: usize) -> Run {
        let failed = |trouble: Trouble| Run {
            began: None,
            result: Err(trouble),
        };
        let connection = match self.connect().await {
            Ok(connection) => connection,
            Err(trouble) => return failed(trouble),
        };
        let Some(member) = self.roster.get_mut(index) else {
            return failed(Failure::Invalid.into());
        };
        if !member.collector.supports(connection.engine) {
            self.connection = Some(connection);
            return failed(Failure::Unsupported.into());
        }
        let began = Some(Instant::now());
        let result = self.ask(index, connection).await;
        Run { began, result }
    }

    /// Returns the connection that stands, or makes one within the time that a login may take: a
    /// connection that is slow to come must not cost the collector its own time.
    async fn connect(&mut self) -> Result<Connection, Trouble> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let now = Instant::now();
        if let Some((failure, _)) = self.barred.filter(|(_, until)| now < *until) {
            return Err(failure.into());
        }
        let opened = self.open(Deadline::after(self.login_timeout)).await;
        opened.map_err(|error| {
            let trouble = Trouble::of_connecting(&error);
            let pause = match trouble.failure {
                Failure::LoginFailed => LOGIN_REFUSED_RETRY,
                _ => CONNECT_RETRY.min(self.config.pace.interval),
            };
            self.barred = Some((trouble.failure, Instant::now() + pause));
            trouble
        })
    }

    async fn open(&mut self, deadline: Deadline) -> Result<Connection, ContactError> {
        let mut engine = Engine::default();
        let mut read = |_, row: &Row| engine = Engine::read(&Cells::from(row));
        let session = self.connector.open(deadline).await?;
        let session = session.query(PREAMBLE, deadline, &mut read).await?;
        Ok(Connection { session, engine })
    }

    /// Runs the batch of one collector and reads its answer.
    async fn ask(&mut self, index: usize, connection: Connection) -> Result<Success, Trouble> {
        let deadline = Deadline::after(self.config.pace.deadline);
        let Connection { session, engine } = connection;
        self.databases.begin(self.roster.len());
        let Some(member) = self.roster.get_mut(index) else {
            return Err(Failure::Invalid.into());
        };
        let collector = &*member.collector;
        let batch = collector.batch();
        let mut reading = collector.begin();
        let mut families = Families::new();
        let profiles = self.config.profiles.and(Profiles::FILES);
        let mut out = Output::new(&mut families, &mut self.databases, profiles);
        let allowance = session.allowance();
        let mut take = |set, row: &Row| reading.row(set, &Cells::from(row), &mut out);
        let answer = session
            .query_at_most(MAX_ANSWER_BYTES, &batch, deadline, &mut take)
            .await;
        let session = answer.map_err(|error| Trouble::of_query(&error, allowance.is_used_up()))?;
        self.connection = Some(Connection { session, engine });
        if let Err(failure) = reading.finish(&mut out) {
            let detail = out.into_explanation().unwrap_or_default();
            return Err(Trouble { failure, detail });
        }
        let left_out = families.left_out();
        let fragment = Fragment::new(families);
        let metrics = collector.metrics();
        let promised = |name: &String| metrics.iter().any(|m| m.family.name == *name);
        match fragment.names().iter().find(|name| !promised(name)) {
            None => Ok(Success { fragment, left_out }),
            Some(name) => Err(Trouble {
                failure: Failure::Malformed,
                detail: format!("{name} is not among its metrics"),
            }),
        }
    }
}

impl Engine {
    fn read(cells: &Cells<'_>) -> Self {
        Self {
            edition: cells.integer("engine_edition").unwrap_or_default(),
        }
    }
}

/// Waits for a moment, or for ever where there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits until the engine may not be asked any more; returns false where the sender is gone.
async fn until_not(may_ask: &mut watch::Receiver<bool>) -> bool {
    may_ask.wait_for(|may| !*may).await.is_ok()
}
