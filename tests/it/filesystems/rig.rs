//! An engine under load on a volume of its own, its supervisor, and a kubelet that asks all the time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::shared::http;
use crate::shared::supervisor::Supervisor;
use crate::shared::writer::Writer;
use crate::standin::handle::StandIn;
use crate::support::{Scratch, standin_with, supervise, unique_name};

/// What stays as it is, whatever becomes of the volume.
const ALWAYS: [&str; 2] = ["/livez", "/healthz"];

/// Between two rounds of questions; a kubelet asks each second.
const PACE: Duration = Duration::from_millis(20);

/// The fields are dropped in this order: first the volume, because who waits for it can't end.
pub struct Rig<V> {
    pub volume: V,
    pub writer: Writer,
    probes: Probes,
    pub supervisor: Supervisor,
    pub standin: StandIn,
    /// The supervisor's own directory, and all the others.
    pub scratch: Scratch,
}

impl<V> Rig<V> {
    /// Everything on the volume that `make` mounts, given the scratch directory and the mount point;
    /// ready and written to.
    pub async fn on(make: impl FnOnce(&Path, &Path) -> V) -> Self {
        Self::with(&[], make).await
    }

    /// The same with these settings.
    pub async fn with(more: &[(&str, &str)], make: impl FnOnce(&Path, &Path) -> V) -> Self {
        let (scratch, name) = (Scratch::new(), unique_name());
        let volume = make(scratch.path(), &scratch.path().join("pod/mssql"));
        let standin = standin_with(&scratch, &name, |options| options).await;
        let mut settings = vec![("require-mount", "true")];
        settings.extend(more);
        let mut supervisor = supervise(&standin, &name, &settings).await;
        supervisor.passes_all(&["gate", "ready"]).await;
        let writer = Writer::to(standin.port(), standin.password());
        writer.acknowledges(20).await;
        // From then on it knows which mount is the engine's.
        supervisor
            .status_with(|status| status["volume"]["engineMount"].is_object())
            .await;
        supervisor.keeps_a_scrape().await;
        let probes = Probes::start(supervisor.address.clone());
        Self {
            volume,
            writer,
            probes,
            supervisor,
            standin,
            scratch,
        }
    }

    /// Waits for the reason; its evidence. Then it is not ready, the gate is shut, and nothing else has
    /// changed.
    pub async fn finds(&mut self, code: &str) -> String {
        let evidence = self.supervisor.finds(code).await;
        self.supervisor.raises(code).await;
        assert_eq!(self.supervisor.get("/readyz").await.0, 503, "{code}");
        assert_eq!(self.supervisor.get("/gatez").await.0, 503, "{code}");
        self.lives().await;
        evidence
    }

    /// The same for a reason with which an engine may be started.
    pub async fn finds_and_may_start(&mut self, code: &str) -> String {
        let evidence = self.supervisor.finds(code).await;
        self.supervisor.raises(code).await;
        assert_eq!(self.supervisor.get("/readyz").await.0, 503, "{code}");
        // What took the room may have kept a check waiting, from which the gate settles.
        if self.supervisor.get("/gatez").await.0 != 200 {
            self.supervisor.passes("gate").await;
        }
        self.lives().await;
        evidence
    }

    /// Waits until it is ready again after that.
    pub async fn is_ready_again(&mut self) {
        self.supervisor.passes("ready").await;
        self.writer.acknowledges(20).await;
        self.lives().await;
    }

    /// Waits until it is ready again, which it is without anybody's help.
    pub async fn recovers(&mut self) {
        self.supervisor.passes_all(&["gate", "ready"]).await;
        self.writer.acknowledges(20).await;
        self.lives().await;
    }

    /// Liveness never failed, and the engine is the same that it was.
    pub async fn lives(&self) {
        self.probes.ask_once_more().await;
        let status = self.supervisor.status().await;
        let engine = &status["process"]["engine"]["pid"];
        assert_eq!(*engine, self.standin.child_pid(), "{status}");
    }
}

/// A client that asks for what must always be there, and never gets another answer.
struct Probes {
    rounds: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Probes {
    fn start(address: String) -> Self {
        let rounds = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&rounds);
        let task = tokio::spawn(async move {
            loop {
                for path in ALWAYS {
                    let (status, body) = http::get(&address, path).await;
                    assert_eq!(status, 200, "{path}: {body}");
                }
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PACE).await;
            }
        });
        Self { rounds, task }
    }

    /// Waits for a whole round from now on; it fails where one answer so far was not as it must be.
    async fn ask_once_more(&self) {
        let goal = self.rounds.load(Ordering::Relaxed) + 2;
        while self.rounds.load(Ordering::Relaxed) < goal {
            assert!(!self.task.is_finished(), "a probe failed: see above");
            tokio::time::sleep(PACE).await;
        }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.task.abort();
    }
}
