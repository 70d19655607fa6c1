//! A second instance on the same machine, of the same name, with a volume of its own: none of the
//! supervisor's business, whatever becomes of it.

use std::rc::Rc;

use anyhow::ensure;
use rustix::process::Signal;
use tokio::sync::Mutex;

use crate::rig::{ENGINE, free_port};
use crate::scenario::Scenario;
use crate::shared::scratch::Scratch;
use crate::standin::handle::{StandIn, StandInOptions};

/// The other instance, where a scenario has one. A clone is the same one.
#[derive(Clone, Default)]
pub struct Neighbour(Option<Rc<Mutex<StandIn>>>);

impl Neighbour {
    /// Starts it. `comm` is the kernel's name of the supervised engine's processes, and of its own.
    pub async fn beside(
        scenario: &Scenario,
        scratch: &Scratch,
        comm: &str,
    ) -> anyhow::Result<Self> {
        if !scenario.neighbour {
            return Ok(Self::default());
        }
        let binary = scratch.path().join(ENGINE);
        let mut options = StandInOptions::new(binary, scratch.path().join("other"));
        options
            .environment
            .push(("STANDIN_NAME".into(), comm.into()));
        options.port = free_port()?;
        let engine = StandIn::start(options).await?;
        Ok(Self(Some(Rc::new(Mutex::new(engine)))))
    }

    /// For its engine process.
    pub async fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        match &self.0 {
            Some(engine) => Ok(engine.lock().await.signal_child(signal)?),
            None => Ok(()),
        }
    }

    /// Nobody may have ended it.
    pub async fn lives(&self) -> anyhow::Result<()> {
        if let Some(engine) = &self.0 {
            let mut engine = engine.lock().await;
            let now = std::time::Duration::ZERO;
            let ended = tokio::time::timeout(now, engine.wait()).await;
            ensure!(ended.is_err(), "the other instance was ended");
        }
        Ok(())
    }
}
