//! What was seen of one rig, by the second.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use serde_json::Value;

use crate::scale::seconds;

/// Why a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By itself, by the fault, or by the supervisor: nobody of the node told it to.
    Itself,
    /// A probe failed so often as it may.
    Kubelet,
    /// It could not be started.
    Failed(String),
}

/// The end of a container, which is followed by a start.
#[derive(Clone, Debug)]
pub struct Restart {
    /// When it was decided: a process that ends by itself has decided by ending.
    pub at: f64,
    pub cause: Cause,
}

/// A line of the supervisor's log.
#[derive(Clone, Debug)]
pub struct Line {
    pub at: f64,
    pub event: Value,
}

/// Everything about one rig.
#[derive(Debug, Default)]
pub struct Seen {
    pub restarts: Vec<Restart>,
    /// Changes of readiness.
    pub ready: Vec<(f64, bool)>,
    pub log: Vec<Line>,
    /// What went wrong with the benchmark itself.
    pub notes: Vec<String>,
}

/// A [`Seen`] under construction, with its clock. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Timeline {
    began: Rc<Cell<Instant>>,
    seen: Rc<RefCell<Seen>>,
}

impl Timeline {
    /// One whose zero is `began`.
    pub fn new(began: Instant) -> Self {
        Self {
            began: Rc::new(Cell::new(began)),
            seen: Rc::default(),
        }
    }

    /// Zero is `began` from now on.
    pub fn begin(&self, began: Instant) {
        self.began.set(began);
    }

    pub fn began(&self) -> Instant {
        self.began.get()
    }

    /// Real seconds since zero; negative before it.
    pub fn at(&self, moment: Instant) -> f64 {
        let began = self.began();
        match moment.checked_duration_since(began) {
            Some(span) => seconds(span),
            None => -seconds(began.duration_since(moment)),
        }
    }

    pub fn now(&self) -> f64 {
        self.at(Instant::now())
    }

    pub fn restarted(&self, at: Instant, cause: Cause) {
        let at = self.at(at);
        self.seen.borrow_mut().restarts.push(Restart { at, cause });
    }

    /// Readiness is so now; noted when that is news.
    pub fn ready(&self, ready: bool) {
        let now = self.now();
        let mut seen = self.seen.borrow_mut();
        let last = seen.ready.last().is_some_and(|(_, ready)| *ready);
        if last != ready {
            seen.ready.push((now, ready));
        }
    }

    pub fn log(&self, event: Value) {
        let at = self.now();
        self.seen.borrow_mut().log.push(Line { at, event });
    }

    pub fn note(&self, note: String) {
        let now = self.now();
        self.seen
            .borrow_mut()
            .notes
            .push(format!("{now:.1} s: {note}"));
    }

    /// What was seen; nothing is left here.
    pub fn take(&self) -> Seen {
        self.seen.take()
    }
}

impl Seen {
    /// Whether it was ready just before `at`.
    pub fn ready_before(&self, at: f64) -> bool {
        let before = self.ready.iter().take_while(|(moment, _)| *moment < at);
        before.last().is_some_and(|(_, ready)| *ready)
    }

    /// The spans until `end` in which readiness was the same: from, to, and what it was.
    pub fn spans(&self, end: f64) -> impl Iterator<Item = (f64, f64, bool)> {
        let begin = (f64::NEG_INFINITY, false);
        let from = std::iter::once(begin).chain(self.ready.iter().copied());
        let to = self.ready.iter().map(|(at, _)| *at).chain([end]);
        from.zip(to).map(|((from, ready), to)| (from, to, ready))
    }

    /// For how many seconds of a span readiness was `ready`.
    pub fn seconds_ready(&self, from: f64, to: f64, ready: bool) -> f64 {
        let spans = self.spans(to).filter(|(_, _, was)| *was == ready);
        spans
            .map(|(begin, end, _)| (end.min(to) - begin.max(from)).max(0.0))
            .sum()
    }

    /// The first restart from a moment on.
    pub fn restarted_after(&self, at: f64) -> Option<f64> {
        let mut restarts = self.restarts.iter().map(|restart| restart.at);
        restarts.find(|restart| *restart >= at)
    }
}
