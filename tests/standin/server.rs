//! The listener: open while the phase and the script say so, and at most so many connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::engine::Engine;
use super::script::{Accept, Phase};
use super::session;

const BACKLOG: u32 = 128;

/// A bound socket that does not listen: it refuses connections, and keeps the port from everybody else.
pub fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Opens and closes the listener as the engine's state changes, for ever.
pub async fn serve(engine: Arc<Engine>, reserved: TcpSocket) -> io::Result<()> {
    let address = reserved.local_addr()?;
    let mut script = engine.script.subscribe();
    let mut current = engine.current.subscribe();
    let mut reserved = Some(reserved);
    let mut listener: Option<TcpListener> = None;
    loop {
        if !engine.listens() {
            if listener.take().is_some() {
                reserved = Some(reserve(address)?);
            }
        } else if let Some(socket) = reserved.take() {
            listener = Some(socket.listen(BACKLOG)?);
        }
        engine.open.send_replace(listener.is_some());
        tokio::select! {
            accepted = accept(listener.as_ref()) => admit(&engine, accepted?),
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
    let open = Open::new(engine);
    let engine = engine.clone();
    tokio::spawn(async move {
        let _open = open;
        session::run(engine, stream).await;
    });
}

/// Counts a connection while it lives.
struct Open(Arc<Engine>);

impl Open {
    fn new(engine: &Arc<Engine>) -> Self {
        engine.connections.fetch_add(1, Ordering::Relaxed);
        Self(engine.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
