//! Expressions evaluated: over one row, or over the rows of a group.

use std::cmp::Ordering;

use super::super::messages::SqlError;
use super::super::tds::types::SqlType;
use super::super::tds::value::{Column, Value};
use super::evaluate::{Context, Qualified, is_aggregate};
use super::expression::Expression;
use super::functions;
use super::lexer::syntax_error;

pub type Row = Vec<Value>;

pub struct Scope<'a> {
    pub columns: &'a [Qualified],
    pub context: Context<'a>,
}

impl Scope<'_> {
    fn column(&self, table: Option<&str>, name: &str) -> Result<usize, SqlError> {
        self.columns
            .iter()
            .position(|known| {
                known.column.name.eq_ignore_ascii_case(name)
                    && table.is_none_or(|table| table == known.table)
            })
            .ok_or_else(|| SqlError::with_message(207, format!("Invalid column name '{name}'.")))
    }

    /// Returns the position of a column; none for another expression.
    pub fn position(&self, expression: &Expression) -> Option<usize> {
        match expression {
            Expression::Column { table, name } => self.column(table.as_deref(), name).ok(),
            _ => None,
        }
    }

    pub fn result_column(
        &self,
        expression: &Expression,
        alias: Option<&str>,
    ) -> Result<Column, SqlError> {
        let own_name = match expression {
            Expression::Column { name, .. } => name.as_str(),
            _ => "",
        };
        Ok(Column {
            name: alias.unwrap_or(own_name).to_owned(),
            sql_type: self.sql_type(expression)?,
            nullable: !matches!(expression, Expression::Literal(value, _) if *value != Value::Null),
        })
    }

    fn sql_type(&self, expression: &Expression) -> Result<SqlType, SqlError> {
        Ok(match expression {
            Expression::Literal(_, sql_type) | Expression::Cast { sql_type, .. } => *sql_type,
            Expression::Column { table, name } => {
                let index = self.column(table.as_deref(), name)?;
                self.columns[index].column.sql_type
            }
            Expression::Variable(name) => match name.as_str() {
                "@@spid" => SqlType::SmallInt,
                "@@trancount" | "@@max_connections" => SqlType::Int,
                name if name.starts_with("@@") => SqlType::NVarChar(300),
                name => self
                    .context
                    .variables
                    .get(name)
                    .map(|(sql_type, _)| *sql_type)
                    .ok_or_else(|| SqlError::undeclared(name))?,
            },
            Expression::Case { arms, otherwise } => {
                let values = arms.iter().map(|(_, then)| then);
                self.widest(values.chain(otherwise.as_deref()))?
            }
            Expression::Binary(_, left, right) => self.widest([&**left, &**right])?,
            Expression::Call {
                function,
                arguments,
            } => match function.as_str() {
                "max" | "min" | "isnull" | "coalesce" | "nullif" | "abs"
                    if !arguments.is_empty() =>
                {
                    self.sql_type(&arguments[0])?
                }
                "sum" | "avg" if arguments.len() == 1 => match self.sql_type(&arguments[0])? {
                    SqlType::Real | SqlType::Float => SqlType::Float,
                    SqlType::TinyInt | SqlType::SmallInt | SqlType::Int => SqlType::Int,
                    other => other,
                },
                name => functions::sql_type(name),
            },
            _ => SqlType::Int,
        })
    }

    /// Returns the type that the values of all of them fit.
    fn widest<'e>(
        &self,
        expressions: impl IntoIterator<Item = &'e Expression>,
    ) -> Result<SqlType, SqlError> {
        let mut widest = None;
        for expression in expressions {
            if matches!(expression, Expression::Literal(Value::Null, _)) {
                continue;
            }
            let sql_type = self.sql_type(expression)?;
            widest = Some(match widest {
                None => sql_type,
                Some(before) => wider(before, sql_type),
            });
        }
        Ok(widest.unwrap_or(SqlType::Int))
    }

    /// Returns a value; over several rows only aggregates make sense, and a column is that of the first.
    pub fn value(&self, expression: &Expression, rows: &[Row]) -> Result<Value, SqlError> {
        Ok(match expression {
            Expression::Literal(value, _) => value.clone(),
            Expression::Column { table, name } => {
                let index = self.column(table.as_deref(), name)?;
                rows.first().map_or(Value::Null, |row| row[index].clone())
            }
            Expression::Variable(name) => self.variable(name)?,
            Expression::Cast {
                expression,
                sql_type,
            } => self.value(expression, rows)?.cast(sql_type),
            Expression::Binary(operator, left, right) => arithmetic(
                operator,
                &self.value(left, rows)?,
                &self.value(right, rows)?,
            )?,
            Expression::Case { arms, otherwise } => {
                for (when, then) in arms {
                    if self.truth(when, rows)? == Some(true) {
                        return self.value(then, rows);
                    }
                }
                match otherwise {
                    Some(otherwise) => self.value(otherwise, rows)?,
                    None => Value::Null,
                }
            }
            Expression::CountAll => Value::Int(i64::try_from(rows.len()).unwrap_or(i64::MAX)),
            Expression::Call {
                function,
                arguments,
            } if is_aggregate(expression) => self.aggregate(function, arguments, rows)?,
            Expression::Call {
                function,
                arguments,
            } => {
                let values: Vec<_> = arguments
                    .iter()
                    .map(|argument| self.value(argument, rows))
                    .collect::<Result<_, _>>()?;
                functions::call(self.context.world, function, &values)?
            }
            Expression::AllColumns
            | Expression::InQuery(..)
            | Expression::Exists(_)
            | Expression::Scalar(_) => return Err(syntax_error("*")),
            predicate => self
                .truth(predicate, rows)?
                .map_or(Value::Null, |truth| Value::Int(i64::from(truth))),
        })
    }

    /// Returns true, false or, with a NULL in it, neither.
    pub fn truth(&self, expression: &Expression, rows: &[Row]) -> Result<Option<bool>, SqlError> {
        Ok(match expression {
            Expression::And(left, right) => match self.truth(left, rows)? {
                Some(false) => Some(false),
                left => match (left, self.truth(right, rows)?) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Expression::Or(left, right) => match self.truth(left, rows)? {
                Some(true) => Some(true),
                left => match (left, self.truth(right, rows)?) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Expression::Not(inner) => self.truth(inner, rows)?.map(|truth| !truth),
            Expression::IsNull(inner) => Some(self.value(inner, rows)? == Value::Null),
            Expression::In(left, list) => {
                let left = match self.value(left, rows)? {
                    // Once, and not for each comparison with a padded name.
                    Value::Text(text) => Value::text(text.trim_end()),
                    other => other,
                };
                for value in list {
                    if compare(&left, &self.value(value, rows)?) == Some(Ordering::Equal) {
                        return Ok(Some(true));
                    }
                }
                (left != Value::Null).then_some(false)
            }
            Expression::Like(left, pattern) => {
                match (self.value(left, rows)?, self.value(pattern, rows)?) {
                    (Value::Text(text), Value::Text(pattern)) => Some(functions::like(
                        &text.to_lowercase(),
                        &pattern.to_lowercase(),
                    )),
                    _ => None,
                }
            }
            Expression::Compare(operator, left, right) => {
                let ordering = compare(&self.value(left, rows)?, &self.value(right, rows)?);
                ordering.map(|ordering| match *operator {
                    "=" => ordering.is_eq(),
                    "<>" | "!=" => ordering.is_ne(),
                    "<" => ordering.is_lt(),
                    "<=" => ordering.is_le(),
                    ">" => ordering.is_gt(),
                    _ => ordering.is_ge(),
                })
            }
            _ => {
                return Err(SqlError::with_message(
                    4145,
                    "An expression of non-boolean type specified in a context where a condition is expected.",
                ));
            }
        })
    }

    /// Returns an aggregate's value. NULLs do not count, as in the real engine.
    fn aggregate(
        &self,
        function: &str,
        arguments: &[Expression],
        rows: &[Row],
    ) -> Result<Value, SqlError> {
        let Some(argument) = arguments.first() else {
            return Err(syntax_error(function));
        };
        let mut values = Vec::new();
        for row in rows {
            let value = self.value(argument, std::slice::from_ref(row))?;
            if value != Value::Null {
                values.push(value);
            }
        }
        let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
        if matches!(function, "count" | "count_big") {
            return Ok(Value::Int(count));
        }
        if function == "string_agg" {
            let separator = match arguments.get(1) {
                Some(separator) => self.value(separator, &[])?.to_text(),
                None => return Err(syntax_error(function)),
            };
            let texts: Vec<_> = values.iter().map(Value::to_text).collect();
            return Ok(match texts.is_empty() {
                true => Value::Null,
                false => Value::Text(texts.join(&separator)),
            });
        }
        let mut values = values.into_iter();
        let Some(mut total) = values.next() else {
            return Ok(Value::Null);
        };
        for value in values {
            total = match function {
                "max" if compare(&value, &total) == Some(Ordering::Greater) => value,
                "min" if compare(&value, &total) == Some(Ordering::Less) => value,
                "sum" | "avg" => arithmetic("+", &total, &value)?,
                _ => total,
            };
        }
        match function {
            "avg" => arithmetic("/", &total, &Value::Int(count)),
            _ => Ok(total),
        }
    }

    fn variable(&self, name: &str) -> Result<Value, SqlError> {
        let world = self.context.world;
        Ok(match name {
            "@@version" => Value::text(&world.version_text),
            "@@spid" => Value::Int(i64::from(world.spid)),
            "@@servername" => Value::text(&world.product.server_name),
            "@@servicename" => Value::text("MSSQLSERVER"),
            "@@language" => Value::text("us_english"),
            "@@trancount" | "@@rowcount" | "@@error" => Value::Int(0),
            "@@max_connections" => Value::Int(32_767),
            _ => match self.context.variables.get(name) {
                Some((_, value)) => value.clone(),
                None => return Err(SqlError::undeclared(name)),
            },
        })
    }
}

pub fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        // The default collation is case-insensitive, and spaces at the end do not count.
        (Value::Text(a), Value::Text(b)) => {
            let fold = |text: &str| {
                text.trim_end()
                    .chars()
                    .flat_map(char::to_lowercase)
                    .collect()
            };
            match a.is_ascii() && b.is_ascii() {
                true => {
                    let lower = |b: &u8| b.to_ascii_lowercase();
                    let (a, b) = (a.trim_end().as_bytes(), b.trim_end().as_bytes());
                    Some(a.iter().map(lower).cmp(b.iter().map(lower)))
                }
                false => Some(String::cmp(&fold(a), &fold(b))),
            }
        }
        (Value::DateTime(a), Value::DateTime(b)) => Some(a.cmp(b)),
        // The engine converts the text.
        (Value::DateTime(a), Value::Text(b)) => b.parse().ok().map(|b| a.cmp(&b)),
        (Value::Text(a), Value::Int(b)) => a.trim().parse().ok().map(|a: i64| a.cmp(b)),
        (Value::Int(a), Value::Text(b)) => b.trim().parse().ok().map(|b: i64| a.cmp(&b)),
        _ => None,
    }
}

fn wider(left: SqlType, right: SqlType) -> SqlType {
    let rank = |sql_type: &SqlType| match sql_type {
        SqlType::Bit => 0,
        SqlType::TinyInt => 1,
        SqlType::SmallInt => 2,
        SqlType::Int => 3,
        SqlType::BigInt => 4,
        SqlType::Numeric(_) => 5,
        SqlType::Real => 6,
        SqlType::Float => 7,
        SqlType::DateTime => 8,
        _ => 9,
    };
    match (left, right) {
        (left, right) if left.is_text() && right.is_text() => match (left, right) {
            (SqlType::NVarCharMax | SqlType::VarCharMax, _)
            | (_, SqlType::NVarCharMax | SqlType::VarCharMax) => SqlType::NVarCharMax,
            _ => SqlType::NVarChar(4000),
        },
        (left, right) if rank(&left) >= rank(&right) => left,
        (_, right) => right,
    }
}

fn arithmetic(operator: &str, left: &Value, right: &Value) -> Result<Value, SqlError> {
    let overflow =
        || SqlError::with_message(8115, "Arithmetic overflow error converting expression.");
    let by_zero = || SqlError::with_message(8134, "Divide by zero error encountered.");
    Ok(match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Value::Null,
        (Value::Text(left), Value::Text(right)) if operator == "+" => {
            Value::Text(format!("{left}{right}"))
        }
        (Value::Int(left), Value::Int(right)) => {
            if matches!(operator, "/" | "%") && *right == 0 {
                return Err(by_zero());
            }
            let result = match operator {
                "+" => left.checked_add(*right),
                "-" => left.checked_sub(*right),
                "*" => left.checked_mul(*right),
                "/" => left.checked_div(*right),
                _ => left.checked_rem(*right),
            };
            Value::Int(result.ok_or_else(overflow)?)
        }
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            let number = |value: &Value| match value {
                Value::Int(number) => *number as f64,
                Value::Float(number) => *number,
                _ => f64::NAN,
            };
            let (left, right) = (number(left), number(right));
            if matches!(operator, "/" | "%") && right == 0.0 {
                return Err(by_zero());
            }
            Value::Float(match operator {
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                "/" => left / right,
                _ => left % right,
            })
        }
        _ => {
            return Err(SqlError::with_message(
                402,
                format!("The data types are incompatible in the {operator} operator."),
            ));
        }
    })
}
