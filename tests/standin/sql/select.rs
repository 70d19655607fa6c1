//! SELECT: its syntax tree and parser. One table, a conjunction of simple conditions, an optional order.

use super::super::messages::SqlError;
use super::super::tds::types::SqlType;
use super::super::tds::value::Value;
use super::Kind;
use super::lexer::{Cursor, Token};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select {
    pub top: Option<i64>,
    pub items: Vec<Item>,
    /// Lower case, as written otherwise.
    pub source: Option<String>,
    pub conditions: Vec<Condition>,
    pub order: Vec<Order>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub expression: Expression,
    /// Without an alias a column keeps its name and anything else has none.
    pub alias: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Literal(Value, SqlType),
    /// `@@name`
    Variable(String),
    Column(String),
    AllColumns,
    Call {
        function: String,
        arguments: Vec<Expression>,
    },
    Cast {
        expression: Box<Expression>,
        sql_type: SqlType,
    },
    CountAll,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub left: Expression,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Compare(&'static str, Expression),
    In(Vec<Expression>),
    NotIn(Vec<Expression>),
    IsNull,
    IsNotNull,
    Like(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub column: String,
    pub descending: bool,
}

/// Words that end an item, so that they are no alias.
const CLAUSES: &[&str] = &[
    "FROM",
    "WHERE",
    "ORDER",
    "OPTION",
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
    "WITH",
    "AS",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "INNER",
    "LEFT",
    "RIGHT",
    "JOIN",
    "CROSS",
    "GROUP",
    "UNION",
];
const COMPARISONS: [&str; 7] = ["=", "<>", "!=", ">=", "<=", "<", ">"];

impl Select {
    pub fn kind(&self) -> Kind {
        let source = self.source.as_deref().unwrap_or_default();
        match source.rsplit('.').next().unwrap_or_default() {
            "" if self.items.iter().all(|item| constant(&item.expression)) => Kind::Ping,
            "" => Kind::Properties,
            "databases" => Kind::Databases,
            "dm_os_sys_info" => Kind::SystemInfo,
            "dm_exec_requests" => Kind::Requests,
            "journal" => Kind::JournalRead,
            _ => Kind::Unknown,
        }
    }
}

fn constant(expression: &Expression) -> bool {
    match expression {
        Expression::Literal(..) => true,
        Expression::Cast { expression, .. } => constant(expression),
        _ => false,
    }
}

/// Parses what follows the word SELECT.
pub fn parse_select(cursor: &mut Cursor<'_>) -> Result<Select, SqlError> {
    let mut select = Select::default();
    if cursor.accept_word("TOP") {
        let parenthesis = cursor.accept_symbol("(");
        select.top = Some(cursor.integer()?);
        if parenthesis {
            cursor.expect_symbol(")")?;
        }
    }
    select.items = list(cursor, item)?;
    if cursor.accept_word("FROM") {
        select.source = Some(cursor.dotted_name()?);
        table_decorations(cursor)?;
        if cursor.accept_word("WHERE") {
            select.conditions.push(condition(cursor)?);
            while cursor.accept_word("AND") {
                select.conditions.push(condition(cursor)?);
            }
        }
        if cursor.accept_word("ORDER") {
            cursor.expect_word("BY")?;
            select.order = list(cursor, order)?;
        }
    }
    if cursor.accept_word("OPTION") {
        parenthesized(cursor)?;
    }
    Ok(select)
}

fn list<T>(
    cursor: &mut Cursor<'_>,
    element: impl Fn(&mut Cursor<'_>) -> Result<T, SqlError>,
) -> Result<Vec<T>, SqlError> {
    let mut elements = vec![element(cursor)?];
    while cursor.accept_symbol(",") {
        elements.push(element(cursor)?);
    }
    Ok(elements)
}

fn table_decorations(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    let named = cursor.accept_word("AS");
    if named || alias_follows(cursor) {
        cursor.identifier()?;
    }
    if cursor.accept_word("WITH") || cursor.at_symbol("(") {
        parenthesized(cursor)?;
    }
    Ok(())
}

fn alias_follows(cursor: &Cursor<'_>) -> bool {
    match cursor.peek() {
        Some(Token::Word(_)) => !cursor.at_any_word(CLAUSES),
        Some(Token::Quoted(_)) => true,
        _ => false,
    }
}

fn parenthesized(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    cursor.expect_symbol("(")?;
    while !cursor.accept_symbol(")") {
        if cursor.take().is_none() {
            return Err(cursor.unexpected());
        }
    }
    Ok(())
}

fn item(cursor: &mut Cursor<'_>) -> Result<Item, SqlError> {
    let expression = expression(cursor)?;
    // `alias = expression`
    if let (Expression::Column(name), true) = (&expression, cursor.at_symbol("=")) {
        let alias = Some(name.clone());
        cursor.take();
        return Ok(Item {
            expression: self::expression(cursor)?,
            alias,
        });
    }
    let alias = if cursor.accept_word("AS") || alias_follows(cursor) {
        match cursor.peek() {
            Some(Token::Text(text)) => {
                cursor.take();
                Some(text.clone())
            }
            _ => Some(cursor.identifier()?),
        }
    } else {
        None
    };
    Ok(Item { expression, alias })
}

fn expression(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    cursor.enter()?;
    let expression = primary(cursor)?;
    cursor.leave();
    Ok(expression)
}

fn primary(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    if cursor.accept_symbol("*") {
        return Ok(Expression::AllColumns);
    }
    if cursor.accept_symbol("(") {
        let inner = expression(cursor)?;
        cursor.expect_symbol(")")?;
        return Ok(inner);
    }
    if let Some(literal) = literal(cursor)? {
        return Ok(literal);
    }
    if cursor.accept_word("CAST") || cursor.accept_word("TRY_CAST") {
        return cast(cursor);
    }
    if cursor.accept_word("CONVERT") {
        return convert(cursor);
    }
    match cursor.peek() {
        Some(Token::Word(word)) if word.starts_with("@@") => {
            cursor.take();
            Ok(Expression::Variable(word.to_ascii_lowercase()))
        }
        _ if cursor.at_any_word(CLAUSES) => Err(cursor.unexpected()),
        _ => name(cursor),
    }
}

fn literal(cursor: &mut Cursor<'_>) -> Result<Option<Expression>, SqlError> {
    if cursor.accept_word("NULL") {
        return Ok(Some(Expression::Literal(Value::Null, SqlType::Int)));
    }
    let literal = match cursor.peek() {
        Some(Token::Text(text)) => {
            let chars = u16::try_from(text.encode_utf16().count()).unwrap_or(u16::MAX);
            let sql_type = match chars {
                0..=4000 => SqlType::NVarChar(chars.max(1)),
                _ => SqlType::NVarCharMax,
            };
            cursor.take();
            Expression::Literal(Value::text(text), sql_type)
        }
        Some(Token::Number(digits)) if digits.contains('.') => {
            let number = digits.parse().map_err(|_| cursor.unexpected())?;
            cursor.take();
            Expression::Literal(Value::Float(number), SqlType::Float)
        }
        Some(Token::Number(_) | Token::Symbol("-")) => {
            let number = cursor.integer()?;
            let sql_type = i32::try_from(number).map_or(SqlType::BigInt, |_| SqlType::Int);
            Expression::Literal(Value::Int(number), sql_type)
        }
        _ => return Ok(None),
    };
    Ok(Some(literal))
}

/// `CAST(expression AS type)`
fn cast(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    cursor.expect_symbol("(")?;
    let expression = Box::new(expression(cursor)?);
    cursor.expect_word("AS")?;
    let sql_type = sql_type(cursor)?;
    cursor.expect_symbol(")")?;
    Ok(Expression::Cast {
        expression,
        sql_type,
    })
}

/// `CONVERT(type, expression[, style])`
fn convert(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    cursor.expect_symbol("(")?;
    let sql_type = sql_type(cursor)?;
    cursor.expect_symbol(",")?;
    let expression = Box::new(expression(cursor)?);
    if cursor.accept_symbol(",") {
        cursor.integer()?;
    }
    cursor.expect_symbol(")")?;
    Ok(Expression::Cast {
        expression,
        sql_type,
    })
}

/// A column, qualified or not, or a call.
fn name(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    let mut last = cursor.identifier()?;
    while cursor.accept_symbol(".") {
        if cursor.accept_symbol("*") {
            return Ok(Expression::AllColumns);
        }
        last = cursor.identifier()?;
    }
    if !cursor.accept_symbol("(") {
        return Ok(Expression::Column(last));
    }
    let function = last.to_ascii_lowercase();
    if matches!(function.as_str(), "count" | "count_big") && cursor.accept_symbol("*") {
        cursor.expect_symbol(")")?;
        return Ok(Expression::CountAll);
    }
    let arguments = if cursor.at_symbol(")") {
        Vec::new()
    } else {
        list(cursor, expression)?
    };
    cursor.expect_symbol(")")?;
    Ok(Expression::Call {
        function,
        arguments,
    })
}

fn sql_type(cursor: &mut Cursor<'_>) -> Result<SqlType, SqlError> {
    let mut text = cursor.identifier()?;
    if cursor.accept_symbol("(") {
        let argument = if cursor.accept_word("MAX") {
            "max".to_owned()
        } else {
            cursor.integer()?.to_string()
        };
        cursor.expect_symbol(")")?;
        text = format!("{text}({argument})");
    }
    text.parse().map_err(|_| cursor.unexpected())
}

fn condition(cursor: &mut Cursor<'_>) -> Result<Condition, SqlError> {
    let left = expression(cursor)?;
    let test = if cursor.accept_word("IS") {
        let negated = cursor.accept_word("NOT");
        cursor.expect_word("NULL")?;
        if negated {
            Test::IsNotNull
        } else {
            Test::IsNull
        }
    } else if cursor.accept_word("LIKE") {
        match cursor.take() {
            Some(Token::Text(pattern)) => Test::Like(pattern.to_ascii_lowercase()),
            _ => return Err(cursor.unexpected()),
        }
    } else if cursor.at_any_word(&["NOT", "IN"]) {
        let negated = cursor.accept_word("NOT");
        cursor.expect_word("IN")?;
        cursor.expect_symbol("(")?;
        let values = list(cursor, expression)?;
        cursor.expect_symbol(")")?;
        if negated {
            Test::NotIn(values)
        } else {
            Test::In(values)
        }
    } else {
        let operator = COMPARISONS
            .into_iter()
            .find(|operator| cursor.accept_symbol(operator))
            .ok_or_else(|| cursor.unexpected())?;
        Test::Compare(operator, expression(cursor)?)
    };
    Ok(Condition { left, test })
}

fn order(cursor: &mut Cursor<'_>) -> Result<Order, SqlError> {
    let name = cursor.dotted_name()?;
    let descending = cursor.accept_word("DESC");
    if !descending {
        cursor.accept_word("ASC");
    }
    let column = name.rsplit('.').next().unwrap_or_default().to_owned();
    Ok(Order { column, descending })
}
