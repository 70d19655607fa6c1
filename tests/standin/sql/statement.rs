//! Statements, and the parser that makes them from a batch.

use std::time::Duration;

use super::super::messages::SqlError;
use super::super::tds::types::SqlType;
use super::Kind;
use super::expression::Expression;
use super::grammar::{expression, list, sql_type};
use super::lexer::{Cursor, Token, tokenize};
use super::select::{Select, parse_select};

/// A batch with more statements is refused; the real engine's limit is far away.
const MAX_STATEMENTS: usize = 1000;
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

const STARTERS: &[&str] = &[
    "SELECT",
    "EXEC",
    "EXECUTE",
    "USE",
    "SET",
    "INSERT",
    "CREATE",
    "CHECKPOINT",
    "WAITFOR",
    "IF",
    "ELSE",
    "BEGIN",
    "END",
    "COMMIT",
    "ROLLBACK",
    "DECLARE",
    "GRANT",
    "DROP",
];

#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Select(Select),
    Diagnostics {
        repeat_seconds: i64,
    },
    Execute {
        procedure: String,
    },
    /// `EXEC (text)` and `EXEC sp_executesql text`
    Dynamic(Expression),
    Declare(Vec<(String, SqlType, Option<Expression>)>),
    /// `SET @name = expression`
    Assign(String, Expression),
    If {
        condition: Expression,
        then: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
    /// `BEGIN TRY ... END TRY BEGIN CATCH ... END CATCH`
    Try {
        body: Vec<Statement>,
        handler: Vec<Statement>,
    },
    Checkpoint,
    Use {
        database: String,
    },
    /// Accepted, without effect.
    Set,
    /// `CREATE LOGIN name WITH PASSWORD = 'text', ...`; what follows has no effect.
    CreateLogin {
        name: String,
        password: String,
    },
    DropLogin {
        name: String,
    },
    JournalCreate {
        if_absent: bool,
    },
    JournalInsert {
        /// The id, and the epoch where the client gives one.
        rows: Vec<(i64, Option<i64>)>,
    },
    WaitFor(Duration),
}

impl Statement {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Select(select) => select.kind(),
            Self::Diagnostics { .. } => Kind::Diagnostics,
            Self::Execute { .. } => Kind::Procedure,
            Self::Checkpoint => Kind::Checkpoint,
            Self::Use { .. } => Kind::Use,
            Self::Dynamic(_) => Kind::Dynamic,
            Self::Set
            | Self::Declare(_)
            | Self::Assign(..)
            | Self::If { .. }
            | Self::Try { .. }
            | Self::CreateLogin { .. }
            | Self::DropLogin { .. } => Kind::Set,
            Self::JournalCreate { .. } => Kind::JournalCreate,
            Self::JournalInsert { .. } => Kind::JournalInsert,
            Self::WaitFor(_) => Kind::WaitFor,
        }
    }
}

/// Returns all statements, or the first syntax error: as in the real engine, such a batch is not run at all.
pub fn parse_batch(text: &str) -> Result<Vec<Statement>, SqlError> {
    let tokens = tokenize(text)?;
    let mut cursor = Cursor::new(&tokens);
    let statements = statements(&mut cursor)?;
    match cursor.peek() {
        None => Ok(statements),
        Some(_) => Err(cursor.unexpected()),
    }
}

/// Statements up to the end of the batch or of the block.
fn statements(cursor: &mut Cursor<'_>) -> Result<Vec<Statement>, SqlError> {
    let mut statements = Vec::new();
    loop {
        while cursor.accept_symbol(";") {}
        if cursor.peek().is_none() || cursor.at_word("END") {
            return Ok(statements);
        }
        if statements.len() == MAX_STATEMENTS {
            return Err(cursor.unexpected());
        }
        statements.push(statement(cursor, statements.is_empty())?);
        if cursor.peek().is_some() && !cursor.at_symbol(";") && !cursor.at_any_word(STARTERS) {
            return Err(cursor.unexpected());
        }
    }
}

/// `BEGIN ... END`, or one statement.
fn block(cursor: &mut Cursor<'_>) -> Result<Vec<Statement>, SqlError> {
    cursor.enter()?;
    let block = if cursor.accept_word("BEGIN") {
        let block = statements(cursor)?;
        cursor.expect_word("END")?;
        block
    } else {
        let one = statement(cursor, false)?;
        cursor.accept_symbol(";");
        vec![one]
    };
    cursor.leave();
    Ok(block)
}

/// Parses what follows `BEGIN TRY`.
fn try_catch(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    cursor.enter()?;
    let mut parts = Vec::new();
    for word in ["TRY", "CATCH"] {
        if word == "CATCH" {
            cursor.expect_word("BEGIN")?;
            cursor.expect_word(word)?;
        }
        parts.push(statements(cursor)?);
        cursor.expect_word("END")?;
        cursor.expect_word(word)?;
        while word == "TRY" && cursor.accept_symbol(";") {}
    }
    cursor.leave();
    let handler = parts.pop().unwrap_or_default();
    Ok(Statement::Try {
        body: parts.pop().unwrap_or_default(),
        handler,
    })
}

/// `@name type [= expression], ...`
fn declare(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    let variables = list(cursor, |cursor| {
        let name = variable(cursor)?;
        cursor.accept_word("AS");
        let sql_type = sql_type(cursor)?;
        let value = match cursor.accept_symbol("=") {
            true => Some(expression(cursor)?),
            false => None,
        };
        Ok((name, sql_type, value))
    })?;
    Ok(Statement::Declare(variables))
}

fn variable(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    match cursor.peek() {
        Some(Token::Word(name)) if name.starts_with('@') && !name.starts_with("@@") => {
            cursor.take();
            Ok(name.to_ascii_lowercase())
        }
        _ => Err(cursor.unexpected()),
    }
}

/// `SET @name = expression`, or an option.
fn set(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    if matches!(cursor.peek(), Some(Token::Word(name)) if name.starts_with('@')) {
        let name = variable(cursor)?;
        cursor.expect_symbol("=")?;
        return Ok(Statement::Assign(name, expression(cursor)?));
    }
    skip_to_next(cursor);
    Ok(Statement::Set)
}

fn statement(cursor: &mut Cursor<'_>, first: bool) -> Result<Statement, SqlError> {
    if cursor.accept_word("SELECT") {
        return parse_select(cursor).map(Statement::Select);
    }
    if cursor.accept_word("EXEC") || cursor.accept_word("EXECUTE") {
        return procedure(cursor);
    }
    if cursor.accept_word("USE") {
        return Ok(Statement::Use {
            database: cursor.identifier()?,
        });
    }
    if cursor.accept_word("CHECKPOINT") {
        // CHECKPOINT [seconds]
        if matches!(cursor.peek(), Some(Token::Number(_))) {
            cursor.integer()?;
        }
        return Ok(Statement::Checkpoint);
    }
    if cursor.accept_word("DECLARE") {
        return declare(cursor);
    }
    if cursor.accept_word("SET") {
        return set(cursor);
    }
    let mark = cursor.mark();
    if cursor.accept_word("BEGIN") && cursor.accept_word("TRY") {
        return try_catch(cursor);
    }
    cursor.back_to(mark);
    if cursor.at_any_word(&["BEGIN", "COMMIT", "ROLLBACK"]) {
        cursor.take();
        skip_to_next(cursor);
        return Ok(Statement::Set);
    }
    // Each login may see everything, unless the script has it otherwise.
    if cursor.accept_word("GRANT") {
        skip_to_next(cursor);
        return Ok(Statement::Set);
    }
    if cursor.accept_word("INSERT") {
        return insert(cursor);
    }
    if cursor.accept_word("WAITFOR") {
        return wait_for(cursor);
    }
    if cursor.accept_word("IF") {
        return conditional(cursor);
    }
    if cursor.accept_word("CREATE") {
        return create(cursor, false);
    }
    if cursor.accept_word("DROP") {
        cursor.expect_word("LOGIN")?;
        let name = cursor.identifier()?;
        return Ok(Statement::DropLogin { name });
    }
    // A procedure's name alone is a call, in the first place of a batch only.
    if first
        && matches!(cursor.peek(), Some(Token::Word(word)) if word.to_ascii_lowercase().starts_with("sp_"))
    {
        return procedure(cursor);
    }
    Err(cursor.unexpected())
}

fn skip_to_next(cursor: &mut Cursor<'_>) {
    while cursor.peek().is_some() && !cursor.at_symbol(";") && !cursor.at_any_word(STARTERS) {
        cursor.take();
    }
}

fn procedure(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    if cursor.accept_symbol("(") {
        let text = expression(cursor)?;
        cursor.expect_symbol(")")?;
        return Ok(Statement::Dynamic(text));
    }
    let name = cursor.dotted_name()?;
    if name.rsplit('.').next() == Some("sp_executesql") {
        // Parameters come by RPC only.
        return Ok(Statement::Dynamic(expression(cursor)?));
    }
    if name.rsplit('.').next() != Some("sp_server_diagnostics") {
        skip_to_next(cursor);
        return Ok(Statement::Execute { procedure: name });
    }
    let mut repeat_seconds = 0;
    if cursor.accept_word("@repeat_interval") {
        cursor.expect_symbol("=")?;
    }
    match cursor.peek() {
        Some(Token::Number(_)) | Some(Token::Symbol("-")) => repeat_seconds = cursor.integer()?,
        Some(Token::Text(text)) => {
            repeat_seconds = text.trim().parse().map_err(|_| cursor.unexpected())?;
            cursor.take();
        }
        _ => {}
    }
    Ok(Statement::Diagnostics { repeat_seconds })
}

fn journal_name(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    let name = cursor.dotted_name()?;
    if name.rsplit('.').next() == Some("journal") {
        return Ok(());
    }
    Err(SqlError::with_message(
        208,
        format!("Invalid object name '{name}'."),
    ))
}

/// `IF OBJECT_ID('dbo.journal'[, 'U']) IS NULL CREATE TABLE ...`, or a library's `IF @@TRANCOUNT > 0 COMMIT`.
fn conditional(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    if cursor.accept_word("@@TRANCOUNT") {
        while cursor.peek().is_some() && !cursor.at_any_word(&["COMMIT", "ROLLBACK", "BEGIN"]) {
            cursor.take();
        }
        cursor.take();
        skip_to_next(cursor);
        return Ok(Statement::Set);
    }
    let mark = cursor.mark();
    if cursor.accept_word("OBJECT_ID") && cursor.accept_symbol("(") {
        while cursor.peek().is_some() && !cursor.accept_symbol(")") {
            cursor.take();
        }
        if ["IS", "NULL", "CREATE"]
            .iter()
            .all(|word| cursor.accept_word(word))
        {
            return create(cursor, true);
        }
    }
    cursor.back_to(mark);
    let condition = expression(cursor)?;
    let then = block(cursor)?;
    let otherwise = match cursor.accept_word("ELSE") {
        true => block(cursor)?,
        false => Vec::new(),
    };
    Ok(Statement::If {
        condition,
        then,
        otherwise,
    })
}

fn create_login(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    let name = cursor.identifier()?;
    for word in ["WITH", "PASSWORD"] {
        cursor.expect_word(word)?;
    }
    cursor.expect_symbol("=")?;
    let Some(Token::Text(password)) = cursor.peek() else {
        return Err(cursor.unexpected());
    };
    let password = password.clone();
    skip_to_next(cursor);
    Ok(Statement::CreateLogin { name, password })
}

fn create(cursor: &mut Cursor<'_>, if_absent: bool) -> Result<Statement, SqlError> {
    if !if_absent && cursor.accept_word("LOGIN") {
        return create_login(cursor);
    }
    cursor.expect_word("TABLE")?;
    journal_name(cursor)?;
    // The columns are fixed; what is written between the parentheses only has to balance.
    cursor.expect_symbol("(")?;
    let mut depth = 1;
    while depth > 0 {
        match cursor.take() {
            Some(Token::Symbol("(")) => depth += 1,
            Some(Token::Symbol(")")) => depth -= 1,
            Some(_) => {}
            None => return Err(cursor.unexpected()),
        }
    }
    Ok(Statement::JournalCreate { if_absent })
}

fn insert(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    cursor.accept_word("INTO");
    journal_name(cursor)?;
    let (mut swapped, mut both) = (false, true);
    if cursor.accept_symbol("(") {
        swapped = cursor.identifier()?.eq_ignore_ascii_case("epoch");
        both = swapped || cursor.at_symbol(",");
        if both {
            cursor.expect_symbol(",")?;
            cursor.identifier()?;
        }
        cursor.expect_symbol(")")?;
    }
    cursor.expect_word("VALUES")?;
    let mut rows = Vec::new();
    loop {
        cursor.expect_symbol("(")?;
        let left = cursor.integer()?;
        let mut right = None;
        if both {
            cursor.expect_symbol(",")?;
            right = Some(cursor.integer()?);
        }
        cursor.expect_symbol(")")?;
        rows.push(match (swapped, right) {
            (true, Some(id)) => (id, Some(left)),
            _ => (left, right),
        });
        if !cursor.accept_symbol(",") {
            return Ok(Statement::JournalInsert { rows });
        }
    }
}

/// `WAITFOR DELAY 'hh:mm:ss[.mmm]'`
fn wait_for(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    cursor.expect_word("DELAY")?;
    let Some(Token::Text(text)) = cursor.peek() else {
        return Err(cursor.unexpected());
    };
    let parts: Vec<f64> = text
        .split(':')
        .map(|part| part.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|_| cursor.unexpected())?;
    let seconds = parts.iter().fold(0.0, |sum, part| sum * 60.0 + part);
    let delay = Duration::try_from_secs_f64(seconds).map_err(|_| cursor.unexpected())?;
    if parts.len() < 2 || delay > MAX_WAIT {
        return Err(cursor.unexpected());
    }
    cursor.take();
    // hh:mm without seconds
    Ok(Statement::WaitFor(if parts.len() == 2 {
        delay * 60
    } else {
        delay
    }))
}
