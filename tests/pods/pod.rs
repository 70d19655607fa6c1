//! A pod that podman runs, and its volume. Dropped, they are gone.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::inside::Inside;
use crate::manifest::{self, Mode, Question};
use crate::podman::podman;
use crate::shared::container::{all_processes, process, until};
use crate::shared::http;
use crate::shared::scratch::Scratch;
use crate::shared::writer::{Target, Writer};
use crate::standin::handle::DEFAULT_PASSWORD;

pub const SUPERVISOR: &str = "supervisor";
pub const SQL: &str = "sql";
/// How often podman is asked for its volumes.
const LISTINGS: usize = 20;
/// Where the supervisor answers.
const PORT: u16 = 9433;

static COUNT: AtomicU32 = AtomicU32::new(1);

fn unique(kind: &str) -> String {
    format!("{kind}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A named volume, as the claim is.
pub struct Volume(String);

impl Volume {
    pub fn new() -> Self {
        let name = unique("claim");
        podman().run(["volume", "create", &name]);
        Self(name)
    }

    /// Where it lies on this machine.
    pub fn path(&self) -> PathBuf {
        Self::path_of(&self.0)
    }

    /// Where the claim of a manifest's template lies.
    pub fn path_of_template(&self, template: &str) -> PathBuf {
        Self::path_of(&format!("{}-{template}", self.0))
    }

    fn path_of(name: &str) -> PathBuf {
        let found = podman().run(["volume", "inspect", "--format={{.Mountpoint}}", name]);
        PathBuf::from(found)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // podman fails where another test removes a volume while it lists them.
        let others = std::iter::repeat_with(|| podman().outcome(["volume", "ls", "--quiet"]));
        let mut others = others.take(LISTINGS);
        let others = others.find(|listed| listed.status.success());
        let others = others.map_or_else(Vec::new, |listed| listed.stdout);
        let own = format!("{}-", self.0);
        for other in String::from_utf8_lossy(&others).lines() {
            if other.starts_with(&own) {
                podman().outcome(["volume", "rm", "--force", other]);
            }
        }
        podman().outcome(["volume", "rm", "--force", &self.0]);
    }
}

pub struct Pod {
    pub name: String,
    pub mode: Mode,
    /// podman, until all that runs at the start does.
    playing: Child,
    inside: Option<Inside>,
    scratch: Scratch,
}

impl Pod {
    /// Begins to start a pod on `volume`.
    pub fn play(mode: Mode, volume: &Volume) -> Self {
        let name = unique("pod");
        let scratch = Scratch::new();
        let manifest = manifest::pod(mode, &name, &volume.0, scratch.path());
        let file = scratch.path().join("pod.yaml");
        fs::write(&file, manifest.to_string()).expect("writable");
        let said = fs::File::create(scratch.path().join("podman.log")).expect("writable");
        let file = file.display().to_string();
        let playing = podman()
            .command(["play", "kube", "--network=none", &file])
            .stdout(Stdio::null())
            .stderr(said)
            .spawn();
        Self {
            name,
            mode,
            playing: playing.expect("podman; tests/run installs it"),
            inside: None,
            scratch,
        }
    }

    /// Waits until its containers are started, init containers done.
    pub async fn runs(&mut self) {
        let playing = &mut self.playing;
        let status = until(|| playing.try_wait().expect("it is our child")).await;
        let said = fs::read_to_string(self.scratch.path().join("podman.log"));
        assert!(
            status.success(),
            "podman play kube: {}\n{}",
            said.unwrap_or_default(),
            match self.mode.has_gate() {
                true => self.logs("gate"),
                false => String::new(),
            }
        );
        self.inside = Some(Inside::enter(self.pid(SUPERVISOR)));
    }

    fn container(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    fn inside(&self) -> &Inside {
        self.inside.as_ref().expect("the pod runs")
    }

    /// The first process of a container as this machine sees it; 0 where it does not run.
    fn pid(&self, container: &str) -> i32 {
        let format = "--format={{.State.Pid}}";
        let pid = podman().run(["container", "inspect", format, &self.container(container)]);
        pid.parse().expect("a pid")
    }

    /// The engine's processes, the outer one first.
    pub fn engine(&self) -> Vec<i32> {
        let all = all_processes();
        let mut found = vec![self.pid(SQL)];
        // One that does not run yet has process 0, whose children are all there are.
        found.retain(|pid| *pid > 0);
        let mut at = 0;
        while let Some(parent) = found.get(at).copied() {
            let children = all.iter().filter(|process| process.parent == parent);
            found.extend(children.map(|process| process.pid));
            at += 1;
        }
        let is_engine =
            |pid: &i32| process(*pid).is_some_and(|p| p.name == "sqlservr" && p.state != 'Z');
        found.retain(is_engine);
        found
    }

    /// What /proc has of the first process of a container.
    pub fn proc_file(&self, container: &str, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.pid(container));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// What a container has said.
    pub fn logs(&self, container: &str) -> String {
        let output = podman().outcome(["logs", &self.container(container)]);
        let (out, err) = (&output.stdout, &output.stderr);
        format!(
            "{}{}",
            String::from_utf8_lossy(out),
            String::from_utf8_lossy(err)
        )
    }

    /// Runs the engine's preStop hook where the kubelet would.
    pub fn stop_hook(&self) -> Output {
        let command = manifest::stop(self.mode);
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        self.exec(SQL, &words)
    }

    /// Runs a command in a container.
    pub fn exec(&self, container: &str, words: &[&str]) -> Output {
        let name = self.container(container);
        let mut line = vec!["exec", name.as_str()];
        line.extend(words);
        podman().outcome(line)
    }

    /// The supervisor's answer; none where it can't be asked yet.
    async fn get(&self, path: &str) -> Option<(u16, String)> {
        self.get_at(PORT, path).await
    }

    async fn get_at(&self, port: u16, path: &str) -> Option<(u16, String)> {
        let (address, path) = (format!("127.0.0.1:{port}"), path.to_owned());
        let asked = async move {
            TcpStream::connect(&address).await.ok()?;
            Some(http::get(&address, &path).await)
        };
        self.inside().run(asked).await
    }

    /// Asks each probe that the chart has the kubelet ask, until it passes, as the kubelet does; those that never
    /// do. A verdict of the supervisor's reaches the SQL container a moment later.
    pub async fn asked_by_the_kubelet(&self) -> Vec<(Question, Option<(u16, String)>)> {
        let mut failed = Vec::new();
        for question in manifest::questions(self.mode) {
            let mut answer = None;
            for _ in 0..ASKED {
                answer = self.get_at(question.port, &question.path).await;
                if matches!(answer, Some((200, _))) {
                    break;
                }
                tokio::time::sleep(BETWEEN).await;
            }
            if !matches!(answer, Some((200, _))) {
                failed.push((question, answer));
            }
        }
        failed
    }

    /// Asks again and again, as the kubelet does, until the answer is `wanted`; its body.
    async fn answers(&self, path: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
        for _ in 0..QUESTIONS {
            let answer = self.get(path).await;
            if let Some((status, body)) = answer
                && wanted(status, &body)
            {
                return body;
            }
            tokio::time::sleep(BETWEEN).await;
        }
        let last = self.get(&format!("{path}?verbose")).await;
        let log = self.logs(SUPERVISOR);
        panic!(
            "{path} of {} does not come to that: {last:?}\n{log}\n{}",
            self.name,
            self.logs(SQL)
        )
    }

    pub async fn passes(&self, probe: &str) {
        self.answers(&format!("/{probe}z"), |status, _| status == 200)
            .await;
    }

    /// Waits until this probe fails for this reason.
    pub async fn fails(&self, probe: &str, code: &str) {
        let wanted = |status, body: &str| status == 503 && body.contains(code);
        self.answers(&format!("/{probe}z"), wanted).await;
    }

    pub async fn status(&self) -> Value {
        let body = self.answers("/status", |status, _| status == 200).await;
        serde_json::from_str(&body).expect("JSON")
    }

    /// The epoch of the lease that it holds.
    pub async fn epoch(&self) -> i64 {
        let lease = self.status().await["lease"].take();
        assert_eq!(lease["state"], "held", "{lease}");
        lease["epoch"].as_i64().expect("a number")
    }

    /// A client that writes rows, from this number on.
    pub async fn writer(&self, first: i64) -> Writer {
        let target = Target {
            port: 1433,
            password: DEFAULT_PASSWORD.to_owned(),
        };
        let write =
            async move { Writer::counting(tokio::sync::watch::channel(target).1, first, 1) };
        self.inside().run(write).await
    }

    /// SIGKILL to every process of every container, as a node that is lost.
    pub fn is_lost(&self) {
        podman().run(["pod", "kill", "--signal=KILL", &self.name]);
    }

    /// What the runtime does to a container that is to stop.
    pub fn terminate(&self, container: &str) {
        podman().run(["kill", "--signal=TERM", &self.container(container)]);
    }

    /// Waits for a container's end; its exit code.
    pub async fn ends(&self, container: &str) -> i32 {
        let pid = self.pid(container);
        until(|| process(pid).is_none().then_some(())).await;
        let code = podman().run(["wait", &self.container(container)]);
        code.parse().expect("a number")
    }

    /// What the kubelet does to one that has ended.
    pub fn start(&self, container: &str) {
        podman().run(["start", &self.container(container)]);
    }
}

/// The kubelet's questions are a second apart at the least; the test's need not be.
const BETWEEN: std::time::Duration = std::time::Duration::from_millis(20);
/// Two seconds of them.
const ASKED: u32 = 100;
/// A minute of them.
const QUESTIONS: u32 = 3000;

pub fn kill(pid: i32) {
    let pid = Pid::from_raw(pid).expect("a pid");
    kill_process(pid, Signal::KILL).expect("it runs");
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Both fail where it has ended.
        let _ = self.playing.kill();
        let _ = self.playing.wait();
        podman().outcome(["pod", "rm", "--force", "--time=0", &self.name]);
    }
}
