//! The parts that make a batch more than a list: branches, caught errors, and text that is run.

use super::super::messages::{FATAL_CLASS, SqlError};
use super::super::tds::value::Value;
use super::evaluate::{Context, Tables};
use super::execute::{Executor, Stop};
use super::expression::Expression;
use super::select::Select;
use super::statement::{Statement, parse_batch};

/// The greatest depth of dynamic SQL within dynamic SQL; the real engine allows 32 levels.
const MAX_NESTING: usize = 8;

impl Executor<'_> {
    pub async fn statements(
        &mut self,
        statements: &[Statement],
        text: &str,
        depth: usize,
    ) -> Result<(), Stop> {
        for statement in statements {
            self.before(statement.kind(), text).await?;
            match statement {
                Statement::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    let branch = match self.holds(condition)? {
                        true => then,
                        false => otherwise,
                    };
                    Box::pin(self.statements(branch, text, depth)).await?;
                }
                Statement::Try { body, handler } => {
                    match Box::pin(self.statements(body, text, depth)).await {
                        // What ends a connection can't be caught.
                        Err(Stop::Error(error)) if error.class() <= FATAL_CLASS => {
                            Box::pin(self.statements(handler, text, depth)).await?;
                        }
                        other => other?,
                    }
                }
                Statement::Dynamic(inner) => self.dynamic(inner, depth).await?,
                simple => self.statement(simple).await?,
            }
        }
        Ok(())
    }

    pub fn constant(&self, expression: &Expression) -> Result<Value, SqlError> {
        let world = self.engine.world(self.client);
        let mut tables = Tables::new();
        let holder = Select {
            condition: Some(expression.clone()),
            ..Select::default()
        };
        for name in holder.tables() {
            tables.insert(name.to_owned(), world.view(name)?);
        }
        let context = Context {
            tables: &tables,
            world: &world,
            variables: &self.variables,
        };
        context.constant(expression)
    }

    fn holds(&self, condition: &Expression) -> Result<bool, SqlError> {
        // A predicate is 1 where it is true.
        Ok(self.constant(condition)? == Value::Int(1))
    }

    /// Runs a text that was made by the batch, with variables of its own; a USE in it ends with it.
    async fn dynamic(&mut self, text: &Expression, depth: usize) -> Result<(), Stop> {
        let Value::Text(text) = self.constant(text)? else {
            return Ok(());
        };
        if depth == MAX_NESTING {
            return Err(SqlError::new(217).into());
        }
        let statements = parse_batch(&text)?;
        self.response.begin_procedure();
        let variables = std::mem::take(&mut self.variables);
        let database = self.client.database.clone();
        let ran = Box::pin(self.statements(&statements, &text, depth + 1)).await;
        self.variables = variables;
        self.client.database = database;
        self.response.end_procedure(i32::from(ran.is_err()));
        ran
    }
}
