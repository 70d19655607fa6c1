//! The kernel that everything in the pod runs on.

use rustix::system::uname;

use super::Sink;
use crate::decide::observation::{KernelVersion, Observation};

/// Tells the kernel's version, once: it does not change while anything here runs. Where its release
/// begins with no version there is nothing to tell.
pub async fn observe(sink: Sink) {
    let name = uname();
    if let Some(version) = name.release().to_str().ok().and_then(version) {
        sink.send(Observation::Kernel(version)).await;
    }
}

/// The first two numbers of a release: `6.18.44-fc`, `5.10.0-28-amd64`, `4.18.0-553.el8.x86_64`.
fn version(release: &str) -> Option<KernelVersion> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some(KernelVersion {
        major: numbers.next()?.parse().ok()?,
        minor: numbers.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::clock::Clock;
    use crate::observe::testing::next;

    #[test]
    fn releases_as_distributions_write_them() {
        for (release, major, minor) in [
            ("6.18.44-fc", 6, 18),
            ("5.10.0-28-amd64", 5, 10),
            ("4.18.0-553.el8.x86_64", 4, 18),
            ("6.7-rc1", 6, 7),
            ("6.6.87.2-microsoft-standard-WSL2", 6, 6),
        ] {
            assert_eq!(version(release), Some(KernelVersion { major, minor }));
        }
        for release in ["", "6", "linux", "-6.7", "6.", "99999999999.1"] {
            assert_eq!(version(release), None, "{release}");
        }
    }

    #[tokio::test]
    async fn this_kernel_is_told() {
        let (sink, mut receiver) = Sink::new(Clock::start(Duration::from_secs(5)));
        observe(sink).await;
        let told = next(&mut receiver).await;
        assert!(matches!(told, Observation::Kernel(version) if version.major >= 4));
    }
}
