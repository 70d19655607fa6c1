//! The answer to LOGIN7: refused by phase, by script or by password, or welcomed.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;

use super::engine::{Client, Engine};
use super::messages::SqlError;
use super::script::{LoginAnswer, Phase};
use super::server::Door;
use super::tds::connection::Connection;
use super::tds::login7::{Login7, TDS_7_2, TDS_7_4};
use super::tds::packet::{DEFAULT_PACKET_BYTES, MAX_PACKET_BYTES, MIN_PACKET_BYTES, Message};
use super::tds::token::{self, CurrentCommand, DONE_ERROR, Done, DoneKind, Notice, TextChange};

const ADMINISTRATOR: &str = "sa";
/// The state that the errorlog has and the client does not get: the password did not match.
const STATE_WRONG_PASSWORD: u8 = 8;
const STATE_UNKNOWN_USER: u8 = 5;
const STATE_NOT_SET_UP: u8 = 7;

/// Answers the login; returns the client when it may stay.
pub async fn answer(
    engine: &Arc<Engine>,
    connection: &mut Connection,
    message: &Message,
    door: Door,
) -> io::Result<Option<Client>> {
    let login = Login7::decode(&message.payload)?;
    if login.tds_version < TDS_7_2 {
        // Rows and DONE tokens look different before 7.2.
        return Ok(None);
    }
    let mut bytes = BytesMut::new();
    let outcome = judge(engine, &login, door);
    match &outcome {
        Ok(client) => {
            welcome(engine, connection, &login, client).await?;
            engine.statistics().logins += 1;
        }
        Err(errors) => {
            for error in errors {
                put_notice(engine, error, &mut bytes);
            }
            token::put_done(done(DONE_ERROR), &mut bytes);
            connection.send(bytes.freeze(), true).await?;
            if let Some(first) = errors.first() {
                *engine
                    .statistics()
                    .refused
                    .entry(first.number.to_string())
                    .or_default() += 1;
            }
        }
    }
    Ok(outcome.ok())
}

fn judge(engine: &Engine, login: &Login7, door: Door) -> Result<Client, Vec<SqlError>> {
    if door == Door::Administrator {
        return judge_administrator(engine, login);
    }
    let script = engine.script();
    let refuse = |number: i32| Err(vec![SqlError::new(number)]);
    match engine.phase() {
        Phase::Stopping => return Err(refuse_while_stopping(engine, login)),
        Phase::SettingUp => return Err(not_set_up(engine, login)),
        Phase::NotReady => return refuse(17_187),
        Phase::Upgrading { administrators } if !(administrators && login.user == ADMINISTRATOR) => {
            return Err(vec![SqlError::with_message(
                18_401,
                format!(
                    "Login failed for user '{}'. Reason: Server is in script upgrade mode. Only administrator can \
                     connect at this time.",
                    login.user
                ),
            )]);
        }
        _ => {}
    }
    if script.paused {
        return refuse(17_142);
    }
    if let LoginAnswer::Errors(errors) = script.login {
        return Err(errors);
    }
    check_password(engine, login)?;
    let wanted = if login.database.is_empty() {
        "master"
    } else {
        &login.database
    };
    let database = engine
        .database(wanted)
        .filter(|database| database.state.refusal().is_none())
        .ok_or_else(|| {
            vec![
                SqlError::with_message(
                    4060,
                    format!(
                        "Cannot open database \"{wanted}\" requested by the login. The login failed."
                    ),
                ),
                login_failed(&login.user),
            ]
        })?;
    Ok(Client {
        spid: engine.next_spid(),
        user: login.user.clone(),
        host: login.host.clone(),
        application: login.application.clone(),
        database: database.name,
        administrator: false,
    })
}

/// Judges a login by the administrator connection: a sysadmin gets in whatever the phase, while the engine
/// is not about to end.
fn judge_administrator(engine: &Engine, login: &Login7) -> Result<Client, Vec<SqlError>> {
    if engine.phase() == Phase::Stopping {
        return Err(refuse_while_stopping(engine, login));
    }
    check_password(engine, login)?;
    if login.user != ADMINISTRATOR {
        return Err(vec![login_failed(&login.user)]);
    }
    Ok(Client {
        spid: engine.next_spid(),
        user: login.user.clone(),
        host: login.host.clone(),
        application: login.application.clone(),
        database: "master".to_owned(),
        administrator: true,
    })
}

/// Returns both errors in one answer, as tests/corpus/recorded/wire/01 has it.
fn refuse_while_stopping(engine: &Engine, login: &Login7) -> Vec<SqlError> {
    let text = format!(
        "Login failed for user '{}'. Only administrators may connect at this time.",
        login.user
    );
    let refused = SqlError::with_message(18_451, text.clone());
    engine.log_error(
        "Logon",
        &refused,
        1,
        &format!("{text} [CLIENT: {}]", login.host),
    );
    vec![SqlError::new(6005), refused]
}

/// Refuses a login whose password can't be evaluated yet, as in tests/corpus/recorded/errorlog/12.
fn not_set_up(engine: &Engine, login: &Login7) -> Vec<SqlError> {
    let error = login_failed(&login.user);
    let text = format!(
        "Login failed for user '{}'. Reason: An error occurred while evaluating the password. [CLIENT: {}]",
        login.user, login.host
    );
    engine.log_error("Logon", &error, STATE_NOT_SET_UP, &text);
    vec![error]
}

fn login_failed(user: &str) -> SqlError {
    SqlError::with_message(18_456, format!("Login failed for user '{user}'."))
}

fn check_password(engine: &Engine, login: &Login7) -> Result<(), Vec<SqlError>> {
    let script = engine.script.borrow();
    let known = script.logins.get(&login.user).cloned().or_else(|| {
        let own = engine.options.sa_password.as_ref()?;
        (login.user == ADMINISTRATOR).then(|| own.0.clone())
    });
    drop(script);
    if known.as_ref() == Some(&login.password) {
        return Ok(());
    }
    let (state, reason) = if known.is_some() {
        (
            STATE_WRONG_PASSWORD,
            "Password did not match that for the login provided.",
        )
    } else {
        (
            STATE_UNKNOWN_USER,
            "Could not find a login matching the name provided.",
        )
    };
    let error = login_failed(&login.user);
    engine.log_error(
        "Logon",
        &error,
        state,
        &format!(
            "Login failed for user '{}'. Reason: {reason} [CLIENT: {}]",
            login.user, login.host
        ),
    );
    Err(vec![error])
}

fn put_notice(engine: &Engine, error: &SqlError, out: &mut BytesMut) {
    token::put_notice(
        Notice {
            number: error.number,
            state: error.state,
            class: error.class(),
            message: &error.message(),
            server: &engine.script.borrow().product.server_name,
            procedure: "",
            line: 1,
        },
        out,
    );
}

fn done(flags: u16) -> Done {
    Done {
        kind: DoneKind::Done,
        flags,
        command: CurrentCommand::Other,
        rows: 0,
    }
}

async fn welcome(
    engine: &Engine,
    connection: &mut Connection,
    login: &Login7,
    client: &Client,
) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    token::put_text_change(TextChange::Database, &client.database, "master", &mut bytes);
    let changed = format!("Changed database context to '{}'.", client.database);
    put_notice(engine, &SqlError::with_message(5701, changed), &mut bytes);
    token::put_collation_change(&mut bytes);
    token::put_text_change(TextChange::Language, "us_english", "", &mut bytes);
    put_notice(engine, &SqlError::new(5703), &mut bytes);
    let version = engine.script.borrow().product.wire_version();
    token::put_login_ack(login.tds_version.min(TDS_7_4), version, &mut bytes);
    // Zero asks for the server's default.
    let packet_bytes = match login.packet_bytes {
        0 => DEFAULT_PACKET_BYTES,
        wanted => wanted.clamp(MIN_PACKET_BYTES, MAX_PACKET_BYTES),
    };
    token::put_text_change(
        TextChange::PacketSize,
        &packet_bytes.to_string(),
        &DEFAULT_PACKET_BYTES.to_string(),
        &mut bytes,
    );
    token::put_done(done(0), &mut bytes);
    // The new size holds from the next message on.
    connection.send(bytes.freeze(), true).await?;
    connection.set_packet_bytes(packet_bytes);
    Ok(())
}
