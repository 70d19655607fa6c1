//! A panic in each part of the agent and of the supervisor: the engine goes on, and so does the rest.

#![allow(
    clippy::print_stdout,
    reason = "which part it was is said where the test fails"
)]

use std::collections::BTreeSet;
use std::path::Path;

use rustix::process::Pid;

use super::linked::{engine, linked};
use super::rig::{Site, stop};
use crate::shared::container::{Container, all_processes, until};
use crate::shared::http::get;
use crate::shared::supervisor::Supervisor;

/// Parts that do not run in a pod that is ready: the gate's, what is off here, and what is done by then.
const ELSEWHERE: [&str; 6] = [
    "agent.gate",
    "supervisor.bootstrap",
    "supervisor.contends",
    "supervisor.events",
    "supervisor.here",
    "supervisor.kernel",
];

/// The names of all parts, by the sources.
fn parts() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    found
}

fn collect(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let text: String = std::fs::read_to_string(&path).expect("UTF-8");
        let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        for program in ["agent.", "supervisor.", "shared."] {
            for call in ["part(\"", "turn(\""] {
                for rest in dense.split(&format!("{call}{program}")).skip(1) {
                    let name = rest.split('"').next().expect("a name");
                    found.insert(format!("{program}{name}"));
                }
            }
        }
    }
}

struct Pod {
    site: Site,
    supervisor: Supervisor,
    container: Container,
}

impl Pod {
    /// The supervisor below the first process of its container.
    fn sidecar(&self) -> Option<i32> {
        let all = all_processes();
        let below = |parent: i32| {
            let alive =
                |p: &&crate::shared::container::Process| p.parent == parent && p.state != 'Z';
            all.iter().find(alive).map(|p| p.pid)
        };
        below(below(self.supervisor.pid().as_raw_nonzero().get())?)
    }

    /// The agent and the supervisor, while both run.
    fn programs(&self) -> Option<(Pid, i32)> {
        Some((self.site.agent_now(&self.container)?, self.sidecar()?))
    }

    /// Has a part panic; returns once another program has taken the place of its own and the engine is ready.
    async fn panics(&mut self, part: &str) {
        println!("{part} panics");
        let before = until(|| self.programs()).await;
        let file = Path::new(&self.site.panics()).join(part);
        std::fs::write(&file, "").expect("writable");
        let after = until(|| self.programs().filter(|now| *now != before)).await;
        assert!(!file.exists(), "{part}: something else ended");
        if after.1 != before.1 {
            let supervising = |event: &serde_json::Value| event["message"] == "supervising";
            self.supervisor.event(supervising).await;
            self.supervisor.passes("ready").await;
        } else {
            let linked = |event: &serde_json::Value| event["message"] == "launch is linked";
            self.supervisor.event(linked).await;
        }
        let address = self.site.probes().await;
        while get(&address, "/readyz").await.0 != 200 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_panic_in_any_part_costs_no_engine() {
    let mut site = Site::new();
    let panics = site.panics();
    std::fs::create_dir(&panics).expect("writable");
    // The gate's own part has an end once the engine runs.
    let gate = Path::new(&panics).join("agent.gate");
    std::fs::write(&gate, "").expect("writable");
    let (supervisor, container) = linked(&mut site, &[]).await;
    assert!(!gate.exists(), "{}", site.log());
    let mut pod = Pod {
        site,
        supervisor,
        container,
    };
    let first = engine(&pod.site, &pod.container).await;
    let parts = parts();
    assert!(parts.len() > 30, "{parts:?}");
    for part in parts
        .iter()
        .filter(|part| !ELSEWHERE.contains(&part.as_str()))
    {
        pod.panics(part).await;
        assert_eq!(engine(&pod.site, &pod.container).await, first, "{part}");
    }
    let log = pod.site.log();
    assert_eq!(log.matches("the command runs").count(), 1, "{log}");
    assert!(
        log.contains("a test has the part agent.lease panic"),
        "{log}"
    );
    assert_eq!(stop(&mut pod.container).await.code(), Some(0), "{log}");
}
