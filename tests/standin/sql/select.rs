//! SELECT: its syntax tree and parser.

use super::super::messages::SqlError;
use super::Kind;
use super::expression::Expression;
use super::grammar::{CLAUSES, expression, list};
use super::lexer::{Cursor, Token};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select {
    pub distinct: bool,
    pub top: Option<Box<Expression>>,
    pub items: Vec<Item>,
    pub sources: Vec<Source>,
    pub condition: Option<Expression>,
    pub group: Vec<Expression>,
    pub having: Option<Expression>,
    pub order: Vec<Order>,
    /// `UNION ALL` with this one.
    pub union: Option<Box<Select>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub expression: Expression,
    /// Without an alias a column keeps its name and anything else has none.
    pub alias: Option<String>,
    /// `@name = expression`
    pub variable: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub table: Table,
    /// The name that its columns are qualified with, lower case.
    pub alias: String,
    pub join: Join,
    pub on: Option<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Table {
    /// Lower case, with its arguments when it is a function.
    Named(String, Vec<Expression>),
    Derived(Box<Select>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Also of the first source, with the one row that was there before it.
    Inner,
    Left,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub expression: Expression,
    pub descending: bool,
}

impl Select {
    /// Returns the first table's name; empty without one.
    pub fn first_table(&self) -> &str {
        match self.sources.first().map(|source| &source.table) {
            Some(Table::Named(name, _)) => name,
            Some(Table::Derived(query)) => query.first_table(),
            None => "",
        }
    }

    pub fn kind(&self) -> Kind {
        let assigns = self.items.iter().any(|item| item.variable.is_some());
        match self.first_table().rsplit('.').next().unwrap_or_default() {
            "" if assigns => Kind::Set,
            "" if self.items.iter().all(|item| constant(&item.expression)) => Kind::Ping,
            "" => Kind::Properties,
            "databases" => Kind::Databases,
            "dm_os_sys_info" => Kind::SystemInfo,
            "dm_exec_requests" => Kind::Requests,
            "journal" => Kind::JournalRead,
            _ => Kind::Monitoring,
        }
    }

    /// Returns every table's name in this query and in those inside it.
    pub fn tables(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for source in &self.sources {
            match &source.table {
                Table::Named(name, _) => names.push(name.as_str()),
                Table::Derived(query) => names.extend(query.tables()),
            }
        }
        for expression in self.expressions() {
            collect(expression, &mut names);
        }
        names.extend(self.union.iter().flat_map(|query| query.tables()));
        names
    }

    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let items = self.items.iter().map(|item| &item.expression);
        let joins = self.sources.iter().filter_map(|source| source.on.as_ref());
        items
            .chain(joins)
            .chain(&self.condition)
            .chain(&self.having)
            .chain(&self.group)
    }
}

fn collect<'a>(expression: &'a Expression, names: &mut Vec<&'a str>) {
    names.extend(expression.query().into_iter().flat_map(Select::tables));
    for child in expression.children() {
        collect(child, names);
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
    cursor.enter()?;
    let mut select = Select {
        distinct: cursor.accept_word("DISTINCT"),
        ..Select::default()
    };
    if cursor.accept_word("TOP") {
        select.top = Some(Box::new(top(cursor)?));
    }
    select.items = list(cursor, item)?;
    if cursor.accept_word("FROM") {
        select.sources = sources(cursor)?;
    }
    if cursor.accept_word("WHERE") {
        select.condition = Some(expression(cursor)?);
    }
    if cursor.accept_word("GROUP") {
        cursor.expect_word("BY")?;
        select.group = list(cursor, expression)?;
    }
    if cursor.accept_word("HAVING") {
        select.having = Some(expression(cursor)?);
    }
    if cursor.accept_word("UNION") {
        cursor.expect_word("ALL")?;
        cursor.expect_word("SELECT")?;
        select.union = Some(Box::new(parse_select(cursor)?));
    } else if cursor.accept_word("ORDER") {
        cursor.expect_word("BY")?;
        select.order = list(cursor, order)?;
    }
    if cursor.accept_word("OPTION") {
        parenthesized(cursor)?;
    }
    cursor.leave();
    Ok(select)
}

/// `TOP 5` or `TOP (expression)`.
fn top(cursor: &mut Cursor<'_>) -> Result<Expression, SqlError> {
    if cursor.accept_symbol("(") {
        let limit = expression(cursor)?;
        cursor.expect_symbol(")")?;
        return Ok(limit);
    }
    let limit = cursor.integer()?;
    Ok(Expression::Literal(
        super::super::tds::value::Value::Int(limit),
        super::super::tds::types::SqlType::BigInt,
    ))
}

fn sources(cursor: &mut Cursor<'_>) -> Result<Vec<Source>, SqlError> {
    let mut sources = vec![source(cursor, Join::Inner)?];
    loop {
        let join = if cursor.accept_symbol(",") {
            sources.push(source(cursor, Join::Inner)?);
            continue;
        } else if cursor.accept_word("CROSS") {
            cursor.expect_word("JOIN")?;
            sources.push(source(cursor, Join::Inner)?);
            continue;
        } else if cursor.accept_word("LEFT") {
            cursor.accept_word("OUTER");
            Join::Left
        } else if cursor.accept_word("INNER") || cursor.at_word("JOIN") {
            Join::Inner
        } else {
            return Ok(sources);
        };
        cursor.expect_word("JOIN")?;
        let mut joined = source(cursor, join)?;
        cursor.expect_word("ON")?;
        joined.on = Some(expression(cursor)?);
        sources.push(joined);
    }
}

fn source(cursor: &mut Cursor<'_>, join: Join) -> Result<Source, SqlError> {
    let table = if cursor.accept_symbol("(") {
        cursor.expect_word("SELECT")?;
        let query = Box::new(parse_select(cursor)?);
        cursor.expect_symbol(")")?;
        Table::Derived(query)
    } else {
        let name = cursor.dotted_name()?;
        let mut arguments = Vec::new();
        if cursor.accept_symbol("(") {
            arguments = list(cursor, expression)?;
            cursor.expect_symbol(")")?;
        }
        Table::Named(name, arguments)
    };
    let own = match &table {
        Table::Named(name, _) => name.rsplit('.').next().unwrap_or_default().to_owned(),
        Table::Derived(_) => String::new(),
    };
    let named = cursor.accept_word("AS");
    let alias = if named || alias_follows(cursor) {
        cursor.identifier()?.to_ascii_lowercase()
    } else {
        own
    };
    // Hints: nothing here locks.
    if cursor.accept_word("WITH") || cursor.at_symbol("(") {
        parenthesized(cursor)?;
    }
    Ok(Source {
        table,
        alias,
        join,
        on: None,
    })
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
    let mut item = Item {
        expression: expression(cursor)?,
        alias: None,
        variable: None,
    };
    // `alias = expression` and `@variable = expression` look like comparisons.
    if let Expression::Compare("=", left, right) = &item.expression {
        match &**left {
            Expression::Column { table: None, name } => {
                item.alias = Some(name.clone());
                item.expression = (**right).clone();
                return Ok(item);
            }
            Expression::Variable(name) => {
                item.variable = Some(name.clone());
                item.expression = (**right).clone();
                return Ok(item);
            }
            _ => {}
        }
    }
    if cursor.accept_word("AS") || alias_follows(cursor) {
        item.alias = match cursor.peek() {
            Some(Token::Text(text)) => {
                cursor.take();
                Some(text.clone())
            }
            _ => Some(cursor.identifier()?),
        };
    }
    Ok(item)
}

fn order(cursor: &mut Cursor<'_>) -> Result<Order, SqlError> {
    let expression = expression(cursor)?;
    let descending = cursor.accept_word("DESC");
    if !descending {
        cursor.accept_word("ASC");
    }
    Ok(Order {
        expression,
        descending,
    })
}
