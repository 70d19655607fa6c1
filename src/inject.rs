//! `inject`: adds the supervisor to the workloads of a manifest that run SQL, such as Deployments.
//!
//! Text goes in, and text or a refusal comes out; there is no I/O. The owner's text stays as it is, byte for
//! byte: additions are put between the lines, and only what is replaced (probes, a rolling update) loses its
//! text.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`node`] | the documents with the places of their values |
//! | [`workload`], [`images`] | which objects run SQL, and in which container |
//! | [`obstacles`], [`facts`] | the obstacles to a change; the facts that the additions are made from |
//! | [`volumes`], [`environment`] | of these facts, the engine's volumes and its environment variables |
//! | [`conf`], [`login`], [`hook`] | of these facts, mssql.conf, the login, and an existing preStop hook |
//! | [`mesh`], [`quantity`] | the ports that a service mesh must not redirect; amounts of memory and processor time |
//! | [`additions`], [`names`] | the additions, with all names and numbers |
//! | [`plan`] | the changes, and the notes on them for the owner |
//! | [`remarks`], [`around`] | the notes on the engine, and on what stands around it |
//! | [`edit`], [`render`] | the changes as text |
//! | [`patch`] | the changes as a strategic merge patch |
//! | [`value`] | values without places in a text |
//! | [`refusal`] | the reasons for a refusal, with advice |
//!
//! **Architecture invariant:** nothing is returned that was not read back. The result is parsed again, has to
//! mean what the changes mean for the original, has to be recognized as [`Why::AlreadyThere`], and every
//! other document has to be what it was.
//!
//! Run on its own output, it refuses with [`Why::AlreadyThere`], or leaves the output as it is where that was
//! asked for.

pub mod additions;
pub mod around;
pub mod conf;
pub mod edit;
pub mod environment;
pub mod facts;
pub mod hook;
pub mod images;
pub mod login;
pub mod mesh;
pub mod names;
pub mod node;
pub mod obstacles;
pub mod patch;
pub mod plan;
pub mod quantity;
pub mod refusal;
pub mod remarks;
pub mod render;
pub mod value;
pub mod volumes;
pub mod workload;

use granit_parser::ErrorKind;

use edit::{Edit, Source, apply, rewrite, shared};
use facts::Uid;
use node::{Document, MAX_NODES, Node, NotYaml};
use plan::Plan;
use refusal::{Refusal, Why};
use render::{Layout, block_entries, flow};
use value::Value;
use workload::{Found, Objection, Workload, look, object, objects};

/// The limit of a manifest, in bytes: etcd takes no object above 1.5 MiB (`--max-request-bytes`), and several
/// stand in one file.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The options of `inject`.
#[derive(Clone, Debug)]
pub struct Request {
    /// The supervisor's image.
    pub image: String,
    /// The name of the container that runs SQL, where it was given.
    pub container: Option<String>,
    /// Whether `launch` becomes the SQL container's first process; else the container's command stays
    /// (attach).
    pub launch: bool,
    /// Whether the additions are for clusters without native sidecars.
    pub classic: bool,
    /// The name of the supervisor's login, where it was given.
    pub user: Option<String>,
    /// The Secret with the login's password and the key in it, where they were given.
    pub secret: Option<(String, String)>,
    /// The file with the login's password, as the SQL container has it, where it was given.
    pub password_file: Option<String>,
    /// Whether the supervisor makes its own login, by the password that the engine is given.
    pub bootstrap: bool,
    /// The user of the added containers, where it was given.
    pub uid: Option<Uid>,
    /// Whether a volume that goes with the pod is accepted.
    pub dev: bool,
    /// Whether a workload that has the supervisor already, and a file in which nothing runs SQL, are left as
    /// they are instead of refused.
    pub if_needed: bool,
    /// Whether only a patch is printed.
    pub patch: bool,
}

impl Request {
    /// Returns the options where nothing but the image is given.
    #[must_use]
    pub fn of(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            container: None,
            launch: true,
            classic: false,
            user: None,
            secret: None,
            password_file: None,
            bootstrap: false,
            uid: None,
            dev: false,
            if_needed: false,
            patch: false,
        }
    }
}

/// The result of `inject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    /// The text of the manifest, or of the patch.
    pub text: String,
    /// Notes for the manifest's owner, a line each.
    pub notes: Vec<String>,
}

/// The changes of one workload, with its place in the documents.
struct Change<'a> {
    index: usize,
    workload: Workload<'a>,
    plan: Plan,
    layout: Layout,
}

/// Adds the supervisor to each workload of a manifest that runs SQL.
///
/// # Errors
/// With the reason and advice, when the manifest has no workload that runs SQL, when one can't be understood,
/// and when one has the supervisor already. Then nothing of the manifest is changed.
pub fn inject(text: &str, request: &Request) -> Result<Injected, Refusal> {
    let documents = parse(text)?;
    let everything: Vec<_> = documents.iter().flat_map(objects).collect();
    let everything: Vec<_> = everything.into_iter().map(|(_, object)| object).collect();
    let mut notes = Vec::new();
    let mut changes = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        for (base, root) in objects(document) {
            let said = |objection| refusal(text, root, objection);
            let name = object(root).unwrap_or_else(|| "an object without a kind".to_owned());
            match look(document, (&base, root), request.container.as_deref()) {
                Ok(Found::Other) => {}
                Ok(Found::OtherKind) => {
                    notes.push(format!("{name}: left as it is: {OTHER_KIND}"));
                }
                Ok(Found::Made(maker)) => {
                    notes.push(format!(
                        "{name}: left as it is: {maker} makes it, and is what to change"
                    ));
                }
                Ok(Found::Workload(workload)) => {
                    let mut plan = plan::plan(&workload, request, &everything).map_err(said)?;
                    let at = document
                        .root
                        .as_ref()
                        .and_then(|root| shared(root, &plan.edits));
                    if at.is_some() {
                        let why = Why::Anchor;
                        return Err(said(Objection { why, at }));
                    }
                    let named = plan.notes.drain(..).map(|note| format!("{name}: {note}"));
                    notes.extend(named);
                    changes.push(Change {
                        index,
                        layout: layout(&workload, document.root.as_ref()),
                        workload,
                        plan,
                    });
                }
                Err(objection) if request.if_needed && objection.is_there() => {
                    notes.push(format!("{name}: left as it is: {}", objection.why));
                }
                Err(objection) => return Err(said(objection)),
            }
        }
    }
    if changes.is_empty() {
        return nothing(text, &documents, request, notes);
    }
    let result = written(text, &documents, &changes, request)
        .filter(|result| request.patch || is_read_back(result, &documents, &changes, request));
    match result {
        Some(text) => Ok(Injected { text, notes }),
        None => Err(whole(Why::Unsure)),
    }
}

/// The note for an object that runs SQL and is of none of the kinds that are changed.
const OTHER_KIND: &str = "Deployments, StatefulSets, DeploymentConfigs, ReplicaSets, ReplicationControllers and Pods are changed, and nothing else";

/// Returns the result for a file in which nothing is to be changed.
fn nothing(
    text: &str,
    documents: &[Document],
    request: &Request,
    notes: Vec<String>,
) -> Result<Injected, Refusal> {
    if request.if_needed {
        let text = match request.patch {
            true => String::new(),
            false => text.to_owned(),
        };
        return Ok(Injected { text, notes });
    }
    let mut roots = documents
        .iter()
        .filter_map(|document| document.root.as_ref());
    let is_compose = |root: &Node| {
        let services = root.get("services").map(Node::entries).unwrap_or_default();
        root.get("kind").is_none()
            && services
                .iter()
                .any(|service| service.value.text_of("image").is_some())
    };
    if roots.any(is_compose) {
        return Err(whole(Why::Compose));
    }
    let seen = notes.iter().map(|note| format!(" ({note})")).collect();
    Err(whole(match notes.is_empty() {
        true => Why::Nothing(seen),
        false => Why::OtherKinds(seen),
    }))
}

/// Returns a refusal that is about the whole file.
fn whole(why: Why) -> Refusal {
    Refusal {
        line: None,
        object: None,
        why,
    }
}

fn refusal(text: &str, root: &Node, objection: Objection) -> Refusal {
    let before = objection.at.and_then(|at| text.get(..at));
    Refusal {
        line: before.map(|before| before.matches('\n').count() + 1),
        object: object(root),
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
            let line = text.lines().nth(error.marker().line().saturating_sub(1));
            let line = line.unwrap_or_default().trim();
            let why = match error.kind() {
                _ if text.contains("{{") => Why::Template,
                _ if text.starts_with('{') && line.starts_with('{') => Why::JsonStream,
                _ if line.contains("${") => Why::Unfilled("${...}".to_owned()),
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

/// Returns the layout of a document, as far as the workload shows it.
fn layout(workload: &Workload<'_>, document: Option<&Node>) -> Layout {
    /// The largest indentation, in columns; more would be alignment.
    const MOST: usize = 8;
    let columns = |parent: Option<&Node>, key: &str| {
        let entry = parent?.entries().iter().find(|entry| entry.is(key))?;
        let columns = entry.value.column.checked_sub(entry.key.column)?;
        let is_here = entry.value.shared.is_none() && !entry.value.is_flow();
        (is_here && columns <= MOST).then_some(columns)
    };
    let like = Layout::default();
    let step = columns(Some(workload.root), "spec").filter(|step| *step > 0);
    Layout {
        step: step.unwrap_or(like.step),
        dash: columns(Some(workload.pod), "containers").unwrap_or(like.dash),
        json: document.is_some_and(Node::is_flow),
    }
}

/// Returns the manifest with its changes, or the patch.
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

/// Returns the patches, a document each, which are read back as well.
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

/// Whether the result means what the changes mean for the original, and nothing else.
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
        let there = objects(after);
        let mut changes = changes.iter().filter(|change| change.index == index);
        changes.all(|change| {
            let object = there.iter().find(|(base, _)| *base == change.workload.base);
            let looked =
                object.map(|(base, root)| look(after, (base, root), request.container.as_deref()));
            looked.is_some_and(|looked| looked.is_err_and(|objection| objection.is_there()))
                && apply(&mut meant, &change.plan.edits).is_ok()
        }) && Value::of(after_root).means(&meant)
    };
    read.len() == documents.len() && documents.iter().zip(&read).enumerate().all(is_meant)
}
