//! `inject`: a manifest of Deployments and StatefulSets that run SQL, with the supervisor added.
//!
//! Text in, text or a refusal out; no I/O. What its owner wrote stays as it is, byte for byte: what is
//! added is put between the lines, and only what is replaced (probes, a rolling update) loses its text.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`node`] | the documents with the places of their values |
//! | [`workload`], [`images`] | which of them run SQL, and in which container |
//! | [`obstacles`], [`facts`] | what stands in the way; what the additions are made from |
//! | [`additions`], [`names`] | what is added, with all names and numbers |
//! | [`plan`] | the changes, and what their owner should know |
//! | [`edit`], [`render`] | the changes as text |
//! | [`patch`] | the changes as a strategic merge patch |
//!
//! **Architecture invariant:** nothing comes out that was not read back. The result is parsed again, has
//! to mean what the changes mean for the original, has to be known as "already there", and every other
//! document has to be what it was.
//!
//! Run on its own output it refuses: [`Why::AlreadyThere`].

pub mod additions;
pub mod edit;
pub mod facts;
pub mod images;
pub mod names;
pub mod node;
pub mod obstacles;
pub mod patch;
pub mod plan;
pub mod refusal;
pub mod render;
pub mod value;
pub mod workload;

use granit_parser::ErrorKind;

use edit::{Edit, Source, apply, rewrite};
use node::{Document, Kind, MAX_NODES, Node, NotYaml};
use plan::Plan;
use refusal::{Refusal, Why};
use render::{Layout, block_entries, flow};
use value::Value;
use workload::{Found, Objection, Workload, look, object};

/// Bytes of a file at most: etcd takes no object above 1.5 MiB (`--max-request-bytes`), and several
/// stand in one file.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The supervisor's image.
    pub image: String,
    /// The container that runs SQL, where it was named.
    pub container: Option<String>,
    /// `launch` is the SQL container's first process; else its command stays (attach).
    pub launch: bool,
    /// For clusters without native sidecars.
    pub classic: bool,
    /// The supervisor's login, where it was named.
    pub login: Option<Login>,
    /// Only the patch.
    pub patch: bool,
}

/// A login, and the Secret's key that holds its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub user: String,
    /// The Secret.
    pub secret: String,
    /// The key in it.
    pub key: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    /// The manifest, or the patch.
    pub text: String,
    /// What the owner should know, a line each.
    pub notes: Vec<String>,
}

/// What becomes of a document.
struct Change<'a> {
    index: usize,
    workload: Workload<'a>,
    plan: Plan,
    layout: Layout,
}

/// Adds the supervisor to each workload of a manifest that runs SQL.
///
/// # Errors
/// With the reason and what to do, when there is none, when one can't be understood, and when one has
/// the supervisor already. Then nothing of the manifest is changed.
pub fn inject(text: &str, request: &Request) -> Result<Injected, Refusal> {
    let documents = parse(text)?;
    let roots: Vec<_> = documents
        .iter()
        .filter_map(|document| document.root.as_ref())
        .collect();
    let mut notes = Vec::new();
    let mut changes = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let said = |objection| refusal(text, document.root.as_ref(), objection);
        let name = document.root.as_ref().and_then(object).unwrap_or_default();
        match look(document, request.container.as_deref()).map_err(said)? {
            Found::Other => {}
            Found::OtherKind => notes.push(format!(
                "{name}: left as it is: Deployments and StatefulSets only are changed"
            )),
            Found::Workload(workload) => {
                let mut plan = plan::plan(&workload, request, &roots).map_err(said)?;
                let named = plan.notes.drain(..).map(|note| format!("{name}: {note}"));
                notes.extend(named);
                changes.push(Change {
                    index,
                    workload,
                    plan,
                    layout: layout(workload.root),
                });
            }
        }
    }
    if changes.is_empty() {
        let seen = notes.iter().map(|note| format!(" ({note})")).collect();
        return Err(whole(Why::Nothing(seen)));
    }
    let result = written(text, &documents, &changes, request)
        .filter(|result| request.patch || is_read_back(result, &documents, &changes, request));
    match result {
        Some(text) => Ok(Injected { text, notes }),
        None => Err(whole(Why::Unsure)),
    }
}

/// A refusal that is about the whole file.
fn whole(why: Why) -> Refusal {
    Refusal {
        line: None,
        object: None,
        why,
    }
}

fn refusal(text: &str, root: Option<&Node>, objection: Objection) -> Refusal {
    let before = objection.at.and_then(|at| text.get(..at));
    Refusal {
        line: before.map(|before| before.matches('\n').count() + 1),
        object: root.and_then(object),
        why: objection.why,
    }
}

fn parse(text: &str) -> Result<Vec<Document>, Refusal> {
    if text.len() > MAX_BYTES {
        return Err(whole(Why::TooLong(MAX_BYTES)));
    }
    node::parse(text).map_err(|error| match error {
        NotYaml::TooMany => whole(Why::TooMany(MAX_NODES)),
        NotYaml::Scan(error) => {
            let why = match error.kind() {
                _ if text.contains("{{") => Why::Template,
                ErrorKind::TabNotAllowed
                | ErrorKind::TabInBlockIndentation
                | ErrorKind::TabInIndentation
                | ErrorKind::TabInPlainScalar => Why::Tab,
                kind => Why::NotYaml(kind.to_string()),
            };
            Refusal {
                line: Some(error.marker().line()),
                ..whole(why)
            }
        }
    })
}

/// How a document is laid out, as far as it shows.
fn layout(root: &Node) -> Layout {
    /// More would be alignment, not indentation.
    const MOST: usize = 8;
    let columns = |parent: Option<&Node>, key: &str| {
        let entry = parent?.entries().iter().find(|entry| entry.is(key))?;
        let columns = entry.value.column.checked_sub(entry.key.column)?;
        (!entry.value.is_flow() && columns <= MOST).then_some(columns)
    };
    let like = Layout::default();
    let step = columns(Some(root), "spec").filter(|step| *step > 0);
    Layout {
        step: step.unwrap_or(like.step),
        dash: columns(root.at(&["spec", "template", "spec"]), "containers").unwrap_or(like.dash),
        json: matches!(root.kind, Kind::Map { flow: true, .. }),
    }
}

/// The manifest with its changes, or the patch.
fn written(
    text: &str,
    documents: &[Document],
    changes: &[Change<'_>],
    request: &Request,
) -> Option<String> {
    if request.patch {
        return patches(changes);
    }
    // A file that has the line breaks of Windows gets no others.
    let breaks = text.matches('\n').count();
    let newline = match breaks > 0 && text.matches("\r\n").count() == breaks {
        true => "\r\n",
        false => "\n",
    };
    let edits: Vec<(&Node, Layout, &[Edit])> = changes
        .iter()
        .filter_map(|change| {
            let root = documents[change.index].root.as_ref()?;
            Some((root, change.layout, &change.plan.edits[..]))
        })
        .collect();
    rewrite(Source { text, newline }, &edits).ok()
}

/// The patches, a document each, read back as well.
fn patches(changes: &[Change<'_>]) -> Option<String> {
    let patches: Vec<_> = changes
        .iter()
        .map(|change| patch::patch(&change.workload, &change.plan.edits))
        .collect();
    let texts: Vec<_> = patches
        .iter()
        .map(|patch| match patch {
            Value::Map(entries) => block_entries(entries, Layout::default()).join("\n"),
            other => flow(other, false),
        })
        .collect();
    let text = texts.join("\n---\n") + "\n";
    let read = node::parse(&text).ok()?;
    let means = |(read, patch): (&Document, &Value)| {
        read.root
            .as_ref()
            .is_some_and(|root| Value::of(root).means(patch))
    };
    let same = read.len() == patches.len() && read.iter().zip(&patches).all(means);
    same.then_some(text)
}

/// Whether the result is what was meant, and nothing else.
fn is_read_back(
    result: &str,
    documents: &[Document],
    changes: &[Change<'_>],
    request: &Request,
) -> bool {
    let Ok(read) = node::parse(result) else {
        return false;
    };
    let is_meant = |(index, (before, after)): (usize, (&Document, &Document))| {
        let (before, after_root) = match (&before.root, &after.root) {
            (Some(before), Some(after)) => (before, after),
            (before, after) => return before.is_none() && after.is_none(),
        };
        let mut meant = Value::of(before);
        let Some(change) = changes.iter().find(|change| change.index == index) else {
            return Value::of(after_root).means(&meant);
        };
        let is_there = look(after, request.container.as_deref())
            .is_err_and(|objection| matches!(objection.why, Why::AlreadyThere(_)));
        is_there
            && apply(&mut meant, &change.plan.edits).is_ok()
            && Value::of(after_root).means(&meant)
    };
    read.len() == documents.len() && documents.iter().zip(&read).enumerate().all(is_meant)
}
