//! SELECT evaluated: filter, order, project, aggregate.

use std::cmp::Ordering;

use super::super::messages::SqlError;
use super::super::tds::datetime::DateTime;
use super::super::tds::types::{SYSNAME, SqlType};
use super::super::tds::value::{Column, ResultSet, Value};
use super::catalog::World;
use super::select::{Condition, Expression, Item, Select, Test};

/// Evaluates `select` on `table`; without a FROM that is one row without columns.
pub fn evaluate(
    select: &Select,
    table: Option<ResultSet>,
    world: &World,
) -> Result<ResultSet, SqlError> {
    let table = table.unwrap_or_else(|| ResultSet {
        columns: Vec::new(),
        rows: vec![Vec::new()],
    });
    let scope = Scope {
        columns: &table.columns,
        world,
    };
    let mut rows = Vec::new();
    for row in &table.rows {
        if scope.matches(&select.conditions, row)? {
            rows.push(row.clone());
        }
    }
    for order in select.order.iter().rev() {
        let index = scope.column(&order.column)?;
        rows.sort_by(|a, b| {
            let ordering = compare(&a[index], &b[index]).unwrap_or(Ordering::Equal);
            if order.descending {
                ordering.reverse()
            } else {
                ordering
            }
        });
    }
    let items = expand(&select.items, &table.columns);
    let columns = items
        .iter()
        .map(|item| scope.result_column(item))
        .collect::<Result<Vec<_>, _>>()?;
    let mut result = ResultSet {
        columns,
        rows: Vec::new(),
    };
    if items.iter().any(|item| is_aggregate(&item.expression)) {
        let row: Result<_, _> = items
            .iter()
            .map(|item| scope.aggregate(&item.expression, &rows))
            .collect();
        result.rows.push(row?);
    } else {
        let limit = select
            .top
            .map_or(usize::MAX, |top| usize::try_from(top).unwrap_or_default());
        for row in rows.iter().take(limit) {
            let projected: Result<_, _> = items
                .iter()
                .map(|item| scope.value(&item.expression, row))
                .collect();
            result.rows.push(projected?);
        }
    }
    Ok(result)
}

fn expand(items: &[Item], columns: &[Column]) -> Vec<Item> {
    let all = || {
        columns.iter().map(|column| Item {
            expression: Expression::Column(column.name.clone()),
            alias: None,
        })
    };
    items
        .iter()
        .flat_map(|item| match item.expression {
            Expression::AllColumns => all().collect(),
            _ => vec![item.clone()],
        })
        .collect()
}

fn is_aggregate(expression: &Expression) -> bool {
    match expression {
        Expression::CountAll => true,
        Expression::Call { function, .. } if matches!(function.as_str(), "max" | "min") => true,
        Expression::Call { arguments, .. } => arguments.iter().any(is_aggregate),
        Expression::Cast { expression, .. } => is_aggregate(expression),
        _ => false,
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        // The default collation is case-insensitive.
        (Value::Text(a), Value::Text(b)) => Some(a.to_lowercase().cmp(&b.to_lowercase())),
        (Value::DateTime(a), Value::DateTime(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

struct Scope<'a> {
    columns: &'a [Column],
    world: &'a World,
}

impl Scope<'_> {
    fn column(&self, name: &str) -> Result<usize, SqlError> {
        self.columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| SqlError::with_message(207, format!("Invalid column name '{name}'.")))
    }

    fn matches(&self, conditions: &[Condition], row: &[Value]) -> Result<bool, SqlError> {
        for condition in conditions {
            if !self.holds(condition, row)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holds(&self, condition: &Condition, row: &[Value]) -> Result<bool, SqlError> {
        let left = self.value(&condition.left, row)?;
        let among = |values: &[Expression]| -> Result<bool, SqlError> {
            for value in values {
                if compare(&left, &self.value(value, row)?) == Some(Ordering::Equal) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        Ok(match &condition.test {
            Test::IsNull => left == Value::Null,
            Test::IsNotNull => left != Value::Null,
            Test::In(values) => among(values)?,
            Test::NotIn(values) => left != Value::Null && !among(values)?,
            Test::Like(pattern) => like(&left.to_text().to_lowercase(), pattern),
            Test::Compare(operator, right) => {
                let ordering = compare(&left, &self.value(right, row)?);
                ordering.is_some_and(|ordering| match *operator {
                    "=" => ordering.is_eq(),
                    "<>" | "!=" => ordering.is_ne(),
                    "<" => ordering.is_lt(),
                    "<=" => ordering.is_le(),
                    ">" => ordering.is_gt(),
                    _ => ordering.is_ge(),
                })
            }
        })
    }

    fn result_column(&self, item: &Item) -> Result<Column, SqlError> {
        let own_name = match &item.expression {
            Expression::Column(name) => name.as_str(),
            _ => "",
        };
        Ok(Column {
            name: item.alias.clone().unwrap_or_else(|| own_name.to_owned()),
            sql_type: self.sql_type(&item.expression)?,
            nullable: !matches!(&item.expression, Expression::Literal(value, _) if *value != Value::Null),
        })
    }

    fn sql_type(&self, expression: &Expression) -> Result<SqlType, SqlError> {
        Ok(match expression {
            Expression::Literal(_, sql_type) | Expression::Cast { sql_type, .. } => *sql_type,
            Expression::Column(name) => self.columns[self.column(name)?].sql_type,
            Expression::Variable(name) => match name.as_str() {
                "@@spid" => SqlType::SmallInt,
                "@@trancount" | "@@max_connections" => SqlType::Int,
                _ => SqlType::NVarChar(300),
            },
            Expression::CountAll => SqlType::Int,
            Expression::AllColumns => SqlType::Int,
            Expression::Call {
                function,
                arguments,
            } => match function.as_str() {
                "serverproperty" => SqlType::Variant,
                "getdate" | "getutcdate" | "sysutcdatetime" | "sysdatetime" => SqlType::DateTime,
                "has_perms_by_name" | "db_id" => SqlType::Int,
                "max" | "min" | "isnull" | "coalesce" if !arguments.is_empty() => {
                    self.sql_type(&arguments[0])?
                }
                _ => SYSNAME,
            },
        })
    }

    fn value(&self, expression: &Expression, row: &[Value]) -> Result<Value, SqlError> {
        Ok(match expression {
            Expression::Literal(value, _) => value.clone(),
            Expression::Column(name) => row[self.column(name)?].clone(),
            Expression::Variable(name) => self.variable(name)?,
            Expression::Cast {
                expression,
                sql_type,
            } => self.value(expression, row)?.cast(sql_type),
            Expression::Call {
                function,
                arguments,
            } => {
                let values: Result<Vec<_>, _> = arguments
                    .iter()
                    .map(|argument| self.value(argument, row))
                    .collect();
                self.call(function, &values?)?
            }
            Expression::AllColumns | Expression::CountAll => {
                return Err(super::lexer::syntax_error("*"));
            }
        })
    }

    fn aggregate(&self, expression: &Expression, rows: &[Vec<Value>]) -> Result<Value, SqlError> {
        match expression {
            Expression::CountAll => Ok(Value::Int(i64::try_from(rows.len()).unwrap_or(i64::MAX))),
            Expression::Cast {
                expression,
                sql_type,
            } => Ok(self.aggregate(expression, rows)?.cast(sql_type)),
            Expression::Call {
                function,
                arguments,
            } => match (function.as_str(), &arguments[..]) {
                ("max" | "min", [argument]) => {
                    let wanted = if function == "max" {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    };
                    let mut best = Value::Null;
                    for row in rows {
                        let value = self.value(argument, row)?;
                        if best == Value::Null || compare(&value, &best) == Some(wanted) {
                            best = value;
                        }
                    }
                    Ok(best)
                }
                _ => {
                    let values: Result<Vec<_>, _> = arguments
                        .iter()
                        .map(|argument| self.aggregate(argument, rows))
                        .collect();
                    self.call(function, &values?)
                }
            },
            other => self.value(other, &[]),
        }
    }

    fn variable(&self, name: &str) -> Result<Value, SqlError> {
        Ok(match name {
            "@@version" => Value::text(&self.world.version_text),
            "@@spid" => Value::Int(i64::from(self.world.spid)),
            "@@servername" => Value::text(&self.world.product.server_name),
            "@@servicename" => Value::text("MSSQLSERVER"),
            "@@language" => Value::text("us_english"),
            "@@trancount" => Value::Int(0),
            "@@max_connections" => Value::Int(32_767),
            _ => {
                return Err(SqlError::with_message(
                    137,
                    format!("Must declare the scalar variable \"{name}\"."),
                ));
            }
        })
    }

    fn call(&self, function: &str, arguments: &[Value]) -> Result<Value, SqlError> {
        let world = self.world;
        let text = |text: Option<&str>| text.map_or(Value::Null, Value::text);
        Ok(match (function, arguments) {
            ("serverproperty", [Value::Text(name)]) => match name.to_ascii_lowercase().as_str() {
                "productversion" => Value::text(&world.product.version),
                "productlevel" => Value::text(&world.product.level),
                "edition" => Value::text(&world.product.edition),
                "engineedition" => Value::Int(i64::from(world.product.engine_edition)),
                "servername" | "machinename" => Value::text(&world.product.server_name),
                "collation" => Value::text("SQL_Latin1_General_CP1_CI_AS"),
                "ishadrenabled" | "isclustered" => Value::Int(0),
                _ => Value::Null,
            },
            ("getdate" | "getutcdate" | "sysutcdatetime" | "sysdatetime", []) => {
                Value::DateTime(DateTime::now())
            }
            ("db_name", []) => Value::text(&world.database),
            ("db_name", [Value::Int(id)]) => text(world.database_name(*id)),
            ("db_name", [Value::Null]) => Value::Null,
            ("db_id", []) => world
                .database_id(&world.database)
                .map_or(Value::Null, Value::Int),
            ("db_id", [Value::Text(name)]) => {
                world.database_id(name).map_or(Value::Null, Value::Int)
            }
            ("suser_sname" | "suser_name" | "original_login" | "system_user", []) => {
                Value::text(&world.user)
            }
            ("has_perms_by_name", [_, _, Value::Text(permission)]) => {
                let server_state = permission.eq_ignore_ascii_case("VIEW SERVER STATE");
                Value::Int(i64::from(!server_state || world.view_server_state))
            }
            ("isnull" | "coalesce", values @ [_, _, ..]) => values
                .iter()
                .find(|value| **value != Value::Null)
                .cloned()
                .unwrap_or(Value::Null),
            _ => {
                return Err(SqlError::with_message(
                    195,
                    format!("'{function}' is not a recognized built-in function name."),
                ));
            }
        })
    }
}

/// `%` only, which is all that monitoring queries use.
fn like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('%');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match rest.split_once(middle) {
                Some((_, tail)) => rest = tail,
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(suffix) => rest.ends_with(suffix),
    }
}
