//! The listener: open while the phase and the script want it, and at most so many connections.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::engine::Engine;
use super::messages::SqlError;
use super::script::{Accept, Phase};
use super::session;

const BACKLOG: u32 = 128;

/// The port that a connection came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Clients,
    Administrator,
}

impl Door {
    fn open(self, engine: &Engine) -> bool {
        match self {
            Self::Clients => engine.listens(),
            Self::Administrator => engine.dac_listens(),
        }
    }
}

/// The ports from which one is chosen where none is given. The kernel gives them to nobody: the next start of
/// this engine finds its port free.
const PORTS: std::ops::Range<u16> = 12_000..22_000;

/// The number of ports that are tried.
const TRIES: u32 = 100;

/// A bound socket that does not listen: it refuses connections, and keeps the port from everybody else.
/// Port 0 is any free one.
pub fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.port() == 0 {
        return any_port(address);
    }
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Reserves a port that nobody has bound, listening or not.
fn any_port(address: SocketAddr) -> io::Result<TcpSocket> {
    let mut refused = io::ErrorKind::AddrInUse.into();
    for attempt in 0..TRIES {
        // Another number in each process and at each call.
        let random = RandomState::new().hash_one(attempt);
        let port = PORTS.start + (random % PORTS.len() as u64) as u16;
        let socket = TcpSocket::new_v4()?;
        match socket.bind(SocketAddr::new(address.ip(), port)) {
            Ok(()) => {
                // From now on: connections that are ending must not keep the port from the next start.
                socket.set_reuseaddr(true)?;
                return Ok(socket);
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Opens and closes the listener as the engine's state changes, for ever.
pub async fn serve(engine: Arc<Engine>, reserved: TcpSocket, door: Door) -> io::Result<()> {
    let address = reserved.local_addr()?;
    let mut script = engine.script.subscribe();
    let mut current = engine.current.subscribe();
    let mut reserved = Some(reserved);
    let mut listener: Option<TcpListener> = None;
    loop {
        if !door.open(&engine) {
            if listener.take().is_some() {
                reserved = Some(reserve(address)?);
            }
        } else if let Some(socket) = reserved.take() {
            listener = Some(socket.listen(BACKLOG)?);
        }
        if door == Door::Clients {
            engine.open.send_replace(listener.is_some());
        }
        tokio::select! {
            accepted = accept(listener.as_ref()) => match door {
                Door::Clients => admit(&engine, accepted?),
                Door::Administrator => admit_administrator(&engine, accepted?),
            },
            _ = script.changed() => {}
            _ = current.changed() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

fn admit(engine: &Arc<Engine>, stream: TcpStream) {
    engine.statistics().accepted += 1;
    let accept = engine.script.borrow().accept;
    if accept == Accept::Reset {
        // Fails only when the client has gone; then there is nothing to reset.
        let _ = stream.set_zero_linger();
        return;
    }
    if accept == Accept::Close || engine.phase() == Phase::ClosingAtAccept {
        return;
    }
    if engine.connections.load(Ordering::Relaxed) >= engine.options.max_connections {
        return;
    }
    // Small answers must not wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    spawn(engine, stream, Door::Clients);
}

/// Admits the administrator connection, of which there is one: a second one is closed at once (17810 in the
/// errorlog).
fn admit_administrator(engine: &Arc<Engine>, stream: TcpStream) {
    engine.statistics().administrators += 1;
    if engine.administrators.load(Ordering::Relaxed) > 0 {
        let error = SqlError::with_message(
            17_810,
            "Could not connect because the maximum number of '1' dedicated administrator connections already exists."
                .to_owned(),
        );
        engine.log_error("Logon", &error, 2, &error.message());
        return;
    }
    spawn(engine, stream, Door::Administrator);
}

fn spawn(engine: &Arc<Engine>, stream: TcpStream, door: Door) {
    let open = Open::new(engine, door);
    let engine = engine.clone();
    tokio::spawn(async move {
        let _open = open;
        session::run(engine, stream, door).await;
    });
}

/// Counts a connection while it lives.
struct Open(Arc<Engine>, Door);

impl Open {
    fn new(engine: &Arc<Engine>, door: Door) -> Self {
        let open = Self(engine.clone(), door);
        open.count().fetch_add(1, Ordering::Relaxed);
        open
    }

    fn count(&self) -> &AtomicUsize {
        match self.1 {
            Door::Clients => &self.0.connections,
            Door::Administrator => &self.0.administrators,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count().fetch_sub(1, Ordering::Relaxed);
    }
}
