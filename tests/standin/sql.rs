//! The little SQL that the stand-in understands: a recursive-descent parser for the statements of a
//! monitoring client and of a durability test, evaluated against a few catalogue tables. What it does not
//! understand is error 102.

pub mod catalog;
pub mod diagnostics;
pub mod evaluate;
pub mod execute;
pub mod expression;
mod flow;
pub mod functions;
pub mod grammar;
mod join;
pub mod lexer;
mod parameters;
pub mod response;
pub mod scope;
pub mod select;
pub mod statement;

use serde::{Deserialize, Serialize};

/// The kind of a statement, for statistics and for choosing faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A SELECT of constants.
    Ping,
    /// `@@VERSION`, `SERVERPROPERTY`.
    Properties,
    SystemInfo,
    Databases,
    Requests,
    /// Any other view.
    Monitoring,
    Diagnostics,
    Checkpoint,
    Use,
    /// `DECLARE`, `SET`, `SELECT @name = ...`, `IF`, and transaction statements, which have no effect.
    Set,
    /// `EXEC (@text)`, `sp_executesql`: the statements inside count as well.
    Dynamic,
    JournalCreate,
    JournalInsert,
    JournalRead,
    WaitFor,
    /// A scripted answer.
    Scripted,
    /// A call of a procedure that does not exist.
    Procedure,
    /// Not understood, or an unknown object.
    Unknown,
}
