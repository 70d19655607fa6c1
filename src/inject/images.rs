//! Which image is an engine, and what it starts.

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Azure SQL Edge.
    Edge,
    /// SQL Server on Linux.
    Server,
}

/// What a container's command or arguments hold where they start an engine.
pub const SQLSERVR: &str = "/opt/mssql/bin/sqlservr";

/// Azure SQL Edge's own command (`docker inspect`, the same in three dumps): its companions beside
/// `sqlservr`, in a shell that hands no signal on.
const EDGE: [&str; 3] = [
    "/bin/sh",
    "-c",
    "/opt/mssql/bin/launchpadd -usens=false -enableOutboundAccess=true -usesameuser=true -sqlGroup root -- -reparentOrphanedDescendants=true -useDefaultLaunchers=false & /app/asdepackage/AsdePackage & /opt/mssql/bin/sqlservr",
];

impl Engine {
    /// The engine of an image by its repository, whatever the registry: a mirror keeps the last words.
    #[must_use]
    pub fn of(image: &str) -> Option<Self> {
        let image = image.split('@').next().unwrap_or_default();
        let (path, last) = image.rsplit_once('/').unwrap_or(("", image));
        let last = last.split(':').next().unwrap_or_default();
        let owner = path.rsplit('/').next().unwrap_or_default();
        let edge = |word| word == "azure-sql-edge";
        match (owner, last) {
            (owner, last) if edge(owner) || edge(last) => Some(Self::Edge),
            ("mssql" | "rhel", "server") if path.contains("mssql") => Some(Self::Server),
            (_, "mssql-server" | "mssql-server-linux") => Some(Self::Server),
            _ => None,
        }
    }

    /// What its image starts, without the entrypoint: that one checks permissions, and hands over to
    /// what it is given.
    #[must_use]
    pub const fn command(self) -> &'static [&'static str] {
        match self {
            Self::Edge => &EDGE,
            Self::Server => &[SQLSERVR],
        }
    }
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
}
