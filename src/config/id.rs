//! Settings that are ids of something: a pod, a node, a volume.

use super::kind::{Kind, scalar};
use super::raw::{Given, Origin, Problem, Shown};

/// The kind of a setting that is an id, or none.
#[derive(Clone, Copy, Debug)]
pub struct OptionalId {
    /// The limit of the id's length, in bytes.
    pub max: usize,
}

impl Kind for OptionalId {
    type Value = Option<String>;

    fn parse(&self, given: &Given) -> Result<Option<String>, Problem> {
        match (scalar(given)?.trim(), &given.origin) {
            ("", Origin::Default) => Ok(None),
            ("", _) => Err(Problem::new("is empty")),
            (text, _) if text.len() > self.max => {
                Err(Problem::new(format!("is longer than {} bytes", self.max)))
            }
            (text, _) if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Some(text.to_owned()))
            }
            _ => Err(Problem::new(
                "holds a blank or a character that is not ASCII",
            )),
        }
    }

    fn show(&self, value: &Option<String>) -> Shown {
        match value {
            Some(id) => Shown::Quoted(id.clone()),
            None => Shown::Unset("none"),
        }
    }

    fn describe(&self) -> String {
        format!("an id of at most {} graphic ASCII characters", self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::Raw;
    use super::*;

    #[test]
    fn an_id_is_graphic_and_short() {
        let parse = |text: &str, origin: Origin| {
            OptionalId { max: 128 }.parse(&Given {
                raw: Raw::Text(text.to_owned()),
                origin,
            })
        };
        let flag = || Origin::Flag("volume-id".to_owned());
        assert_eq!(parse("", Origin::Default), Ok(None));
        assert_eq!(parse(" a-1 ", flag()), Ok(Some("a-1".to_owned())));
        for text in ["", "a b", "a\nb", "\u{e4}", &"x".repeat(129)] {
            assert!(parse(text, flag()).is_err(), "{text}");
        }
    }
}
