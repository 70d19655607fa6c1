//! Connects the parts: from a [`Config`] to a running supervisor, and to its end. Nothing is decided here.
//!
//! | module | what it does |
//! | --- | --- |
//! | `supervise` | the deciding loop |
//! | `asking`, `listening`, `bootstrapping` | has the engine asked, at the right address, with a login |
//! | `collecting` | whether the engine may be asked for metrics |
//! | `linked` | the link to the SQL container's agent |
//! | `lease` | the lease and the volumes' identities |
//! | `acting`, `stop` | restarts, fences, and the stop on purpose |
//! | `history` | what happened, on the volume |
//! | `memory` | what outlives the supervisor |
//! | `gate` | the gate alone, for an init container |
//!
//! | thread | what runs on it | why it is apart |
//! | --- | --- | --- |
//! | main | the deciding loop, all observers but one, [`crate::act`] | one writer, no locks between them |
//! | `http` | [`crate::publish::server`] | an answer never waits for a decision |
//! | `memory` | the file of what outlives the supervisor | a write to its directory may block for ever |
//! | `volume` | [`crate::observe::volume`], one per volume | a write to a stalled device may block for ever |
//! | `collect` | [`crate::collect`] | megabytes take time to parse, render and compress; yields (nice 10) |
//! | `lease` | [`crate::act::holder`] | it may block for ever, and another thread judges the lease then |

mod acting;
mod asking;
mod bootstrapping;
mod collecting;
pub mod gate;
mod history;
mod lease;
mod linked;
mod listening;
pub mod memory;
mod stop;
mod supervise;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::act::control::{self, BindError, BoundSocket};
use crate::act::holder::LeaseHolder;
use crate::act::link;
use crate::act::order::{Obeyed, Order};
use crate::act::recorder::Recorder;
use crate::act::restart::Restarter;
use crate::collect;
use crate::config::Config;
use crate::decide::memory::Memory;
use crate::decide::observation::{ActionReport, Observation, OperatorCommand};
use crate::launch::sidecar;
use crate::memory::give_back_regularly;
use crate::observe::clock::Clock;
use crate::observe::process::EnginePid;
use crate::observe::{Sink, clock, kernel, volume};
use crate::parts::part;
use crate::publish::events::api::ApiServer;
use crate::publish::metrics::Metrics;
use crate::publish::server::{self, Server};
use crate::publish::view::ObserverBounds;
use crate::publish::{self, Reader};
use crate::records::history::Event;
use history::HistoryWriter;
use linked::AgentLink;
use stop::Stopper;
use supervise::Supervisor;

/// The number of turns of the runtime before it ends. The kubelet's SIGTERM follows the end of the SQL
/// container within milliseconds: messages about that end that lie in a socket already are taken in, decided
/// upon and recorded. From the socket to the history is five tasks, one turn each.
const LAST_TURNS: usize = 16;

/// The log line where the control socket can't be made.
const NO_ORDERS: &str = "no control socket: pause, resume, release, adopt and stop (the preStop hook) will not work; probes and decisions do; mount a writable directory at state-dir";
/// The log line where the link's socket can't be made, which `attach` does without.
const NO_LINK: &str = "no socket for launch: where the SQL container is started by it, mount a writable directory that both containers share at state-dir";
/// The answer to `adopt` where no identity may be written.
const NOT_ADOPTED: &str = "the volume is not adopted: it is not mounted, or this pod does not hold its lease; `status` shows which; adopt it once that is mended; nothing was changed";

/// A supervisor that has its port and observes nothing yet.
#[derive(Debug)]
pub struct Bound {
    config: Config,
    server: server::Bound,
}

/// Takes the port: where it is taken already, that is reported before anything else is done.
///
/// # Errors
///
/// The address can't be listened on.
pub fn bind(config: Config) -> anyhow::Result<Bound> {
    let server = Server::bind(&config.http)?;
    Ok(Bound { config, server })
}

/// Runs a supervisor until SIGTERM or SIGINT, then drains.
///
/// # Errors
///
/// The port is taken, or the system has no thread or descriptor left.
pub fn run(config: Config) -> anyhow::Result<()> {
    let bound = bind(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime can't be built")?;
    runtime.spawn(give_back_regularly());
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be caught")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be caught")?;
        bound
            .run(async move {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            })
            .await
    });
    // A name that is being resolved must not delay the end.
    runtime.shutdown_background();
    result
}

impl Bound {
    /// Returns the address with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Supervises until `shutdown` returns why not to go on; then stops observing and drains.
    ///
    /// # Errors
    ///
    /// Another supervisor has the control socket, something else is in its place, or the system
    /// has no thread or descriptor left.
    pub async fn run(self, shutdown: impl Future<Output = &'static str>) -> anyhow::Result<()> {
        let address = self.address();
        let config = self.config;
        let control = optional(&config.control_socket, "takes orders", NO_ORDERS).await?;
        let link = optional(&config.launch.socket, "launch may connect", NO_LINK).await?;
        let clock = Clock::start(config.http.decision_stale_after);
        let (sink, observations) = Sink::new(clock.clone());
        let metrics = Arc::new(Metrics::new());
        let (memory, memory_writer) =
            memory::open(&config.state_dir).context("the memory's thread can't be started")?;
        let (supervisor, reader) = Supervisor::new(
            config.policy.clone(),
            clock,
            observations,
            Arc::clone(&metrics),
            memory_writer,
        );
        let decisions = reader.clone();
        let (may_ask, watch_engine) = collecting::watch_engine(decisions.clone());
        let (collecting, collected) = collect::spawn(&config, &publish::metrics::names(), may_ask)
            .context("the collectors' thread can't be started")?;
        let (bounds, server) = (ObserverBounds::of(&config), self.server);
        let server = server
            .serve(reader, metrics, collected, bounds, sidecar::beat)
            .context("the HTTP thread can't be started")?;
        let engine_pid = EnginePid::default();
        let volume = volume::spawn(config.volume.clone(), engine_pid.clone(), sink.clone())
            .context("the volumes' thread can't be started")?;
        let holder = lease::hold(&config, &memory, sink.clone())
            .context("the lease holder's thread can't be started")?;
        let history = history_writer(&config, &holder, &decisions);
        let stopper = Stopper::new(&config, decisions.clone(), sink.clone(), history.clone());
        let mut tasks = observers(&config, decisions.clone(), &sink);
        find_the_way_in(&mut tasks, &config, &engine_pid, &decisions, &sink);
        let agent = AgentLink::new(engine_pid, &config.volume, sink.clone(), holder.clone());
        expect_agent(&mut tasks, &config, &memory, &agent, holder.clone());
        if let Some(link) = link {
            let (agent, stopper) = (agent.clone(), stopper.clone());
            serve_agent(&mut tasks, &config, link, agent, stopper, &decisions);
        }
        let restarter = Restarter::new(&config, report_to(sink.clone()));
        let acts = acting::act(decisions.clone(), agent, restarter);
        tasks.spawn(part("supervisor.acts", acts));
        if let Some(control) = control {
            let orders = Orders {
                sink,
                stopper,
                decisions: decisions.clone(),
                history: history.clone(),
            };
            let obeys = control::serve(control, move |order| orders.clone().obey(order));
            tasks.spawn(part("supervisor.control", obeys));
        }
        tasks.spawn(part("supervisor.may-ask", watch_engine));
        follow_decisions(&mut tasks, &config, &holder, &decisions);
        tasks.spawn(part("supervisor.history", history.follow()));
        tasks.spawn(part("supervisor.decides", supervisor.run(memory)));
        info!(%address, version = env!("CARGO_PKG_VERSION"), "supervising");

        let why = shutdown.await;
        info!(why, "draining");
        last_turns().await;
        tasks.shutdown().await;
        lease::conclude(&holder, &decisions, config.launch.gate_patience);
        drop((volume, collecting));
        if !server.drain() {
            warn!("open requests did not end in time and were dropped");
        }
        Ok(())
    }
}

/// Returns the API server that takes Events; none where they are off. Where they are on, the checks of the
/// configuration have made sure that all of its parts are there.
fn api_server(config: &Config) -> Option<ApiServer> {
    let events = &config.events;
    let pod_name = events.pod_name.clone().filter(|_| events.enabled)?;
    Some(ApiServer {
        host: events.host.clone()?,
        port: events.port,
        account: events.account.clone(),
        pod_name,
        pod_uid: config.lease.pod_uid.clone()?,
    })
}

fn history_writer(config: &Config, holder: &LeaseHolder, decisions: &Reader) -> HistoryWriter {
    let recorder = Recorder::new(holder.clone());
    HistoryWriter::new(config.lease.pod_uid.as_deref(), recorder, decisions.clone())
}

/// Takes in what has arrived, see [`LAST_TURNS`].
async fn last_turns() {
    for _ in 0..LAST_TURNS {
        tokio::task::yield_now().await;
    }
}

/// Returns a function that reports the steps of an action, as observations like any other.
fn report_to(sink: Sink) -> impl Fn(ActionReport) -> futures_util::future::BoxFuture<'static, ()> {
    move |report| {
        let sink = sink.clone();
        Box::pin(async move { sink.send(Observation::Action(report)).await })
    }
}

/// Returns the socket at `path`, or none where it can't be made: its absence must not cost the probes. Logged
/// is what is taken `with` it, or what is missing `without` it.
async fn optional(
    path: &Path,
    with: &'static str,
    without: &'static str,
) -> Result<Option<BoundSocket>, BindError> {
    match control::bind(path).await {
        Ok(socket) => {
            info!(socket = %socket.path().display(), "{with}");
            Ok(Some(socket))
        }
        Err(error @ BindError::Unavailable { .. }) => {
            warn!(%error, "{without}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Starts the tasks that follow the decisions for others: the API server's events, the lease's claim, and the
/// volumes' identities.
fn follow_decisions(
    tasks: &mut JoinSet<()>,
    config: &Config,
    holder: &LeaseHolder,
    decisions: &Reader,
) {
    if let Some(server) = api_server(config) {
        let events = publish::events::follow(server, decisions.clone());
        tasks.spawn(part("supervisor.events", events));
    }
    let tenant = lease::follow_engine(holder.clone(), decisions.clone());
    tasks.spawn(part("supervisor.tenant", tenant));
    tasks.spawn(part(
        "supervisor.identity",
        lease::identify(decisions.clone()),
    ));
}

/// Observes and contends for the lease in an agent's place, unless one is linked, or one of an earlier run
/// may come.
fn expect_agent(
    tasks: &mut JoinSet<()>,
    config: &Config,
    memory: &Memory,
    agent: &AgentLink,
    holder: LeaseHolder,
) {
    let here = linked::watch_here(config.clone(), agent.clone(), memory.linked);
    tasks.spawn(part("supervisor.here", here));
    let contend = lease::contend(holder, agent.clone(), memory.agent);
    tasks.spawn(part("supervisor.contends", contend));
}

/// Serves the link: its messages are observed, and what is decided is sent.
fn serve_agent(
    tasks: &mut JoinSet<()>,
    config: &Config,
    link: BoundSocket,
    agent: AgentLink,
    stopper: Stopper,
    decisions: &Reader,
) {
    let (verdicts, sent) = watch::channel(None);
    let sends = linked::send_verdicts(config.clone(), decisions.clone(), verdicts);
    tasks.spawn(part("supervisor.verdicts", sends));
    let serves = link::serve(link, sent, move |event| {
        let stopper = stopper.clone();
        agent.clone().receive(event, move || stopper.begin())
    });
    tasks.spawn(part("supervisor.link", serves));
}

/// The parts that carry out the orders of a person.
#[derive(Clone)]
struct Orders {
    sink: Sink,
    stopper: Stopper,
    decisions: Reader,
    history: HistoryWriter,
}

impl Orders {
    /// Obeys an order. Returns once the order is in the deciding loop's queue, or done where that takes
    /// longer.
    async fn obey(self, order: Order) -> Obeyed {
        let command = match order {
            Order::Pause(span) => {
                OperatorCommand::MaintenanceUntil(self.sink.clock().now().plus(span))
            }
            Order::Resume => OperatorCommand::Resume,
            Order::Release => OperatorCommand::Release,
            Order::Adopt => return self.adopt().await,
            Order::Stop(grace) => return self.stopper.stop(grace).await,
        };
        self.sink.send(Observation::Operator(command)).await;
        Ok(order.done())
    }

    /// Has the volumes accepted as they are, where their identities may be written at present.
    async fn adopt(&self) -> Obeyed {
        let may = |published: &publish::Published| {
            let decision = published.decision.as_ref();
            decision.is_some_and(|decision| decision.may_identify)
        };
        if !may(&self.decisions.borrow()) {
            return Err(NOT_ADOPTED.to_owned());
        }
        let command = OperatorCommand::Adopt;
        self.sink.send(Observation::Operator(command)).await;
        self.history.record(Event::Adopted);
        Ok(Order::Adopt.done())
    }
}

/// Starts what finds the address at which the engine is asked, and what makes the login for it.
fn find_the_way_in(
    tasks: &mut JoinSet<()>,
    config: &Config,
    engine: &EnginePid,
    decisions: &Reader,
    sink: &Sink,
) {
    let (decisions, sink) = (decisions.clone(), sink.clone());
    let bootstraps = bootstrapping::follow(config.sql.clone(), decisions.clone());
    tasks.spawn(part("supervisor.bootstrap", bootstraps));
    let listens = listening::follow(config, engine, decisions, sink);
    tasks.spawn(part("supervisor.address", listens));
}

/// Starts every observer that runs on this thread, but those that `launch` takes the place of.
fn observers(config: &Config, decisions: Reader, sink: &Sink) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(part("supervisor.clock", clock::observe(sink.clone())));
    tasks.spawn(part("supervisor.kernel", kernel::observe(sink.clone())));
    let asks = asking::ask(config.clone(), decisions, sink.clone());
    tasks.spawn(part("supervisor.asks", asks));
    tasks
}
