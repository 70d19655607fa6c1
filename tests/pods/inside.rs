//! A thread in a pod's network namespace: where its probes are asked and its clients are.

use std::fs::File;
use std::future::Future;
use std::sync::mpsc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The thread; it ends when this is dropped.
pub struct Inside {
    runtime: Handle,
    _until: oneshot::Sender<()>,
}

impl Inside {
    /// Enters the namespace of process `pid`.
    pub fn enter(pid: i32) -> Self {
        let namespace = File::open(format!("/proc/{pid}/ns/net")).expect("the pod runs");
        let (ready, entered) = mpsc::channel();
        let (until, dropped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).expect("root may enter it");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.expect("a runtime");
            ready.send(runtime.handle().clone()).expect("it waits");
            // The tasks that it was given run here; the sender's end is the thread's.
            let _ = runtime.block_on(dropped);
        });
        Self {
            runtime: entered.recv().expect("the namespace is entered"),
            _until: until,
        }
    }

    /// Runs it inside, and waits for it.
    pub async fn run<T: Send + 'static>(
        &self,
        what: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let running = self.runtime.spawn(what);
        running.await.expect("it ended by a panic")
    }
}
