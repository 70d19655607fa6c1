//! Whose names are exposed.

/// A set of profiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profiles(u8);

impl Profiles {
    /// None.
    pub const NONE: Self = Self(0);
    /// Grafana Alloy's `prometheus.exporter.mssql`, which Grafana's mssql-mixin reads.
    pub const ALLOY: Self = Self(1);
    /// What the supervisor adds: `sql_edge_*`.
    pub const OWN: Self = Self(1 << 1);
    /// sql_exporter's `mssql_standard.collector.yml`.
    pub const SQL_EXPORTER: Self = Self(1 << 2);
    /// awaragi/prometheus-mssql-exporter.
    pub const AWARAGI: Self = Self(1 << 3);
    /// What a file in `collectors-dir` asks for: always on.
    pub const FILES: Self = Self(1 << 7);

    /// Each of them with its word in the setting `metrics-profiles`.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("alloy", Self::ALLOY),
        ("own", Self::OWN),
        ("sql-exporter", Self::SQL_EXPORTER),
        ("awaragi", Self::AWARAGI),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the two have one in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
