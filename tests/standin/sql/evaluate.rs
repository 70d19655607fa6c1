//! SELECT evaluated: join, filter, group, project, order.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use super::super::messages::SqlError;
use super::super::tds::types::SqlType;
use super::super::tds::value::{Column, ResultSet, Value};
use super::catalog::World;
use super::expression::Expression;
use super::join::Index;
use super::scope::{Row, Scope, compare};
use super::select::{Item, Join, Select, Source, Table};

/// Local variables with their types, by lower-case name.
pub type Variables = BTreeMap<String, (SqlType, Value)>;

/// The tables that a query names, read before it is evaluated.
pub type Tables = HashMap<String, ResultSet>;

/// The context in which a query is evaluated.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub tables: &'a Tables,
    pub world: &'a World,
    pub variables: &'a Variables,
}

impl Context<'_> {
    /// Returns a value that depends on no table.
    pub fn constant(self, expression: &Expression) -> Result<Value, SqlError> {
        let mut expression = expression.clone();
        self.settle(&mut expression)?;
        let scope = Scope {
            columns: &[],
            context: self,
        };
        scope.value(&expression, &[])
    }

    pub fn select(self, select: &Select) -> Result<ResultSet, SqlError> {
        let mut select = select.clone();
        self.settle_all(&mut select)?;
        let found = self.groups(&select)?;
        let scope = Scope {
            columns: &found.columns,
            context: self,
        };
        let items = expand(&select.items, &found.columns);
        let columns: Vec<Column> = items
            .iter()
            .map(|item| scope.result_column(&item.expression, item.alias.as_deref()))
            .collect::<Result<_, _>>()?;
        let mut rows = Vec::new();
        for group in &found.groups {
            let row: Row = items
                .iter()
                .map(|item| scope.value(&item.expression, group))
                .collect::<Result<_, _>>()?;
            let keys: Row = select
                .order
                .iter()
                .map(|order| match projected(&order.expression, &columns) {
                    Some(index) => Ok(row[index].clone()),
                    None => scope.value(&order.expression, group),
                })
                .collect::<Result<_, _>>()?;
            rows.push((keys, row));
        }
        rows.sort_by(|(a, _), (b, _)| {
            let keys = a.iter().zip(b).zip(&select.order);
            keys.map(|((a, b), order)| {
                let ordering = compare(a, b).unwrap_or(Ordering::Equal);
                if order.descending {
                    ordering.reverse()
                } else {
                    ordering
                }
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
        });
        let mut rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
        if select.distinct {
            let mut seen = Vec::new();
            rows.retain(|row| {
                let new = !seen.contains(row);
                if new {
                    seen.push(row.clone());
                }
                new
            });
        }
        if let Some(top) = &select.top {
            let limit = match self.constant(top)? {
                Value::Int(limit) => usize::try_from(limit).unwrap_or_default(),
                _ => 0,
            };
            rows.truncate(limit);
        }
        if let Some(union) = &select.union {
            rows.extend(self.select(union)?.rows);
        }
        Ok(ResultSet { columns, rows })
    }

    /// `SELECT @a = ..., @b = ... FROM ...`: for each row in order, with what the row before left.
    pub fn assign(self, select: &Select) -> Result<Variables, SqlError> {
        let mut select = select.clone();
        self.settle_all(&mut select)?;
        let found = self.groups(&select)?;
        let mut variables = self.variables.clone();
        for group in &found.groups {
            for item in &select.items {
                let context = Context {
                    variables: &variables,
                    ..self
                };
                let scope = Scope {
                    columns: &found.columns,
                    context,
                };
                let value = scope.value(&item.expression, group)?;
                let name = item.variable.as_deref().unwrap_or_default();
                set(&mut variables, name, &value)?;
            }
        }
        Ok(variables)
    }

    /// Returns the rows that a query's items are evaluated over: one group for each row of the result.
    fn groups(self, select: &Select) -> Result<Found, SqlError> {
        let (columns, mut rows) = self.join(&select.sources)?;
        let scope = Scope {
            columns: &columns,
            context: self,
        };
        if let Some(condition) = &select.condition {
            let mut kept = Vec::new();
            for row in rows {
                if scope.truth(condition, std::slice::from_ref(&row))? == Some(true) {
                    kept.push(row);
                }
            }
            rows = kept;
        }
        let aggregated = select
            .items
            .iter()
            .any(|item| item.expression.any(&is_aggregate));
        let mut groups: Vec<Vec<Row>> = if !select.group.is_empty() {
            let mut index = HashMap::new();
            let mut groups: Vec<Vec<Row>> = Vec::new();
            for row in rows {
                let key: Row = select
                    .group
                    .iter()
                    .map(|expression| scope.value(expression, std::slice::from_ref(&row)))
                    .collect::<Result<_, _>>()?;
                let key = format!("{key:?}").to_lowercase();
                let at = *index.entry(key).or_insert(groups.len());
                match groups.get_mut(at) {
                    Some(group) => group.push(row),
                    None => groups.push(vec![row]),
                }
            }
            groups
        } else if aggregated {
            vec![rows]
        } else {
            rows.into_iter().map(|row| vec![row]).collect()
        };
        if let Some(having) = &select.having {
            let mut kept = Vec::new();
            for group in groups {
                if scope.truth(having, &group)? == Some(true) {
                    kept.push(group);
                }
            }
            groups = kept;
        }
        Ok(Found { columns, groups })
    }

    /// Joins all sources; without any, that is one row without columns.
    fn join(self, sources: &[Source]) -> Result<(Vec<Qualified>, Vec<Row>), SqlError> {
        let mut columns: Vec<Qualified> = Vec::new();
        let mut rows: Vec<Row> = vec![Vec::new()];
        for source in sources {
            let table = self.table(&source.table)?;
            let width = table.columns.len();
            columns.extend(table.columns.into_iter().map(|column| Qualified {
                table: source.alias.clone(),
                column,
            }));
            if source.on.is_none() && rows.len() == 1 && rows[0].is_empty() {
                rows = table.rows;
                continue;
            }
            let scope = Scope {
                columns: &columns,
                context: self,
            };
            let index = Index::new(
                &scope,
                source.on.as_ref(),
                &table.rows,
                columns.len() - width,
            );
            let mut joined = Vec::new();
            for left in &rows {
                let before = joined.len();
                for right in index.candidates(left) {
                    let row: Row = left.iter().chain(right).cloned().collect();
                    let holds = match &source.on {
                        None => true,
                        Some(on) => scope.truth(on, std::slice::from_ref(&row))? == Some(true),
                    };
                    if holds {
                        joined.push(row);
                    }
                }
                if source.join == Join::Left && joined.len() == before {
                    let nulls = std::iter::repeat_n(Value::Null, width);
                    joined.push(left.iter().cloned().chain(nulls).collect());
                }
            }
            rows = joined;
        }
        Ok((columns, rows))
    }

    fn table(self, table: &Table) -> Result<ResultSet, SqlError> {
        let (name, arguments) = match table {
            Table::Derived(query) => return self.select(query),
            Table::Named(name, arguments) => (name, arguments),
        };
        let mut found = self
            .tables
            .get(name)
            .cloned()
            .ok_or_else(|| SqlError::invalid_object(name))?;
        // A view that is a function takes the values of its first columns, or NULL for all of them.
        for (index, argument) in arguments.iter().enumerate() {
            let wanted = self.constant(argument)?;
            if wanted != Value::Null {
                found
                    .rows
                    .retain(|row| compare(&row[index], &wanted) == Some(Ordering::Equal));
            }
        }
        Ok(found)
    }

    fn settle_all(self, select: &mut Select) -> Result<(), SqlError> {
        let items = select.items.iter_mut().map(|item| &mut item.expression);
        let joins = select.sources.iter_mut().flat_map(|s| s.on.as_mut());
        let orders = select.order.iter_mut().map(|order| &mut order.expression);
        for expression in items
            .chain(joins)
            .chain(orders)
            .chain(&mut select.condition)
            .chain(&mut select.having)
            .chain(&mut select.group)
        {
            self.settle(expression)?;
        }
        Ok(())
    }

    /// Puts the answers of the queries inside an expression into their places.
    fn settle(self, expression: &mut Expression) -> Result<(), SqlError> {
        for child in expression.children_mut() {
            self.settle(child)?;
        }
        let Some(query) = expression.query() else {
            return Ok(());
        };
        let answer = self.select(query)?;
        let sql_type = answer.columns.first().map_or(SqlType::Int, |c| c.sql_type);
        let mut first = answer.rows.iter().filter_map(|row| row.first().cloned());
        *expression = match expression {
            Expression::InQuery(left, _) => Expression::In(
                left.clone(),
                first
                    .map(|value| Expression::Literal(value, sql_type))
                    .collect(),
            ),
            Expression::Exists(_) => {
                let exists = i64::from(!answer.rows.is_empty());
                let value = Expression::Literal(Value::Int(exists), SqlType::Int);
                let one = Expression::Literal(Value::Int(1), SqlType::Int);
                Expression::Compare("=", Box::new(value), Box::new(one))
            }
            _ => Expression::Literal(first.next().unwrap_or(Value::Null), sql_type),
        };
        Ok(())
    }
}

/// Gives a declared variable a value, in its type.
pub fn set(variables: &mut Variables, name: &str, value: &Value) -> Result<(), SqlError> {
    let (sql_type, held) = variables
        .get_mut(name)
        .ok_or_else(|| SqlError::undeclared(name))?;
    *held = value.cast(sql_type);
    Ok(())
}

/// A column and the name of the source it comes from.
#[derive(Clone, Debug)]
pub struct Qualified {
    pub table: String,
    pub column: Column,
}

struct Found {
    columns: Vec<Qualified>,
    groups: Vec<Vec<Row>>,
}

fn expand(items: &[Item], columns: &[Qualified]) -> Vec<Item> {
    let all = || {
        columns.iter().map(|qualified| Item {
            expression: Expression::Column {
                table: Some(qualified.table.clone()),
                name: qualified.column.name.clone(),
            },
            alias: None,
            variable: None,
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

/// Returns the item of the result that ORDER BY means, when it names one.
fn projected(expression: &Expression, columns: &[Column]) -> Option<usize> {
    let Expression::Column { table: None, name } = expression else {
        return None;
    };
    columns
        .iter()
        .position(|column| column.name.eq_ignore_ascii_case(name))
}

pub fn is_aggregate(expression: &Expression) -> bool {
    match expression {
        Expression::CountAll => true,
        Expression::Call { function, .. } => matches!(
            function.as_str(),
            "max" | "min" | "sum" | "avg" | "count" | "count_big" | "string_agg"
        ),
        _ => false,
    }
}
