//! What happens to an engine, and what is right to do about it.
//!
//! All moments are seconds since the engine's first start, as in reality ([`crate::scale`]).

use rustix::process::Signal;

use crate::standin::command::Command;
use crate::standin::script::{Script, StartPhase};

/// When a fault begins, unless a scenario says otherwise: every contestant's probes have passed by
/// then, and passed several times.
pub const FAULT: f64 = 45.0;
/// When one that passes does: longer after it than the slowest contestant takes to be sure.
pub const HEAL: f64 = 125.0;
/// Until a healthy engine has to be ready: the start itself, the first questions.
pub const UP: f64 = 10.0;

/// What can be done to an engine and to what it stands on.
#[derive(Clone)]
pub enum Deed {
    /// Changes what the present process does; the next one does not know of it.
    Process(fn(&mut Script)),
    /// Changes what this process and each that comes after it does: a password, a database's state.
    Lasting(fn(&mut Script)),
    /// Tells the present process to do something.
    Order(fn() -> Command),
    /// A signal for the engine process.
    Child(Signal),
    /// A signal for its parent, the container's first process.
    Parent(Signal),
    /// A signal for the supervisor, where there is one.
    Supervisor(Signal),
    /// A signal for the engine process of the other instance, see [`Scenario::neighbour`].
    Neighbour(Signal),
    /// Something happens to the volume.
    Volume(VolumeDeed),
    /// The engine is stopped by a tracer, as while its memory is dumped; with the dump writer's
    /// process beside it, or without.
    Trace { dumper: bool },
    /// The tracer and the dump writer end; the engine goes on.
    Untrace,
}

/// What can happen to a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeDeed {
    /// It takes no byte more.
    Fill,
    /// What filled it is removed.
    Empty,
    ReadOnly,
    Writable,
    /// It is gone; below it is an empty directory.
    Unmount,
    /// An empty file system covers it.
    Cover,
    /// Nothing that was asked of it is answered.
    Stall,
    Resume,
}

/// What the data directory is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// A tmpfs of its own: no disk's latency is measured along.
    Memory,
    /// A directory of this machine's disk, as a mount of its own.
    Disk,
    /// A FUSE file system, which can stall.
    Fuse,
}

/// A deed and when it is done.
#[derive(Clone)]
pub struct Step {
    pub at: f64,
    pub deed: Deed,
}

/// Whether the engine has to be restarted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Restart {
    Never,
    /// Once, no earlier than `from` and no later than `to`. Ours by `ours`: its threshold and a second.
    Once {
        from: f64,
        to: f64,
        ours: f64,
    },
    /// A restart helps no more than a moment: from `from` on at least one and at most `most`.
    Some {
        from: f64,
        to: f64,
        most: usize,
    },
}

/// What the supervisor has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: no answer fails once it has passed.
    Nothing,
    /// Whatever it likes, as long as nothing is restarted: readiness may come and go.
    Anything,
    /// `/livez` fails, or it restarts, for this reason.
    Live(&'static str),
    /// `/readyz` fails for one of these.
    Ready(&'static [&'static str]),
    /// It is found, whatever it does to the answers.
    Found(&'static str),
}

/// A span in which the engine can serve clients, or can't. What lies in no span is left open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    pub from: f64,
    pub to: f64,
    pub serves: bool,
}

/// One scenario.
#[derive(Clone)]
pub struct Scenario {
    pub name: &'static str,
    /// What happens, and by what the truth was judged where it can be argued.
    pub what: &'static str,
    /// Of every start.
    pub script: Script,
    pub volume: Volume,
    /// A second instance runs on the machine, of the same name.
    pub neighbour: bool,
    /// Settings of the supervisor besides the defaults.
    pub settings: &'static [(&'static str, &'static str)],
    pub steps: Vec<Step>,
    /// Done again after each start, so long after it.
    pub each_start: Vec<Step>,
    pub length: f64,
    pub restart: Restart,
    pub spans: Vec<Span>,
    pub told: Told,
    /// How many places of the machine it takes.
    pub weight: u32,
    /// It disturbs others that run beside it, but for those of its kind, which do the same at the same
    /// time: one such scenario there may be.
    pub alone: bool,
    /// Part of the smoke test.
    pub quick: bool,
}

/// A healthy engine that is never disturbed, to be changed by what follows.
pub fn scenario(name: &'static str, what: &'static str) -> Scenario {
    Scenario {
        name,
        what,
        script: Script::default(),
        volume: Volume::Memory,
        neighbour: false,
        settings: &[],
        steps: Vec::new(),
        each_start: Vec::new(),
        length: 160.0,
        restart: Restart::Never,
        spans: Vec::new(),
        told: Told::Nothing,
        weight: 1,
        alone: false,
        quick: false,
    }
}

impl Scenario {
    pub fn script(mut self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.script);
        self
    }

    pub fn phases(mut self, phases: Vec<StartPhase>) -> Self {
        self.script.start = phases;
        self
    }

    pub fn on(mut self, volume: Volume) -> Self {
        self.volume = volume;
        self
    }

    pub fn beside_another(mut self) -> Self {
        self.neighbour = true;
        self
    }

    pub fn setting(mut self, settings: &'static [(&'static str, &'static str)]) -> Self {
        self.settings = settings;
        self
    }

    pub fn at(mut self, at: f64, deed: Deed) -> Self {
        self.steps.push(Step { at, deed });
        self
    }

    pub fn each_start(mut self, after: f64, deed: Deed) -> Self {
        self.each_start.push(Step { at: after, deed });
        self
    }

    pub fn length(mut self, length: f64) -> Self {
        self.length = length;
        self
    }

    /// It has to be restarted: within `within` of `from`, by the supervisor within `ours`.
    pub fn restart(mut self, from: f64, within: f64, ours: f64) -> Self {
        self.restart = Restart::Once {
            from,
            to: from + within,
            ours: from + ours,
        };
        self
    }

    pub fn restart_at_most(mut self, most: usize, from: f64, within: f64) -> Self {
        let to = from + within;
        self.restart = Restart::Some { from, to, most };
        self
    }

    pub fn serves(mut self, from: f64, to: f64) -> Self {
        self.spans.push(Span {
            from,
            to,
            serves: true,
        });
        self
    }

    pub fn unfit(mut self, from: f64, to: f64) -> Self {
        self.spans.push(Span {
            from,
            to,
            serves: false,
        });
        self
    }

    pub fn told(mut self, told: Told) -> Self {
        self.told = told;
        self
    }

    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    pub fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    /// The same with every deed, and what is true because of it, so much later: the seed's part, so
    /// that no contestant's pace happens to fit.
    pub fn delayed(mut self, by: f64) -> Self {
        // What is true from the start stays; without a deed there is nothing to delay.
        if self.steps.is_empty() {
            return self;
        }
        for step in &mut self.steps {
            step.at += by;
        }
        for span in &mut self.spans {
            if span.from >= self.steps.first().map_or(0.0, |first| first.at - by) {
                span.from += by;
            }
            span.to += by;
        }
        match &mut self.restart {
            Restart::Never => {}
            Restart::Once { from, to, ours } => {
                *from += by;
                *to += by;
                *ours += by;
            }
            Restart::Some { from, to, .. } => {
                *from += by;
                *to += by;
            }
        }
        self.length += by;
        self
    }

    /// When the first deed is done; the start where there is none.
    pub fn fault(&self) -> f64 {
        self.steps.first().map_or(0.0, |step| step.at)
    }
}
