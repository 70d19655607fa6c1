//! Where the engine is asked: gathers what is known of where it listens, and hands the address to those that
//! ask.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::info;

use crate::config::endpoint::Targets;
use crate::config::{Config, SqlConfig};
use crate::decide::observation::{ListenAddress, LoggedDac, Observation};
use crate::observe::listeners::conf::{self, NetworkConf};
use crate::observe::listeners::target::{Known, Logged, choose};
use crate::observe::process::EnginePid;
use crate::observe::{Sink, listeners};
use crate::publish::Reader;

/// The pause between two reports while nothing changes: a report that is old counts as absent.
const REPORT_INTERVAL: Duration = Duration::from_secs(2);

/// The pause between two readings of mssql.conf.
const CONF_INTERVAL: Duration = Duration::from_secs(5);

/// Follows what is seen of the engine's sockets ([`EnginePid::network`]), its errorlog and mssql.conf, keeps
/// the shared [`crate::config::endpoint::Endpoint`] up to date, and reports what was chosen.
///
/// # Cancel safety
/// Drop the future to end it. A reading of mssql.conf from a device that does not answer stays behind, on a
/// thread that nobody waits for.
pub fn follow(
    config: &Config,
    engine: &EnginePid,
    decisions: Reader,
    sink: Sink,
) -> impl Future<Output = ()> + use<> {
    let sql = config.sql.clone();
    let (engine, mut network, mut news) = (engine.clone(), engine.network(), decisions.clone());
    let mut conf = ConfReader::new(config.volume.data_dir.clone());
    let own_namespace = listeners::own_namespace(&config.process.proc_root);
    async move {
        let mut tick = interval(REPORT_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut refused = None;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                changed = news.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // What a refused port means is decided by where the engine listens at that moment.
                    let since = news.borrow_and_update().snapshot.ping.refused_since;
                    if since.is_some() && std::mem::replace(&mut refused, since) != since {
                        engine.notify_refused();
                    }
                    continue;
                }
                changed = network.changed() => if changed.is_err() {
                    return;
                },
            }
            let seen = network.borrow_and_update().clone();
            let known = Known {
                network: seen,
                own_namespace,
                conf: conf.read().await,
                logged: logged(&decisions),
            };
            let (targets, report) = choose(&sql, &known);
            tell(&sql, &targets);
            sink.send(Observation::Listeners(report)).await;
        }
    }
}

fn tell(sql: &SqlConfig, targets: &Targets) {
    let before = sql.targets().clients.to_string();
    let now = targets.clients.to_string();
    sql.endpoint.set(targets.clone());
    if before != now {
        info!(
            address = now,
            before, "the engine is asked at another address"
        );
    }
}

/// Returns what the errorlog of the present start reports.
fn logged(decisions: &Reader) -> Logged {
    let published = decisions.borrow();
    let Some((_, log)) = published.snapshot.logs().next() else {
        return Logged::default();
    };
    let address = |listener: &ListenAddress| {
        let any: IpAddr = match listener.ipv6 {
            true => Ipv6Addr::UNSPECIFIED.into(),
            false => Ipv4Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(listener.address.unwrap_or(any), listener.port)
    };
    Logged {
        listening: log.listening.iter().map(address).collect(),
        dac_port: match log.dac {
            Some(LoggedDac::Port(port)) => Some(port),
            Some(LoggedDac::Disabled) | None => None,
        },
    }
}

/// Reads mssql.conf, one reading at a time and waiting for none.
struct ConfReader {
    data_dir: PathBuf,
    reading: Option<JoinHandle<NetworkConf>>,
    last: NetworkConf,
    next: Instant,
}

impl ConfReader {
    fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            reading: None,
            last: NetworkConf::default(),
            next: Instant::now(),
        }
    }

    /// Returns the settings of the last reading that has come to its end.
    async fn read(&mut self) -> NetworkConf {
        if let Some(done) = self.reading.take_if(|reading| reading.is_finished())
            && let Ok(read) = done.await
        {
            self.last = read;
        }
        if self.reading.is_none() && Instant::now() >= self.next {
            self.next = Instant::now() + CONF_INTERVAL;
            let data_dir = self.data_dir.clone();
            self.reading = Some(tokio::task::spawn_blocking(move || conf::read(&data_dir)));
        }
        self.last.clone()
    }
}
