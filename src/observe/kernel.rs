//! The node that everything in the pod runs on.

use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use rustix::system::uname;

use super::Sink;
use crate::decide::observation::{HostFacts, KernelVersion, Observation};

/// Reports the kernel's version and the properties of the node, once: they do not change while anything
/// here runs. Where the kernel's release begins with no version there is nothing to report of it.
pub async fn observe(sink: Sink) {
    let name = uname();
    let version = name.release().to_str().ok().and_then(KernelVersion::parse);
    if let Some(version) = version {
        sink.send(Observation::Kernel(version)).await;
    }
    sink.send(Observation::Host(facts())).await;
}

/// Returns the properties of the node. The stack's limit is the supervisor's own: the container runtime gives
/// every container of a node the same.
fn facts() -> HostFacts {
    HostFacts {
        page_bytes: u64::try_from(page_size()).ok(),
        cpu_suffices: cpu_suffices(),
        stack_unlimited: Some(getrlimit(Resource::Stack).current.is_none()),
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_suffices() -> Option<bool> {
    let found =
        std::arch::is_x86_feature_detected!("sse4.2") && std::arch::is_x86_feature_detected!("avx");
    Some(found)
}

/// Returns none: on other architectures the engine has other needs, which nobody has published.
#[cfg(not(target_arch = "x86_64"))]
fn cpu_suffices() -> Option<bool> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::clock::Clock;
    use crate::observe::testing::next;

    #[tokio::test]
    async fn this_kernel_is_told() {
        let (sink, mut receiver) = Sink::new(Clock::start(Duration::from_secs(5)));
        observe(sink).await;
        let observed = next(&mut receiver).await;
        assert!(matches!(observed, Observation::Kernel(version) if version.major >= 4));
        let observed = next(&mut receiver).await;
        let Observation::Host(facts) = observed else {
            panic!("{observed:?}");
        };
        assert!(facts.page_bytes >= Some(4096), "{facts:?}");
    }
}
