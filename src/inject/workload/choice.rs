//! The choice of the container of a pod that runs SQL.

use super::Objection;
use crate::inject::environment::PASSWORDS;
use crate::inject::images::{Engine, SQLSERVR};
use crate::inject::names::{DATA_DIR, PROGRAM_NAME};
use crate::inject::node::Node;
use crate::inject::refusal::Why;
use crate::inject::volumes::{is_within, path_of};

/// Returns the index of the container that runs SQL, by name where one was chosen.
pub fn choose(containers: &[Node], chosen: Option<&str>) -> Result<Option<usize>, Objection> {
    let all = || (0..containers.len()).collect::<Vec<_>>();
    let name = |index: usize| containers[index].text_of("name").unwrap_or("?");
    let names = |indices: &[usize]| {
        indices
            .iter()
            .map(|i| name(*i))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut engines = all();
    engines.retain(|index| is_engine(&containers[*index]));
    if engines.is_empty() {
        engines = all();
        engines.retain(|index| is_set_up_as_engine(&containers[*index]));
    }
    if let Some(chosen) = chosen {
        let index = all().into_iter().find(|index| name(*index) == chosen);
        return match (index, engines.first()) {
            (Some(index), _) => Ok(Some(index)),
            (None, None) => Ok(None),
            (None, Some(first)) => Err(Objection::new(
                Why::NoSuchContainer(chosen.to_owned(), names(&all())),
                &containers[*first],
            )),
        };
    }
    // The engine's image has tools as well: a container that starts something else is no engine.
    if engines.len() > 1 {
        let starts = |index: &usize| starts_engine(&containers[*index]);
        let starting: Vec<_> = engines.iter().copied().filter(starts).collect();
        if !starting.is_empty() {
            engines = starting;
        }
    }
    match engines[..] {
        [] => match containers.iter().find(|container| {
            container
                .text_of("image")
                .is_some_and(|image| image.contains("{{"))
        }) {
            Some(container) => Err(Objection::new(Why::Template, container)),
            None => Ok(None),
        },
        [index] => Ok(Some(index)),
        [first, ..] => Err(Objection::new(
            Why::SeveralContainers(names(&engines)),
            &containers[first],
        )),
    }
}

fn is_engine(container: &Node) -> bool {
    let image = container.text_of("image").and_then(Engine::of);
    mentions_engine(container) || (image.is_some() && !runs_a_tool(container))
}

/// Whether a container of an owner's own image has what only an engine needs: the licence that is accepted,
/// sa's password, and a volume in the engine's directory.
fn is_set_up_as_engine(container: &Node) -> bool {
    let has = |names: &[&str]| {
        let mut variables = container.items_of("env").iter();
        variables.any(|variable| names.contains(&variable.text_of("name").unwrap_or_default()))
    };
    let mut mounts = container.items_of("volumeMounts").iter();
    has(&["ACCEPT_EULA"])
        && has(&PASSWORDS)
        && mounts.any(|mount| is_within(path_of(mount), DATA_DIR))
        && !runs_a_tool(container)
}

/// Whether a container's command runs a tool of the engine's image, or waits.
fn runs_a_tool(container: &Node) -> bool {
    const TOOLS: [&str; 6] = ["sleep", "tail", "sqlcmd", "bcp", "sqlpackage", "cat"];
    const SHELLS: [&str; 4] = ["sh", "bash", "dash", "ash"];
    let base = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let words: Vec<_> = words(container).collect();
    let script = match &words[..] {
        [program, ..] if TOOLS.contains(&base(program).as_str()) => return true,
        [shell, flags, script]
            if SHELLS.contains(&base(shell).as_str()) && flags.starts_with('-') =>
        {
            script
        }
        _ => return false,
    };
    let starts =
        script.contains("sqlservr") || script.contains(".sh") || script.contains(PROGRAM_NAME);
    let mut words = script.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
    !starts && words.any(|word| TOOLS.contains(&word))
}

/// Returns the words of a container's command and arguments.
pub fn words(container: &Node) -> impl Iterator<Item = &str> {
    let lists = ["command", "args"].into_iter();
    lists
        .flat_map(|key| container.items_of(key))
        .filter_map(Node::text)
}

/// Whether a container's command or arguments hold a text.
pub fn mentions(container: &Node, text: &str) -> bool {
    words(container).any(|word| word.contains(text))
}

/// Whether a container of the engine's image is left to start the engine.
pub fn starts_engine(container: &Node) -> bool {
    let launches = || words(container).any(|word| word.rsplit('/').next() == Some(PROGRAM_NAME));
    container.get("command").is_none() || mentions_engine(container) || launches()
}

fn mentions_engine(container: &Node) -> bool {
    mentions(container, SQLSERVR)
}
