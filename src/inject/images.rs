//! The images that are known to hold an engine, and the user that they run it as.

/// An engine that an image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Azure SQL Edge.
    Edge,
    /// SQL Server on Linux.
    Server,
}

/// The path that a container's command or arguments hold where they start an engine.
pub const SQLSERVR: &str = "/opt/mssql/bin/sqlservr";

impl Engine {
    /// Returns the engine of an image by its repository, whatever the registry: a mirror keeps the last
    /// words.
    #[must_use]
    pub fn of(image: &str) -> Option<Self> {
        let image = image.split('@').next().unwrap_or_default();
        let (path, last) = image.rsplit_once('/').unwrap_or(("", image));
        let last = last.split(':').next().unwrap_or_default();
        let owner = path.rsplit('/').next().unwrap_or_default();
        let edge = |word| word == "azure-sql-edge";
        match (owner, last) {
            (owner, last) if edge(owner) || edge(last) => Some(Self::Edge),
            ("mssql", "server") => Some(Self::Server),
            (owner, "server") if owner.starts_with("rhel") && path.contains("mssql") => {
                Some(Self::Server)
            }
            (_, "mssql-server" | "mssql-server-linux") => Some(Self::Server),
            _ => None,
        }
    }
}

/// Whether an image's engine runs as root where nothing else is set: those of SQL Server 2017 do, by their
/// tag or by the repository that had no others.
#[must_use]
pub fn runs_as_root(image: &str) -> bool {
    let image = image.split('@').next().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let (name, tag) = last.split_once(':').unwrap_or((last, ""));
    Engine::of(image) == Some(Engine::Server)
        && (tag.starts_with("2017") || name == "mssql-server-linux")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_known_by_its_image() {
        for (image, engine) in [
            (
                "mcr.microsoft.com/azure-sql-edge:latest",
                Some(Engine::Edge),
            ),
            ("mcr.microsoft.com/azure-sql-edge", Some(Engine::Edge)),
            (
                "mcr.microsoft.com/azure-sql-edge/developer:1",
                Some(Engine::Edge),
            ),
            ("azure-sql-edge@sha256:0123", Some(Engine::Edge)),
            (
                "mirror:5000/x/azure-sql-edge:1.0.7@sha256:01",
                Some(Engine::Edge),
            ),
            (
                "mcr.microsoft.com/mssql/server:2022-latest",
                Some(Engine::Server),
            ),
            (
                "mcr.microsoft.com/mssql/rhel/server:2022",
                Some(Engine::Server),
            ),
            (
                "registry.redhat.io/mssql/rhel8/server:2022",
                Some(Engine::Server),
            ),
            ("mirror:5000/mssql/server", Some(Engine::Server)),
            ("microsoft/mssql-server-linux", Some(Engine::Server)),
            ("mcr.microsoft.com/mssql-tools", None),
            ("mirror/server", None),
            ("redhat/rhel/server", None),
            ("postgres:17", None),
            ("", None),
            ("/", None),
            ("@", None),
        ] {
            assert_eq!(Engine::of(image), engine, "{image}");
        }
    }

    #[test]
    fn the_images_of_2017_run_as_root() {
        for (image, root) in [
            ("mcr.microsoft.com/mssql/server:2017-latest", true),
            (
                "mirror:5000/mssql/server:2017-CU31-ubuntu-18.04@sha256:0",
                true,
            ),
            ("microsoft/mssql-server-linux", true),
            ("mcr.microsoft.com/mssql/server:2019-latest", false),
            ("mcr.microsoft.com/mssql/server", false),
            ("mcr.microsoft.com/azure-sql-edge:1.0.4", false),
            ("own/engine:2017", false),
        ] {
            assert_eq!(runs_as_root(image), root, "{image}");
        }
    }
}
