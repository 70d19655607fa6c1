//! The manifests below `given`, and ways to ask.

use std::path::{Path, PathBuf};

use sql_edge_supervisor::inject::{Injected, Request, inject};

/// A file of this folder.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inject")
        .join(name)
}

/// Its text.
pub fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).expect("the file is there")
}

/// What the command asks for without flags.
pub fn request() -> Request {
    Request::of("registry.example/sql-edge-supervisor:0.1.0")
}

/// The same with a login of its own.
pub fn with_login(request: Request) -> Request {
    Request {
        user: Some("supervisor".to_owned()),
        secret: Some(("sql-supervisor".to_owned(), "password".to_owned())),
        ..request
    }
}

/// With a login that the supervisor makes itself.
pub fn bootstrapped(request: Request) -> Request {
    Request {
        bootstrap: true,
        user: None,
        ..with_login(request)
    }
}

/// Injects what has to be taken.
pub fn injected(text: &str, request: &Request) -> Injected {
    inject(text, request).unwrap_or_else(|refusal| panic!("{refusal}\n{text}"))
}
