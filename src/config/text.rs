//! The kinds of values that are texts: addresses, names, paths, lists.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::kind::{Kind, scalar};
use super::raw::{Given, Origin, Problem, Raw, Shown};
use super::secret::PasswordSource;

/// The limit of a path, in bytes (PATH_MAX of Linux, its NUL included).
const MAX_PATH_BYTES: usize = 4096;

/// The limit of items in a list.
const MAX_ITEMS: usize = 1000;

/// Refuses control characters, which no name, path or host can hold, and which would forge a line of a log.
fn without_control(text: &str) -> Result<&str, Problem> {
    match text.chars().any(char::is_control) {
        true => Err(Problem::new("holds a control character")),
        false => Ok(text),
    }
}

/// The kind of an IP address with a port.
#[derive(Clone, Copy, Debug)]
pub struct Address;

impl Kind for Address {
    type Value = SocketAddr;

    fn parse(&self, given: &Given) -> Result<SocketAddr, Problem> {
        let text = scalar(given)?.trim();
        text.parse().map_err(|_| match text.parse::<u16>() {
            Ok(port) => Problem::with_advice(
                "is a port without an address",
                format!(
                    "give 0.0.0.0:{port} for every address, 127.0.0.1:{port} for this host only"
                ),
            ),
            Err(_) => Problem::new("is not an IP address with a port"),
        })
    }

    fn show(&self, value: &SocketAddr) -> Shown {
        Shown::Quoted(value.to_string())
    }

    fn describe(&self) -> String {
        "an IP address and port, such as 0.0.0.0:9433 or [::]:9433".to_owned()
    }
}

/// The kind of a host, without a port.
#[derive(Clone, Copy, Debug)]
pub struct Host;

/// The limit of a host name, in bytes (RFC 1035, section 2.3.4, less the root's dot).
const MAX_HOST_BYTES: usize = 253;

impl Kind for Host {
    type Value = String;

    fn parse(&self, given: &Given) -> Result<String, Problem> {
        let text = without_control(scalar(given)?.trim())?;
        // Brackets are the way of addresses in URLs; the resolver wants them bare.
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text);
        if bare.parse::<std::net::IpAddr>().is_ok() {
            return Ok(bare.to_owned());
        }
        if bare.contains([':', ',']) {
            return Err(Problem::with_advice(
                "holds more than a host",
                "give the port by --sql-port",
            ));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bare.is_empty() || bare.len() > MAX_HOST_BYTES || !bare.chars().all(allowed) {
            return Err(Problem::new("is neither a host name nor an IP address"));
        }
        Ok(bare.to_owned())
    }

    fn show(&self, value: &String) -> Shown {
        Shown::Quoted(value.clone())
    }

    fn describe(&self) -> String {
        "a host name or an IP address, without a port".to_owned()
    }
}

/// The word that leaves a setting to be found out.
pub const AUTO: &str = "auto";

/// The kind of a value of another kind, or of `auto`, which is no value.
#[derive(Clone, Copy, Debug)]
pub struct Auto<K>(pub K);

impl<K: Kind> Kind for Auto<K> {
    type Value = Option<K::Value>;

    fn parse(&self, given: &Given) -> Result<Option<K::Value>, Problem> {
        match scalar(given)?.trim() {
            AUTO => Ok(None),
            _ => self.0.parse(given).map(Some),
        }
    }

    fn show(&self, value: &Option<K::Value>) -> Shown {
        match value {
            None => Shown::Plain(AUTO.to_owned()),
            Some(value) => self.0.show(value),
        }
    }

    fn describe(&self) -> String {
        format!("{AUTO}, or {}", self.0.describe())
    }
}

/// The kind of a text of another kind, or of an empty text, which is no value.
#[derive(Clone, Copy, Debug)]
pub struct Optional<K>(pub K);

impl<K: Kind<Value = String>> Kind for Optional<K> {
    type Value = Option<String>;

    fn parse(&self, given: &Given) -> Result<Option<String>, Problem> {
        match scalar(given)?.trim() {
            "" => Ok(None),
            _ => self.0.parse(given).map(Some),
        }
    }

    fn show(&self, value: &Option<String>) -> Shown {
        Shown::Quoted(value.clone().unwrap_or_default())
    }

    fn describe(&self) -> String {
        format!("{}, or nothing", self.0.describe())
    }
}

/// The kind of a name of limited length.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// The limit of the name's length, in the unit that `bytes` gives.
    pub max: usize,
    /// Whether the length counts bytes; else it counts UTF-16 units, as SQL Server's `sysname` does.
    pub bytes: bool,
}

/// The kind of a `sysname` of SQL Server: a login, a database.
pub const SYSNAME: Name = Name {
    max: 128,
    bytes: false,
};

/// The kind of a process name as the kernel keeps it (TASK_COMM_LEN of 16, its NUL included).
pub const COMM: Name = Name {
    max: 15,
    bytes: true,
};

impl Name {
    fn read(self, text: &str) -> Result<String, Problem> {
        let text = without_control(text)?;
        let length = match self.bytes {
            true => text.len(),
            false => text.encode_utf16().count(),
        };
        if text.is_empty() {
            return Err(Problem::new("is empty"));
        }
        if length > self.max {
            return Err(Problem::new(format!("is longer than {}", self.limit())));
        }
        Ok(text.to_owned())
    }

    fn limit(self) -> String {
        let unit = if self.bytes { "bytes" } else { "characters" };
        format!("{} {unit}", self.max)
    }
}

impl Kind for Name {
    type Value = String;

    fn parse(&self, given: &Given) -> Result<String, Problem> {
        self.read(scalar(given)?)
    }

    fn show(&self, value: &String) -> Shown {
        Shown::Quoted(value.clone())
    }

    fn describe(&self) -> String {
        format!("a name of at most {}", self.limit())
    }
}

/// The kind of a list of names: a list in a file, separated by commas elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Names(pub Name);

impl Kind for Names {
    type Value = Vec<String>;

    fn parse(&self, given: &Given) -> Result<Vec<String>, Problem> {
        let items: Vec<&str> = match &given.raw {
            Raw::List(items) => items.iter().map(String::as_str).collect(),
            Raw::Text(text) => text
                .split(',')
                .map(str::trim)
                .filter(|i| !i.is_empty())
                .collect(),
            Raw::Other(_) | Raw::SecretIn(_) => vec![scalar(given)?],
        };
        if items.len() > MAX_ITEMS {
            return Err(Problem::new(format!("has more than {MAX_ITEMS} items")));
        }
        let mut names = Vec::with_capacity(items.len());
        for item in items {
            let name = self.0.read(item)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn show(&self, value: &Vec<String>) -> Shown {
        Shown::List(value.clone())
    }

    fn describe(&self) -> String {
        format!(
            "names separated by commas, or a list in the file; each of at most {}",
            self.0.limit()
        )
    }
}

fn absolute(text: &str) -> Result<PathBuf, Problem> {
    let text = without_control(text)?;
    if text.is_empty() {
        return Err(Problem::new("is empty"));
    }
    if text.len() >= MAX_PATH_BYTES {
        return Err(Problem::new(format!(
            "is longer than {} bytes",
            MAX_PATH_BYTES - 1
        )));
    }
    if !Path::new(text).is_absolute() {
        return Err(Problem::new("is not an absolute path"));
    }
    Ok(PathBuf::from(text))
}

fn show_path(path: &Path) -> Shown {
    Shown::Quoted(path.display().to_string())
}

/// The kind of an absolute path. A relative one would depend on the directory that the image starts in.
#[derive(Clone, Copy, Debug)]
pub struct AbsolutePath;

impl Kind for AbsolutePath {
    type Value = PathBuf;

    fn parse(&self, given: &Given) -> Result<PathBuf, Problem> {
        absolute(scalar(given)?)
    }

    fn show(&self, value: &PathBuf) -> Shown {
        show_path(value)
    }

    fn describe(&self) -> String {
        "an absolute path".to_owned()
    }
}

/// The kind of an absolute path, or of none.
#[derive(Clone, Copy, Debug)]
pub struct OptionalPath;

impl Kind for OptionalPath {
    type Value = Option<PathBuf>;

    fn parse(&self, given: &Given) -> Result<Option<PathBuf>, Problem> {
        match (scalar(given)?, &given.origin) {
            ("", Origin::Default) => Ok(None),
            (text, _) => absolute(text).map(Some),
        }
    }

    fn show(&self, value: &Option<PathBuf>) -> Shown {
        value.as_deref().map_or(Shown::Unset("none"), show_path)
    }

    fn describe(&self) -> String {
        AbsolutePath.describe()
    }
}

/// The kind of a Unix socket's path.
#[derive(Clone, Copy, Debug)]
pub struct SocketPath;

/// The limit of a Unix socket's path, in bytes (`sun_path` in unix(7) has 108, its NUL included).
const MAX_SOCKET_BYTES: usize = 107;

impl Kind for SocketPath {
    type Value = PathBuf;

    fn parse(&self, given: &Given) -> Result<PathBuf, Problem> {
        let path = absolute(scalar(given)?)?;
        match path.as_os_str().len() > MAX_SOCKET_BYTES {
            true => Err(Problem::new(format!(
                "is longer than {MAX_SOCKET_BYTES} bytes, the kernel's limit for a socket"
            ))),
            false => Ok(path),
        }
    }

    fn show(&self, value: &PathBuf) -> Shown {
        show_path(value)
    }

    fn describe(&self) -> String {
        format!("an absolute path of at most {MAX_SOCKET_BYTES} bytes")
    }
}

/// The kind of a password's source: a file that is named, or a variable that is set. The value of such a
/// variable is never looked at here.
#[derive(Clone, Copy, Debug)]
pub struct PasswordPlace;

impl Kind for PasswordPlace {
    type Value = PasswordSource;

    fn parse(&self, given: &Given) -> Result<PasswordSource, Problem> {
        if let Raw::SecretIn(name) = &given.raw {
            return Ok(PasswordSource::Env(name.clone()));
        }
        match (scalar(given)?, &given.origin) {
            ("", Origin::Default) => Ok(PasswordSource::Missing),
            // Absolute, and not shown when it is not: it may be the password itself.
            (text, _) => absolute(text).map(PasswordSource::File),
        }
    }

    fn show(&self, value: &PasswordSource) -> Shown {
        match value {
            PasswordSource::File(path) => show_path(path),
            PasswordSource::Env(_) => Shown::Unset("***"),
            PasswordSource::Missing => Shown::Unset("no password is configured"),
        }
    }

    fn describe(&self) -> String {
        "the absolute path of a file that holds the password".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<K: Kind>(kind: &K, text: &str) -> Result<K::Value, String> {
        kind.parse(&Given {
            raw: Raw::Text(text.to_owned()),
            origin: Origin::Flag("test".to_owned()),
        })
        .map_err(|problem| problem.what)
    }

    #[test]
    fn addresses() {
        for text in ["0.0.0.0:9433", "[::]:9433", "127.0.0.1:0"] {
            assert_eq!(parse(&Address, text), Ok(text.parse().expect("a literal")));
        }
        assert_eq!(
            parse(&Address, "9433"),
            Err("is a port without an address".to_owned())
        );
        assert_eq!(
            parse(&Address, "localhost:9433"),
            Err("is not an IP address with a port".to_owned())
        );
    }

    #[test]
    fn hosts() {
        for (text, host) in [
            ("sql-0.sql.svc", "sql-0.sql.svc"),
            ("::1", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(parse(&Host, text), Ok(host.to_owned()));
        }
        for text in ["db:1433", "db,1433", "", "a b", "a\nb", "tcp://db"] {
            assert!(parse(&Host, text).is_err(), "{text:?}");
        }
        assert!(parse(&Host, &"a".repeat(254)).is_err());
    }

    #[test]
    fn names_and_lists() {
        assert_eq!(parse(&COMM, "sqlservr"), Ok("sqlservr".to_owned()));
        assert_eq!(
            parse(&COMM, "sixteen-bytes-xx"),
            Err("is longer than 15 bytes".to_owned())
        );
        assert_eq!(parse(&SYSNAME, ""), Err("is empty".to_owned()));
        assert_eq!(
            parse(&Names(SYSNAME), "a, b ,,a"),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(parse(&Names(SYSNAME), ""), Ok(vec![]));
        assert!(parse(&Names(SYSNAME), &"x".repeat(129)).is_err());
    }

    #[test]
    fn paths() {
        assert_eq!(parse(&AbsolutePath, "/a"), Ok(PathBuf::from("/a")));
        for text in ["", "a", "/a\0", "/a\n"] {
            assert!(parse(&AbsolutePath, text).is_err(), "{text:?}");
        }
        assert!(parse(&AbsolutePath, &format!("/{}", "x".repeat(4096))).is_err());
        assert!(parse(&SocketPath, &format!("/{}", "x".repeat(106))).is_ok());
        assert!(parse(&SocketPath, &format!("/{}", "x".repeat(107))).is_err());
    }
}
