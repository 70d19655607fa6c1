//! A second instance on the same machine, of the same name, with a volume of its own: none of the
//! supervisor's business, whatever becomes of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::rc::Rc;

use anyhow::ensure;
use rustix::process::Signal;
use tokio::sync::Mutex;

use crate::rig::ENGINE;
use crate::scenario::Scenario;
use crate::shared::ports::free_port;
use crate::shared::scratch::Scratch;
use crate::standin::handle::{StandIn, StandInOptions};

/// The other instance, where a scenario has one. A clone is the same one.
#[derive(Clone, Default)]
pub struct Neighbour(Option<Rc<Mutex<StandIn>>>);

impl Neighbour {
    /// Starts it. `comm` is the kernel's name of the supervised engine's processes, and of its own. As another
    /// pod it has mounts of its own: at `data_dir`, which is the supervised engine's, lies its volume.
    pub async fn beside(
        scenario: &Scenario,
        scratch: &Scratch,
        comm: &str,
        data_dir: &Path,
    ) -> anyhow::Result<Self> {
        if !scenario.neighbour {
            return Ok(Self::default());
        }
        let directory = scratch.path().join("other");
        let mut options = StandInOptions::new(directory.join("sqlservr"), &directory);
        let (other, program) = (options.data_dir(), scratch.path().join(ENGINE));
        for volume in [&other, data_dir] {
            fs::create_dir_all(volume)?;
        }
        let script = format!(
            "#!/bin/sh\nexec unshare --mount --propagation private sh -c \
             'mount --bind \"$1\" \"$2\" && shift 2 && exec \"$0\" \"$@\"' '{}' '{}' '{}' \"$@\"\n",
            program.display(),
            other.display(),
            data_dir.display(),
        );
        fs::write(&options.binary, script)?;
        fs::set_permissions(&options.binary, Permissions::from_mode(0o755))?;
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
