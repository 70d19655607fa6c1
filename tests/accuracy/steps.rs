//! The deeds of a scenario, done at their moments.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::Context as _;
use rustix::process::Signal;

use crate::container::{Grip, Shared};
use crate::neighbour::Neighbour;
use crate::scale::scaled;
use crate::scenario::{Deed, Step, VolumeDeed};
use crate::standin::command::{Command, Reply};
use crate::standin::handle::send;
use crate::standin::script::Script;
use crate::supervisor::Supervisor;
use crate::tracer::Tracer;
use crate::volume::Mounted;

/// What deeds are done to.
#[derive(Clone)]
pub struct Stage {
    pub shared: Shared,
    pub volume: Rc<Mounted>,
    pub neighbour: Neighbour,
    pub supervisor: Option<Rc<Supervisor>>,
    /// This program as the dump writer.
    pub dumper: PathBuf,
    pub tracer: Rc<RefCell<Option<Tracer>>>,
}

/// Does `steps`, counted from the timeline's zero.
pub async fn play(stage: Stage, steps: Vec<Step>) {
    let began = stage.shared.timeline.began();
    for step in steps {
        tokio::time::sleep_until((began + scaled(step.at)).into()).await;
        stage.perform(&step.deed, None).await;
    }
}

/// Does `steps` again after each start.
pub async fn play_each_start(stage: Stage, steps: Vec<Step>) {
    if steps.is_empty() {
        return;
    }
    let mut grips = stage.shared.grip.subscribe();
    loop {
        let grip = grips.borrow_and_update().clone();
        if let Some(grip) = grip {
            for step in &steps {
                tokio::time::sleep_until((grip.since + scaled(step.at)).into()).await;
                stage.perform(&step.deed, Some(grip.number)).await;
            }
        }
        if grips.changed().await.is_err() {
            return;
        }
    }
}

impl Stage {
    /// Does it, to the engine `number` only where that is given; says what went wrong.
    async fn perform(&self, deed: &Deed, number: Option<u32>) {
        let grip = self.shared.grip.borrow().clone();
        let grip = grip.filter(|grip| number.is_none_or(|number| grip.number == number));
        if let Err(error) = self.try_perform(deed, grip.as_ref()).await {
            self.shared.timeline.note(format!("{error:#}"));
        }
    }

    async fn try_perform(&self, deed: &Deed, grip: Option<&Grip>) -> anyhow::Result<()> {
        match deed {
            Deed::Lasting(change) => {
                change(&mut self.shared.script.borrow_mut());
                self.change_running(*change, grip).await
            }
            Deed::Process(change) => self.change_running(*change, grip).await,
            Deed::Order(order) => self.order(order(), grip).await,
            Deed::Child(signal) => {
                grip.inspect(|grip| grip.signal_child(*signal));
                Ok(())
            }
            Deed::Parent(signal) => {
                grip.inspect(|grip| grip.signal_parent(*signal));
                Ok(())
            }
            Deed::Supervisor(signal) => {
                self.supervisor
                    .as_ref()
                    .inspect(|supervisor| supervisor.signal(*signal));
                Ok(())
            }
            Deed::Neighbour(signal) => self.neighbour.signal(*signal).await,
            Deed::Volume(deed) => self.volume.change(*deed),
            Deed::Trace { dumper } => {
                let Some(grip) = grip else { return Ok(()) };
                let dumper = dumper.then_some(self.dumper.as_path());
                let tracer = Tracer::attach(grip.child_pid, dumper)?;
                self.tracer.replace(Some(tracer));
                Ok(())
            }
            Deed::Untrace => {
                self.tracer.replace(None);
                Ok(())
            }
        }
    }

    /// Changes the script of the running engine; where none runs there is nothing to change.
    async fn change_running(
        &self,
        change: fn(&mut Script),
        grip: Option<&Grip>,
    ) -> anyhow::Result<()> {
        let Some(grip) = grip else { return Ok(()) };
        let read = send(&grip.control, &Command::Script).await;
        let Some(Reply::Script { mut script }) = self.unless_ended(grip, read)? else {
            return Ok(());
        };
        change(&mut script);
        self.order(Command::SetScript { script }, Some(grip)).await
    }

    async fn order(&self, command: Command, grip: Option<&Grip>) -> anyhow::Result<()> {
        let Some(grip) = grip else { return Ok(()) };
        let sent = send(&grip.control, &command).await;
        self.unless_ended(grip, sent).map(drop)
    }

    /// An engine that has ended meanwhile, by whoever's hand, was told nothing: that is no mistake.
    fn unless_ended(
        &self,
        grip: &Grip,
        sent: anyhow::Result<Reply>,
    ) -> anyhow::Result<Option<Reply>> {
        let ended = match &*self.shared.grip.borrow() {
            Some(present) => present.number != grip.number,
            None => true,
        };
        match sent {
            Ok(reply) => Ok(Some(reply)),
            Err(_) if ended => Ok(None),
            Err(error) => Err(error).context("a deed"),
        }
    }

    /// Lets go of all that is held, so that everything can end.
    pub fn release(&self) {
        self.tracer.replace(None);
        // It fails where the volume is none that can stall.
        let _ = self.volume.change(VolumeDeed::Resume);
        if let Some(supervisor) = &self.supervisor {
            supervisor.signal(Signal::CONT);
        }
    }
}
