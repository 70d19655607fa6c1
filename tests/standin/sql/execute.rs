//! Requests carried out: faults first, then scripted answers, then the statements one after the other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::super::engine::{Client, Engine};
use super::super::logins;
use super::super::messages::{FATAL_CLASS, SqlError};
use super::super::script::{Answer, Effect};
use super::super::store::Journal;
use super::super::tds::datetime::DateTime;
use super::super::tds::parameter::Parameter;
use super::super::tds::token::{self, CurrentCommand, TextChange};
use super::super::tds::value::{Column, ResultSet, Value};
use super::catalog;
use super::diagnostics;
use super::evaluate::{Context, Tables, Variables, set};
use super::parameters::{bind, literal};
use super::response::Response;
use super::select::Select;
use super::statement::{Statement, parse_batch};
use super::{Kind, lexer};

/// The fate of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Continue,
    /// The response is sent, then the connection closes, as after an error of severity 20.
    Close,
    /// Closed without a response.
    Abandon,
    /// Closed by RST, without a response.
    Reset,
}

/// The reason why a statement ended its batch early.
pub enum Stop {
    Error(SqlError),
    After(After),
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Self {
        Self::Error(error)
    }
}

/// The application's statements of one request, run for one client.
pub struct Executor<'a> {
    pub engine: &'a Arc<Engine>,
    pub client: &'a mut Client,
    pub response: &'a mut Response,
    /// The variables of the batch that runs.
    pub variables: Variables,
}

impl Executor<'_> {
    pub async fn batch(&mut self, text: &str) -> After {
        match self.run(text).await {
            Ok(()) => After::Continue,
            Err(Stop::After(after)) => after,
            Err(Stop::Error(error)) => {
                self.response.error(&error);
                if error.class() > FATAL_CLASS {
                    After::Close
                } else {
                    After::Continue
                }
            }
        }
    }

    /// `sp_executesql @statement, @definitions, @values...`
    pub async fn execute_sql(&mut self, parameters: &[Parameter]) -> After {
        self.response.begin_procedure();
        let after = match parameters {
            [
                Parameter {
                    value: Value::Text(text),
                    ..
                },
                rest @ ..,
            ] => {
                let bound = bind(text, rest.get(1..).unwrap_or_default());
                self.batch(&bound).await
            }
            _ => {
                self.response.error(&lexer::syntax_error("sp_executesql"));
                After::Continue
            }
        };
        self.response.end_procedure(0);
        after
    }

    /// Calls a procedure by name.
    pub async fn procedure(&mut self, name: &str, parameters: &[Parameter]) -> After {
        let arguments: Vec<String> = parameters
            .iter()
            .map(|parameter| literal(&parameter.value))
            .collect();
        self.batch(&format!("EXEC {name} {}", arguments.join(", ")))
            .await
    }

    async fn run(&mut self, text: &str) -> Result<(), Stop> {
        if let Some(answer) = self.engine.answer_for(text) {
            self.before(Kind::Scripted, text).await?;
            return self.scripted(&answer).await;
        }
        let statements = match parse_batch(text) {
            Ok(statements) => statements,
            Err(error) => {
                self.before(Kind::Unknown, text).await?;
                return Err(error.into());
            }
        };
        self.statements(&statements, text, 0).await
    }

    /// Counts the statement and lets the scripted fault happen, if one matches.
    pub async fn before(&mut self, kind: Kind, text: &str) -> Result<(), Stop> {
        self.engine.count(&self.client.application, kind);
        if self.client.administrator {
            return Ok(());
        }
        let Some(effect) = self.engine.fault_for(kind, text, &self.client.application) else {
            return Ok(());
        };
        match effect {
            Effect::Delay { ms } => tokio::time::sleep(Duration::from_millis(ms)).await,
            Effect::Hang => {
                self.engine
                    .until_healed(kind, text, &self.client.application)
                    .await;
            }
            Effect::Error(error) => return Err(error.into()),
            Effect::Close => return Err(Stop::After(After::Abandon)),
            Effect::Reset => return Err(Stop::After(After::Reset)),
        }
        Ok(())
    }

    pub async fn statement(&mut self, statement: &Statement) -> Result<(), Stop> {
        match statement {
            Statement::Select(select) => self.select(select).await,
            Statement::Diagnostics { repeat_seconds } => self.diagnostics(*repeat_seconds).await,
            Statement::Execute { procedure } => Err(missing_procedure(procedure).into()),
            Statement::Checkpoint => {
                self.on_disk(Journal::checkpoint).await?;
                self.response.empty();
                Ok(())
            }
            Statement::Use { database } => self.use_database(database),
            Statement::CreateLogin { name, password } => self.create_login(name, password),
            Statement::DropLogin { name } => self.drop_login(name),
            Statement::Set => {
                self.response.empty();
                Ok(())
            }
            Statement::Declare(variables) => {
                for (name, sql_type, value) in variables {
                    let value = match value {
                        Some(value) => self.constant(value)?.cast(sql_type),
                        None => Value::Null,
                    };
                    self.variables.insert(name.clone(), (*sql_type, value));
                }
                Ok(())
            }
            Statement::Assign(name, value) => {
                let value = self.constant(value)?;
                set(&mut self.variables, name, &value)?;
                Ok(())
            }
            Statement::Dynamic(_) | Statement::If { .. } | Statement::Try { .. } => {
                Err(lexer::syntax_error("block").into())
            }
            Statement::JournalCreate { if_absent } => {
                let if_absent = *if_absent;
                let created = self.on_disk(Journal::create).await?;
                if !created && !if_absent {
                    return Err(SqlError::new(2714).into());
                }
                self.response.empty();
                Ok(())
            }
            Statement::JournalInsert { rows } => {
                let count = rows.len() as u64;
                let own = self.engine.options.epoch;
                let whole = |(id, epoch): &(i64, Option<i64>)| (*id, epoch.unwrap_or(own));
                let rows: Vec<_> = rows.iter().map(whole).collect();
                self.on_disk(move |journal| journal.append(&rows)).await?;
                self.response.rows_affected(CurrentCommand::Insert, count);
                Ok(())
            }
            Statement::WaitFor(delay) => {
                tokio::time::sleep(*delay).await;
                self.response.empty();
                Ok(())
            }
        }
    }

    /// Runs disk work on a thread of its own: a stalled volume must hang only this request.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Journal) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Stop> {
        let journal = self.engine.journal.clone();
        let done = tokio::task::spawn_blocking(move || work(&journal)).await;
        match done {
            Ok(result) => result.map_err(|error| disk_error(&error).into()),
            Err(failure) => Err(SqlError::with_message(17_310, failure.to_string()).into()),
        }
    }

    async fn select(&mut self, select: &Select) -> Result<(), Stop> {
        let world = self.engine.world(self.client);
        let mut tables = Tables::new();
        for name in select.tables() {
            let table = if name.rsplit('.').next() == Some("journal") {
                let rows = self.on_disk(Journal::rows).await?;
                catalog::journal(rows.ok_or_else(|| SqlError::invalid_object("dbo.journal"))?)
            } else {
                match world.view(name) {
                    // The permission's name first, then the refusal.
                    Err(error) if error.number == 300 => {
                        self.response.notice(&error);
                        return Err(SqlError::new(297).into());
                    }
                    found => found?,
                }
            };
            tables.insert(name.to_owned(), table);
        }
        let context = Context {
            tables: &tables,
            world: &world,
            variables: &self.variables,
        };
        if select.items.iter().any(|item| item.variable.is_some()) {
            self.variables = context.assign(select)?;
            return Ok(());
        }
        let result = context.select(select)?;
        self.send(&result).await
    }

    async fn send(&mut self, result: &ResultSet) -> Result<(), Stop> {
        self.response
            .result_set(result)
            .await
            .map_err(|mismatch| SqlError::with_message(8114, mismatch.to_string()).into())
    }

    fn create_login(&mut self, name: &str, password: &str) -> Result<(), Stop> {
        if self.client.user != "sa" {
            return Err(SqlError::new(15_247).into());
        }
        if self
            .engine
            .world(self.client)
            .logins
            .iter()
            .any(|known| known == name)
        {
            let message = format!("The server principal '{name}' already exists.");
            return Err(SqlError::with_message(15_025, message).into());
        }
        let entry = (name.to_owned(), password.to_owned());
        self.engine.script.send_modify(|script| {
            script.logins.extend([entry]);
        });
        self.keep_logins()?;
        self.response.empty();
        Ok(())
    }

    fn keep_logins(&self) -> Result<(), Stop> {
        let data = self.engine.options.data_dir.join("data");
        let logins = self.engine.script.borrow().logins.clone();
        logins::write(&data, &logins)
            .map_err(|error| SqlError::with_message(823, error.to_string()).into())
    }

    fn drop_login(&mut self, name: &str) -> Result<(), Stop> {
        let mut dropped = None;
        self.engine.script.send_modify(|script| {
            dropped = script.logins.remove(name);
        });
        if dropped.is_none() {
            let message = format!(
                "Cannot drop the login '{name}', because it does not exist or you do not have permission."
            );
            return Err(SqlError::with_message(15_151, message).into());
        }
        self.keep_logins()?;
        self.response.empty();
        Ok(())
    }

    fn use_database(&mut self, name: &str) -> Result<(), Stop> {
        let database = self.engine.database(name).ok_or_else(|| {
            SqlError::with_message(
                911,
                format!("Database '{name}' does not exist. Make sure that the name is entered correctly."),
            )
        })?;
        if let Some(number) = database.state.refusal() {
            return Err(SqlError::new(number).into());
        }
        let old = std::mem::replace(&mut self.client.database, database.name.clone());
        token::put_text_change(
            TextChange::Database,
            &database.name,
            &old,
            self.response.raw(),
        );
        self.response.notice(&SqlError::with_message(
            5701,
            format!("Changed database context to '{}'.", database.name),
        ));
        self.response.empty();
        Ok(())
    }

    async fn diagnostics(&mut self, repeat_seconds: i64) -> Result<(), Stop> {
        let script = self.engine.script();
        if script.diagnostics.missing {
            return Err(missing_procedure("sp_server_diagnostics").into());
        }
        if !script.view_server_state {
            self.response.notice(&SqlError::new(300));
            return Err(SqlError::new(297).into());
        }
        if repeat_seconds != 0 && repeat_seconds < diagnostics::MIN_REPEAT_SECONDS {
            return Err(SqlError::with_message(
                17_072,
                "The repeat interval of sp_server_diagnostics must be 0, or 5 seconds or more.",
            )
            .into());
        }
        self.response.begin_procedure();
        self.engine
            .diagnostics_pause(diagnostics::COLLECT_SECONDS)
            .await;
        loop {
            self.engine.until_diagnostics_speak().await;
            let report = diagnostics::report(&self.engine.script().diagnostics, DateTime::now());
            self.send(&report).await?;
            if repeat_seconds == 0 {
                break;
            }
            self.response.flush().await;
            self.engine.diagnostics_pause(repeat_seconds).await;
        }
        self.response.end_procedure(0);
        Ok(())
    }

    async fn scripted(&mut self, answer: &Answer) -> Result<(), Stop> {
        for scripted in &answer.results {
            let columns: Vec<Column> = scripted
                .columns
                .iter()
                .map(|column| Column {
                    name: column.name.clone(),
                    sql_type: column.sql_type,
                    nullable: column.nullable,
                })
                .collect();
            let rows = scripted.rows.iter().map(|row| {
                columns
                    .iter()
                    .zip(row)
                    .map(|(column, json)| Value::from_json(json, &column.sql_type))
                    .collect::<Result<Vec<_>, _>>()
            });
            let rows = rows
                .collect::<Result<Vec<_>, _>>()
                .map_err(|mismatch| SqlError::with_message(8114, mismatch.to_string()))?;
            self.send(&ResultSet { columns, rows }).await?;
        }
        match answer.errors.split_last() {
            None => Ok(()),
            Some((last, earlier)) => {
                for error in earlier {
                    self.response.notice(error);
                }
                Err(last.clone().into())
            }
        }
    }
}

fn missing_procedure(name: &str) -> SqlError {
    SqlError::with_message(2812, format!("Could not find stored procedure '{name}'."))
}

/// Returns the engine's error for files that fail it.
fn disk_error(error: &io::Error) -> SqlError {
    match error.kind() {
        io::ErrorKind::NotFound => SqlError::invalid_object("dbo.journal"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SqlError::new(1105),
        io::ErrorKind::ReadOnlyFilesystem => SqlError::new(3906),
        _ => SqlError::with_message(
            823,
            format!("The operating system returned error {error} to SQL Server during a write."),
        ),
    }
}
