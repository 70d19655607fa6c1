//! The parser of expressions, by precedence from OR down to a name.

use super::super::messages::SqlError;
use super::super::tds::types::SqlType;
use super::super::tds::value::Value;
use super::expression::Expression;
use super::lexer::{Cursor, Token};
use super::select::parse_select;

/// Words that end an expression or a source, so that they are no alias.
pub const CLAUSES: &[&str] = &[
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
    "ELSE",
    "WITH",
    "AS",
    "BEGIN",
    "END",
    "COMMIT",
    "ROLLBACK",
    "INNER",
    "LEFT",
    "RIGHT",
    "JOIN",
    "CROSS",
    "OUTER",
    "ON",
    "GROUP",
    "HAVING",
    "UNION",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS",
    "LIKE",
    "BETWEEN",
    "WHEN",
    "THEN",
    "DECLARE",
    "PRINT",
    "ASC",
    "DESC",
];
const COMPARISONS: [&str; 7] = ["=", "<>", "!=", ">=", "<=", "<", ">"];

pub fn list<T>(
    cursor: &mut Cursor<'_>,
    element: impl Fn(&mut Cursor<'_>) -> Result<T, SqlError>,
) -> Result<Vec<T>, SqlError> {
    let mut elements = vec![element(cursor)?];
    while cursor.accept_symbol(",") {
        elements.push(element(cursor)?);
    }
    Ok(elements)
}

/// Any expression, predicates included.
pub fn expression(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    cursor.enter()?;
    let mut left = conjunction(cursor)?;
    while cursor.accept_word("OR") {
        left = Expression::Or(Box::new(left), Box::new(conjunction(cursor)?));
    }
    cursor.leave();
    Ok(left)
}

fn conjunction(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    let mut left = negation(cursor)?;
    while cursor.accept_word("AND") {
        left = Expression::And(Box::new(left), Box::new(negation(cursor)?));
    }
    Ok(left)
}

fn negation(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    if cursor.accept_word("NOT") {
        return Ok(Expression::Not(Box::new(negation(cursor)?)));
    }
    predicate(cursor)
}

fn predicate(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    let left = Box::new(sum(cursor)?);
    if cursor.accept_word("IS") {
        let negated = cursor.accept_word("NOT");
        cursor.expect_word("NULL")?;
        return Ok(negate_if(negated, Expression::IsNull(left)));
    }
    let negated = cursor.accept_word("NOT");
    if cursor.accept_word("LIKE") {
        let pattern = Box::new(sum(cursor)?);
        return Ok(negate_if(negated, Expression::Like(left, pattern)));
    }
    if cursor.accept_word("BETWEEN") {
        let low = Box::new(sum(cursor)?);
        cursor.expect_word("AND")?;
        let high = Box::new(sum(cursor)?);
        let above = Expression::Compare(">=", left.clone(), low);
        let below = Expression::Compare("<=", left, high);
        let between = Expression::And(Box::new(above), Box::new(below));
        return Ok(negate_if(negated, between));
    }
    if cursor.accept_word("IN") {
        cursor.expect_symbol("(")?;
        let among = if cursor.accept_word("SELECT") {
            Expression::InQuery(left, Box::new(parse_select(cursor)?))
        } else {
            Expression::In(left, list(cursor, expression)?)
        };
        cursor.expect_symbol(")")?;
        return Ok(negate_if(negated, among));
    }
    if negated {
        return Err(cursor.unexpected());
    }
    let operator = COMPARISONS
        .into_iter()
        .find(|operator| cursor.accept_symbol(operator));
    Ok(match operator {
        Some(operator) => Expression::Compare(operator, left, Box::new(sum(cursor)?)),
        None => *left,
    })
}

fn negate_if(negated: bool, expression: Expression) -> Expression {
    if negated {
        Expression::Not(Box::new(expression))
    } else {
        expression
    }
}

fn operators(
    cursor: &mut Cursor<'_>,
    symbols: &[&'static str],
    operand: fn(&mut Cursor<'_>) -> Result<Expression, SqlError>,
) -> Result<Expression, SqlError> {
    let mut left = operand(cursor)?;
    while let Some(symbol) = symbols.iter().find(|symbol| cursor.accept_symbol(symbol)) {
        left = Expression::Binary(symbol, Box::new(left), Box::new(operand(cursor)?));
    }
    Ok(left)
}

fn sum(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    operators(cursor, &["+", "-"], product)
}

fn product(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    operators(cursor, &["*", "/", "%"], unary)
}

fn unary(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    if cursor.accept_symbol("-") {
        cursor.enter()?;
        let inner = unary(cursor)?;
        cursor.leave();
        return Ok(match inner {
            Expression::Literal(Value::Int(number), sql_type) => {
                Expression::Literal(Value::Int(-number), sql_type)
            }
            other => {
                let zero = Expression::Literal(Value::Int(0), SqlType::Int);
                Expression::Binary("-", Box::new(zero), Box::new(other))
            }
        });
    }
    primary(cursor)
}

fn primary(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    if cursor.accept_symbol("*") {
        return Ok(Expression::AllColumns);
    }
    if cursor.accept_symbol("(") {
        if cursor.accept_word("SELECT") {
            let query = Box::new(parse_select(cursor)?);
            cursor.expect_symbol(")")?;
            return Ok(Expression::Scalar(query));
        }
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
    if cursor.accept_word("CASE") {
        return case(cursor);
    }
    if cursor.accept_word("EXISTS") {
        cursor.expect_symbol("(")?;
        cursor.expect_word("SELECT")?;
        let query = Box::new(parse_select(cursor)?);
        cursor.expect_symbol(")")?;
        return Ok(Expression::Exists(query));
    }
    match cursor.peek() {
        Some(Token::Word(word)) if word.starts_with('@') => {
            cursor.take();
            Ok(Expression::Variable(word.to_ascii_lowercase()))
        }
        _ if cursor.at_any_word(CLAUSES) && !cursor.at_call() => Err(cursor.unexpected()),
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
        // Exact numerics with a fraction are floats here: nothing that is asked for has more digits.
        Some(Token::Number(digits)) if digits.contains('.') => {
            let number = digits.parse().map_err(|_| cursor.unexpected())?;
            cursor.take();
            Expression::Literal(Value::Float(number), SqlType::Float)
        }
        Some(Token::Number(_)) => {
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

/// `CASE [operand] WHEN ... THEN ... [ELSE ...] END`; with an operand each WHEN is a comparison to it.
fn case(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    let operand = if cursor.at_word("WHEN") {
        None
    } else {
        Some(expression(cursor)?)
    };
    let mut arms = Vec::new();
    while cursor.accept_word("WHEN") {
        let when = expression(cursor)?;
        let when = match &operand {
            Some(operand) => Expression::Compare("=", Box::new(operand.clone()), Box::new(when)),
            None => when,
        };
        cursor.expect_word("THEN")?;
        arms.push((when, expression(cursor)?));
    }
    let otherwise = if cursor.accept_word("ELSE") {
        Some(Box::new(expression(cursor)?))
    } else {
        None
    };
    cursor.expect_word("END")?;
    Ok(Expression::Case { arms, otherwise })
}

/// A column, qualified or not, or a call.
fn name(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    let mut last = cursor.identifier()?;
    let mut table = None;
    while cursor.accept_symbol(".") {
        if cursor.accept_symbol("*") {
            return Ok(Expression::AllColumns);
        }
        table = Some(last.to_ascii_lowercase());
        last = cursor.identifier()?;
    }
    if !cursor.accept_symbol("(") {
        return Ok(Expression::Column { table, name: last });
    }
    let function = last.to_ascii_lowercase();
    if matches!(function.as_str(), "count" | "count_big") && cursor.accept_symbol("*") {
        cursor.expect_symbol(")")?;
        return Ok(Expression::CountAll);
    }
    let arguments = match () {
        () if cursor.at_symbol(")") => Vec::new(),
        () if matches!(function.as_str(), "datediff" | "datediff_big" | "dateadd") => {
            date_part(cursor)?
        }
        () => list(cursor, expression)?,
    };
    cursor.expect_symbol(")")?;
    Ok(Expression::Call {
        function,
        arguments,
    })
}

/// `second, from, to`: the first is a word and no column.
fn date_part(cursor: &mut Cursor<'_>) -> Result<Vec<Expression>, SqlError> {
    let part = cursor.identifier()?.to_ascii_lowercase();
    cursor.expect_symbol(",")?;
    let mut arguments = vec![Expression::Literal(
        Value::Text(part),
        SqlType::NVarChar(20),
    )];
    arguments.extend(list(cursor, expression)?);
    Ok(arguments)
}

pub fn sql_type(cursor: &mut Cursor<'_>) -> Result<SqlType, SqlError> {
    let mut text = cursor.identifier()?;
    if cursor.accept_symbol("(") {
        let argument = if cursor.accept_word("MAX") {
            "max".to_owned()
        } else {
            let mut argument = cursor.integer()?.to_string();
            if cursor.accept_symbol(",") {
                argument = format!("{argument},{}", cursor.integer()?);
            }
            argument
        };
        cursor.expect_symbol(")")?;
        text = format!("{text}({argument})");
    }
    text.parse().map_err(|_| cursor.unexpected())
}
