//! The kubelet's rules for probes, as its prober has them (pkg/kubelet/prober/worker.go).
//!
//! Each probe has a worker with a ticker of its own, which begins at a random moment of its period.
//! At first liveness passes, readiness fails and startup is unknown; while a startup probe is there
//! and has not passed, the other two are not asked. A result counts once it came so often in a row as
//! its threshold says. A container without a readiness probe is ready while it runs. When liveness or
//! startup has failed the worker is on hold until another container runs.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval_at};

use crate::check::Check;
use crate::scale::{scaled, timeout};
use crate::timeline::Timeline;

/// Which question a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Startup,
    Liveness,
    Readiness,
}

/// A probe as a container's specification has it, in real seconds.
#[derive(Clone, Debug)]
pub struct Probe {
    pub kind: Kind,
    pub check: Check,
    pub initial_delay: f64,
    pub period: f64,
    pub timeout: f64,
    pub failures: u32,
}

/// The container as its runtime reports it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Container {
    /// The how manieth one.
    pub number: u32,
    /// Since when it runs; none while it does not.
    pub running: Option<Instant>,
}

/// An order to end the container and start another one.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// Which one: an order for one that has ended by itself meanwhile is none.
    pub number: u32,
    /// Of the pod, in real seconds.
    pub grace: f64,
}

/// What the workers of one container share.
#[derive(Clone)]
pub struct Node {
    pub container: watch::Receiver<Container>,
    pub kills: mpsc::Sender<Kill>,
    pub timeline: Timeline,
    /// Number of the container for which startup has passed.
    started: Rc<Cell<u32>>,
    gated: bool,
    grace: f64,
}

impl Node {
    pub fn new(
        probes: &[Probe],
        grace: f64,
        container: watch::Receiver<Container>,
        kills: mpsc::Sender<Kill>,
        timeline: Timeline,
    ) -> Self {
        Self {
            container,
            kills,
            timeline,
            started: Rc::default(),
            gated: probes.iter().any(|probe| probe.kind == Kind::Startup),
            grace,
        }
    }

    /// Whether `kind` is to be asked of container `number` now.
    fn asks(&self, kind: Kind, number: u32) -> bool {
        let started = !self.gated || self.started.get() == number;
        started != (kind == Kind::Startup)
    }
}

/// Readiness of a container without a probe for it.
pub async fn without_readiness(mut node: Node) {
    loop {
        let running = node.container.borrow_and_update().running.is_some();
        node.timeline.ready(running);
        if node.container.changed().await.is_err() {
            return;
        }
    }
}

/// Not ready from the moment on in which the container does not run, whatever the probe's pace.
pub async fn unready_without_container(mut node: Node) {
    loop {
        if node.container.borrow_and_update().running.is_none() {
            node.timeline.ready(false);
        }
        if node.container.changed().await.is_err() {
            return;
        }
    }
}

/// One probe's worker, for ever. `phase` from 0 to 1 says where in its period its ticker begins.
pub async fn work(probe: Probe, node: Node, phase: f64) {
    let period = scaled(probe.period);
    let begin = tokio::time::Instant::now() + period.mul_f64(phase);
    let mut ticks = interval_at(begin, period.max(Duration::from_millis(1)));
    // Go's ticker drops what nobody waits for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut worker = Worker {
        probe,
        node,
        number: 0,
        last: false,
        run: 0,
        on_hold: false,
    };
    loop {
        ticks.tick().await;
        worker.tick().await;
    }
}

struct Worker {
    probe: Probe,
    node: Node,
    /// Whom the counters are about.
    number: u32,
    last: bool,
    run: u32,
    on_hold: bool,
}

impl Worker {
    async fn tick(&mut self) {
        let container = *self.node.container.borrow();
        let Some(since) = container.running else {
            return;
        };
        if container.number != self.number {
            self.number = container.number;
            self.run = 0;
            self.on_hold = false;
        }
        let kind = self.probe.kind;
        let young = since.elapsed() < scaled(self.probe.initial_delay);
        if self.on_hold || young || !self.node.asks(kind, self.number) {
            return;
        }
        let limit = timeout(self.probe.timeout);
        let passed = self.probe.check.passes(limit, &self.node.timeline).await;
        // Another one may run by now: what was found is not about it.
        let still = *self.node.container.borrow();
        if still.number == self.number && still.running.is_some() {
            self.count(passed).await;
        }
    }

    async fn count(&mut self, passed: bool) {
        self.run = if self.run > 0 && passed == self.last {
            self.run + 1
        } else {
            1
        };
        self.last = passed;
        if !passed && self.run < self.probe.failures {
            return;
        }
        match (self.probe.kind, passed) {
            (Kind::Readiness, ready) => self.node.timeline.ready(ready),
            (Kind::Startup, true) => self.node.started.set(self.number),
            (Kind::Liveness, true) => {}
            (Kind::Startup | Kind::Liveness, false) => {
                self.on_hold = true;
                let kill = Kill {
                    number: self.number,
                    grace: self.node.grace,
                };
                // The runtime has ended only where the scenario has.
                let _ = self.node.kills.send(kill).await;
            }
        }
    }
}
