//! Expressions and predicates: one syntax tree for both.

use super::super::tds::types::SqlType;
use super::super::tds::value::Value;
use super::select::Select;

#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Literal(Value, SqlType),
    /// `@name` or `@@name`, lower case.
    Variable(String),
    Column {
        table: Option<String>,
        name: String,
    },
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
    Case {
        arms: Vec<(Expression, Expression)>,
        otherwise: Option<Box<Expression>>,
    },
    /// Arithmetic, and `+` of texts.
    Binary(&'static str, Box<Expression>, Box<Expression>),
    Compare(&'static str, Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    IsNull(Box<Expression>),
    In(Box<Expression>, Vec<Expression>),
    Like(Box<Expression>, Box<Expression>),
    /// `IN (SELECT ...)`; like the two below it knows nothing of the query around it.
    InQuery(Box<Expression>, Box<Select>),
    Exists(Box<Select>),
    /// `(SELECT ...)` of one value.
    Scalar(Box<Select>),
}

impl Expression {
    pub fn column(name: &str) -> Self {
        Self::Column {
            table: None,
            name: name.to_owned(),
        }
    }

    /// Returns the expressions right below this one.
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Literal(..)
            | Self::Variable(_)
            | Self::Column { .. }
            | Self::AllColumns
            | Self::CountAll
            | Self::Exists(_)
            | Self::Scalar(_) => Vec::new(),
            Self::Call { arguments, .. } => arguments.iter().collect(),
            Self::Cast { expression, .. } | Self::InQuery(expression, _) => vec![expression],
            Self::Case { arms, otherwise } => {
                let arms = arms.iter().flat_map(|(when, then)| [when, then]);
                arms.chain(otherwise.as_deref()).collect()
            }
            Self::Binary(_, left, right)
            | Self::Compare(_, left, right)
            | Self::And(left, right)
            | Self::Or(left, right)
            | Self::Like(left, right) => vec![left, right],
            Self::Not(inner) | Self::IsNull(inner) => vec![inner],
            Self::In(left, list) => std::iter::once(&**left).chain(list).collect(),
        }
    }

    /// Returns what [`Self::children`] does, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Literal(..)
            | Self::Variable(_)
            | Self::Column { .. }
            | Self::AllColumns
            | Self::CountAll
            | Self::Exists(_)
            | Self::Scalar(_) => Vec::new(),
            Self::Call { arguments, .. } => arguments.iter_mut().collect(),
            Self::Cast { expression, .. } | Self::InQuery(expression, _) => vec![expression],
            Self::Case { arms, otherwise } => {
                let arms = arms.iter_mut().flat_map(|(when, then)| [when, then]);
                arms.chain(otherwise.as_deref_mut()).collect()
            }
            Self::Binary(_, left, right)
            | Self::Compare(_, left, right)
            | Self::And(left, right)
            | Self::Or(left, right)
            | Self::Like(left, right) => vec![left, right],
            Self::Not(inner) | Self::IsNull(inner) => vec![inner],
            Self::In(left, list) => std::iter::once(&mut **left).chain(list).collect(),
        }
    }

    /// Returns the query right inside this expression, not those of its children.
    pub fn query(&self) -> Option<&Select> {
        match self {
            Self::InQuery(_, query) | Self::Exists(query) | Self::Scalar(query) => Some(query),
            _ => None,
        }
    }

    pub fn any(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self) || self.children().iter().any(|child| child.any(test))
    }
}
