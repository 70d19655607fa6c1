//! The catalogue: which views there are, who may read them, and their rows before selection.

mod counters;
mod files;
mod instance;
mod scoped;
mod sessions;

use serde_json::Value as Json;

use super::super::messages::SqlError;
use super::super::script::{Database, Product, Views};
use super::super::store::Io;
use super::super::tds::datetime::DateTime;
use super::super::tds::types::SqlType;
use super::super::tds::value::{Column, ResultSet, Value};

/// Azure SQL Edge among the values of `SERVERPROPERTY('EngineEdition')`.
const EDGE: i32 = 9;
/// A page of a data file.
const PAGE_BYTES: i64 = 8192;

/// A row's cells, from anything that is a value.
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($crate::standin::tds::value::Value::from($cell)),*] };
}
pub(crate) use row;

/// The state that the tables and functions show: a snapshot taken at the start of a statement.
#[derive(Clone, Debug)]
pub struct World {
    pub version_text: String,
    pub product: Product,
    pub spid: u16,
    pub user: String,
    /// All logins, `sa` first.
    pub logins: Vec<String>,
    pub database: String,
    pub databases: Vec<Database>,
    pub started: DateTime,
    pub uptime_ms: i64,
    pub view_server_state: bool,
    pub single_user: bool,
    /// Recovering databases with percent and the time left, in milliseconds.
    pub recoveries: Vec<Recovery>,
    pub sessions: Vec<Session>,
    pub activity: Activity,
    /// The rows and errors that the script has instead.
    pub views: Views,
}

/// A client that is logged in.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub spid: u16,
    pub login: String,
    pub host: String,
    pub application: String,
    pub database: String,
    pub since: DateTime,
}

/// The work that the stand-in has really done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    pub batches: u64,
    pub logins: u64,
    pub journal: Io,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    pub database_id: i64,
    pub percent: f64,
    pub left_ms: i64,
}

/// The permission that is needed to read a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// VIEW SERVER STATE; error 300, then 297, without it.
    ViewServerState,
}

/// The database that a name with a database in it means.
struct Place<'a> {
    id: i64,
    database: &'a Database,
}

struct View {
    /// The name with its schema; with its database where it is in that one only.
    name: &'static str,
    needs: Needs,
    edge_only: bool,
    /// The columns' names and types.
    columns: &'static [(&'static str, &'static str)],
    rows: fn(&World, &Place<'_>) -> Vec<Vec<Value>>,
}

fn all_views() -> impl Iterator<Item = &'static View> {
    instance::VIEWS
        .iter()
        .chain(sessions::VIEWS)
        .chain(files::VIEWS)
        .chain(scoped::VIEWS)
        .chain([&counters::VIEW])
}

impl World {
    pub fn database_id(&self, name: &str) -> Option<i64> {
        let position = self
            .databases
            .iter()
            .position(|database| database.name.eq_ignore_ascii_case(name))?;
        i64::try_from(position + 1).ok()
    }

    pub fn database_name(&self, id: i64) -> Option<&str> {
        let position = usize::try_from(id - 1).ok()?;
        Some(&self.databases.get(position)?.name)
    }

    pub fn database_named(&self, name: &str) -> Option<&Database> {
        self.databases
            .iter()
            .find(|database| database.name.eq_ignore_ascii_case(name))
    }

    /// Returns some number for a view that exists, none for one that does not.
    pub fn object_id(&self, name: &str) -> Option<i64> {
        let name = name.to_ascii_lowercase().replace(['[', ']'], "");
        self.find(&name)
            .ok()
            .map(|(_, view)| view.name.bytes().map(i64::from).sum())
    }

    fn is_edge(&self) -> bool {
        self.product.engine_edition == EDGE
    }

    /// Reads a view by its name, one to three parts.
    pub fn view(&self, name: &str) -> Result<ResultSet, SqlError> {
        let (place, view) = self.find(name)?;
        let scripted = self
            .views
            .get(name)
            .or_else(|| self.views.get(view.name))
            .cloned()
            .unwrap_or_default();
        if let Some(error) = scripted.error {
            return Err(error);
        }
        if view.needs == Needs::ViewServerState && !self.view_server_state {
            return Err(SqlError::new(300));
        }
        let mut columns = Vec::new();
        let mut kept = Vec::new();
        for (index, (name, sql_type)) in view.columns.iter().enumerate() {
            // `edge:` columns exist there only.
            let (edge, name) = match name.strip_prefix("edge:") {
                Some(name) => (true, name),
                None => (false, *name),
            };
            if !edge || self.is_edge() {
                let sql_type: SqlType = sql_type.parse().expect("the tables name known types");
                columns.push(Column::new(name, sql_type));
                kept.push(index);
            }
        }
        let rows = (view.rows)(self, &place).into_iter().map(|row| {
            debug_assert_eq!(row.len(), view.columns.len(), "{}", view.name);
            match kept.len() == row.len() {
                true => row,
                false => kept.iter().map(|index| row[*index].clone()).collect(),
            }
        });
        let mut found = ResultSet {
            rows: rows.collect(),
            columns,
        };
        if let Some(rows) = &scripted.rows {
            found.rows = rows
                .iter()
                .map(|row| {
                    let mut cells = vec![Value::Null; found.columns.len()];
                    change(&found.columns, &mut cells, row)?;
                    Ok(cells)
                })
                .collect::<Result<_, SqlError>>()?;
        }
        for patch in &scripted.patches {
            for row in &mut found.rows {
                if agrees(&found.columns, row, &patch.of) {
                    change(&found.columns, row, &patch.set)?;
                }
            }
        }
        Ok(found)
    }

    /// Returns the view, and the database it is looked at in.
    fn find(&self, name: &str) -> Result<(Place<'_>, &'static View), SqlError> {
        let missing = || SqlError::invalid_object(name);
        let mut parts: Vec<&str> = name.split('.').collect();
        if parts.len() == 1 {
            // `sysprocesses` and its like are found without their schema.
            parts.insert(0, "sys");
        }
        let (database, is_named) = match parts.len() {
            2 => (self.database.as_str(), false),
            3 => (parts.remove(0), true),
            _ => return Err(missing()),
        };
        let id = self.database_id(database).ok_or_else(missing)?;
        let found = self.database_named(database).ok_or_else(missing)?;
        // Who is in a database already may stay.
        if is_named && let Some(number) = found.state.refusal() {
            return Err(SqlError::new(number));
        }
        if is_named && !found.accessible {
            return Err(SqlError::new(916));
        }
        let schema = match parts[0] {
            "" => "dbo",
            schema => schema,
        };
        let local = format!("{schema}.{}", parts[1]);
        let full = format!("{}.{local}", database.to_ascii_lowercase());
        let view = all_views()
            .find(|view| view.name == local || view.name == full)
            .filter(|view| !view.edge_only || self.is_edge())
            .ok_or_else(missing)?;
        let place = Place {
            id,
            database: found,
        };
        Ok((place, view))
    }
}

type Cells = std::collections::BTreeMap<String, Json>;

fn agrees(columns: &[Column], row: &[Value], wanted: &Cells) -> bool {
    wanted.iter().all(|(name, json)| {
        columns.iter().zip(row).any(|(column, value)| {
            column.name == *name
                && Value::from_json(json, &column.sql_type).is_ok_and(|wanted| {
                    super::scope::compare(&wanted, value) == Some(std::cmp::Ordering::Equal)
                })
        })
    })
}

fn change(columns: &[Column], row: &mut [Value], cells: &Cells) -> Result<(), SqlError> {
    for (name, json) in cells {
        let index = columns
            .iter()
            .position(|column| column.name == *name)
            .ok_or_else(|| SqlError::with_message(207, format!("Invalid column name '{name}'.")))?;
        row[index] = Value::from_json(json, &columns[index].sql_type)
            .map_err(|mismatch| SqlError::with_message(8114, mismatch.to_string()))?;
    }
    Ok(())
}

pub fn journal(rows: Vec<(i64, i64)>) -> ResultSet {
    ResultSet {
        columns: vec![
            Column::new("id", SqlType::BigInt),
            Column::new("epoch", SqlType::BigInt),
        ],
        rows: rows
            .into_iter()
            .map(|(id, epoch)| row![id, epoch])
            .collect(),
    }
}
