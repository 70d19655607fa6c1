//! One client's connection: prelogin, TLS, login, then requests until it ends.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::engine::{Client, Engine};
use super::login;
use super::messages::SqlError;
use super::script::{Accept, Dac, LoginAnswer};
use super::server::Door;
use super::sql::evaluate::Variables;
use super::sql::execute::{After, Executor};
use super::sql::response::Response;
use super::tds::connection::Connection;
use super::tds::packet::{Message, PacketType};
use super::tds::prelogin::{self, Agreement};
use super::tds::request::{Procedure, Request, Transaction};
use super::tds::token::{self, CurrentCommand, DONE_ATTENTION, Done, DoneKind, TransactionChange};

/// Chunks of a response between the statement that makes them and the socket.
const CHUNKS_IN_FLIGHT: usize = 4;
/// A PRELOGIN packet around eight bytes that no TLS library takes for a record.
const TLS_GARBAGE: &[u8] = b"\x12\x01\x00\x10\x00\x00\x01\x00garbage!";

pub async fn run(engine: Arc<Engine>, stream: TcpStream, door: Door) {
    let mut hangup = engine.hangup.subscribe();
    let mut connection = Connection::new(stream);
    let reset = tokio::select! {
        // Nobody is left to whom a broken connection could be reported; the client sees the close.
        result = serve(&engine, &mut connection, door) => result.unwrap_or(false),
        _ = hangup.changed() => engine.hangup.borrow().reset,
    };
    if reset {
        connection.reset_on_close();
    } else {
        connection.close().await;
    }
}

/// Serves the connection to its end; `true` when it ends by RST.
async fn serve(engine: &Arc<Engine>, connection: &mut Connection, door: Door) -> io::Result<bool> {
    let Some(agreement) = greet(engine, connection, door).await? else {
        return Ok(false);
    };
    let Some(message) = connection.next_message().await? else {
        return Ok(false);
    };
    if message.kind != PacketType::Login7 {
        return Ok(false);
    }
    // The login alone was encrypted: its answer is in clear text already.
    if agreement == Agreement::LoginOnly {
        connection.end_tls();
    }
    let answers =
        engine.until(|script| door == Door::Administrator || script.login != LoginAnswer::Hang);
    if !held(connection, answers).await? {
        return Ok(false);
    }
    match login::answer(engine, connection, &message, door).await? {
        Some(client) => requests(engine, connection, client).await,
        None => Ok(false),
    }
}

/// Waits with a client that waits; `false` when the client does not: without this a hang would gather
/// connections whose clients have long gone.
async fn held(connection: &mut Connection, wait: impl Future<Output = ()>) -> io::Result<bool> {
    tokio::select! {
        () = wait => Ok(true),
        message = connection.next_message() => message.map(|_| false),
    }
}

/// Does prelogin and TLS; returns `None` when the connection ends here.
async fn greet(
    engine: &Arc<Engine>,
    connection: &mut Connection,
    door: Door,
) -> io::Result<Option<Agreement>> {
    if engine.options.strict && door == Door::Clients {
        connection.start_strict(&engine.acceptor).await?;
    }
    let Some(message) = connection.next_message().await? else {
        return Ok(None);
    };
    if message.kind != PacketType::Prelogin {
        return Ok(None);
    }
    let answers = engine.until(|script| match door {
        Door::Clients => script.accept != Accept::Hang,
        Door::Administrator => script.dac != Dac::Hang,
    });
    if !held(connection, answers).await? {
        return Ok(None);
    }
    let wanted = prelogin::decode_encryption(&message.payload)?;
    let (answer, agreement) = prelogin::negotiate(engine.options.encryption, wanted);
    let version = engine.script.borrow().product.wire_version();
    let answer = prelogin::encode_answer(version, answer).freeze();
    connection.send(answer, true).await?;
    if agreement != Agreement::Plain && !engine.options.strict {
        if door == Door::Clients && engine.script.borrow().accept == Accept::TlsGarbage {
            connection.next_message().await?;
            connection.send_raw(TLS_GARBAGE).await?;
            return Ok(None);
        }
        connection.start_tls(&engine.acceptor).await?;
    }
    Ok(Some(agreement))
}

async fn requests(
    engine: &Arc<Engine>,
    connection: &mut Connection,
    mut client: Client,
) -> io::Result<bool> {
    let _present = engine.enter(&client);
    while let Some(message) = connection.next_message().await? {
        match request(engine, connection, &mut client, &message).await? {
            After::Continue => {}
            After::Close | After::Abandon => return Ok(false),
            After::Reset => return Ok(true),
        }
    }
    Ok(false)
}

async fn request(
    engine: &Arc<Engine>,
    connection: &mut Connection,
    client: &mut Client,
    message: &Message,
) -> io::Result<After> {
    let request = Request::decode(message)?;
    if request == Request::Attention {
        acknowledge_attention(engine, connection).await?;
        return Ok(After::Continue);
    }
    let server = engine.script.borrow().product.server_name.clone();
    let (sender, mut chunks) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let mut response = Response::new(server, sender);
    if message.reset_connection {
        client.database = "master".to_owned();
        token::put_reset_change(response.raw());
    }
    let mut stopping = std::pin::pin!(engine.until_stopping());
    let mut work = std::pin::pin!(perform(engine, client, request, response));
    loop {
        // Sending stays outside the selection: a packet must not be cut off by an attention.
        tokio::select! {
            biased;
            Some(chunk) = chunks.recv() => connection.send(chunk, false).await?,
            () = &mut stopping => {
                connection.send(shutdown_notice(engine), true).await?;
                return Ok(After::Close);
            }
            (after, rest) = &mut work => {
                while let Ok(chunk) = chunks.try_recv() {
                    connection.send(chunk, false).await?;
                }
                if matches!(after, After::Continue | After::Close) {
                    connection.send(rest, true).await?;
                }
                return Ok(after);
            }
            incoming = connection.next_message() => {
                let Some(incoming) = incoming? else { return Ok(After::Abandon) };
                if incoming.kind != PacketType::Attention {
                    return Ok(After::Abandon);
                }
                acknowledge_attention(engine, connection).await?;
                return Ok(After::Continue);
            }
        }
    }
}

/// The end of a response that a shutdown cuts off.
fn shutdown_notice(engine: &Engine) -> Bytes {
    let server = engine.script.borrow().product.server_name.clone();
    let (unused, _) = mpsc::channel(1);
    let mut response = Response::new(server, unused);
    // As tests/corpus/recorded/wire/02 has it; then the connection is closed.
    for number in [6005, 18_456, 596] {
        response.error(&SqlError::new(number));
    }
    response.finish()
}

/// Acknowledges that the request before it ended early. Sent even when that had ended just before, as the
/// protocol wants.
async fn acknowledge_attention(
    engine: &Arc<Engine>,
    connection: &mut Connection,
) -> io::Result<()> {
    engine.statistics().attentions += 1;
    let mut bytes = BytesMut::new();
    let done = Done {
        kind: DoneKind::Done,
        flags: DONE_ATTENTION,
        command: CurrentCommand::Other,
        rows: 0,
    };
    token::put_done(done, &mut bytes);
    connection.send(bytes.freeze(), true).await
}

/// Runs a request; returns what becomes of the connection, and the end of the response.
async fn perform(
    engine: &Arc<Engine>,
    client: &mut Client,
    request: Request,
    mut response: Response,
) -> (After, Bytes) {
    let began = std::time::Instant::now();
    let mut executor = Executor {
        engine,
        client: &mut *client,
        response: &mut response,
        variables: Variables::new(),
    };
    let after = match &request {
        Request::Batch(text) => executor.batch(text).await,
        Request::Procedure {
            procedure,
            parameters,
        } => match procedure {
            Procedure::ExecuteSql => executor.execute_sql(parameters).await,
            Procedure::Named(name) => executor.procedure(name, parameters).await,
            Procedure::Numbered(number) => {
                executor.batch(&format!("EXEC sp_procedure_{number}")).await
            }
        },
        Request::Transaction(transaction) => {
            change_transaction(*transaction, &mut response);
            After::Continue
        }
        Request::Attention => After::Continue,
    };
    if request != Request::Attention {
        engine.count_request(&client.application, began.elapsed(), response.bytes());
    }
    engine.moved(client);
    (after, response.finish())
}

/// Answers a transaction request; the journal is durable row by row, so there is nothing to do.
fn change_transaction(transaction: Transaction, response: &mut Response) {
    const DESCRIPTOR: u64 = 1;
    let (ended, begins) = match transaction {
        Transaction::Begin => (None, true),
        Transaction::Commit { begin_next } => (Some(TransactionChange::Commit), begin_next),
        Transaction::Rollback { begin_next } => (Some(TransactionChange::Rollback), begin_next),
    };
    if let Some(kind) = ended {
        token::put_transaction_change(kind, DESCRIPTOR, response.raw());
    }
    if begins {
        token::put_transaction_change(TransactionChange::Begin, DESCRIPTOR, response.raw());
    }
    response.empty();
}
