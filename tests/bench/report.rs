//! Figures, their limits, and the table.

use std::fmt;
use std::time::Duration;

/// Durations that were measured.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The nearest-rank quantile: the smallest sample that `share` of all samples do not exceed; zero
    /// where there is none. Of less than a hundred samples the p99 is the greatest.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    pub fn p99(&self) -> Duration {
        self.quantile(0.99)
    }

    pub fn max(&self) -> Duration {
        self.quantile(1.0)
    }

    pub fn min(&self) -> Duration {
        self.quantile(0.0)
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "min {}, median {}, p99 {}, max {} ms (n {})",
            millis(self.min()),
            millis(self.quantile(0.5)),
            millis(self.p99()),
            millis(self.max()),
            self.0.len()
        )
    }
}

/// Milliseconds, with as many decimals as a noisy machine deserves.
pub fn millis(span: Duration) -> String {
    let value = span.as_secs_f64() * 1e3;
    let decimals = if value < 10.0 { 2 } else { 0 };
    format!("{value:.decimals$}")
}

pub fn mib(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}

/// What became of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    Missed,
    /// The machine was too busy with other things to say. That is no pass.
    Unknown,
}

impl Verdict {
    pub fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Missed }
    }
}

struct Row {
    figure: String,
    limit: String,
    measured: String,
    /// None where there is no limit, and in a smoke test.
    verdict: Option<Verdict>,
}

/// All that was measured.
pub struct Report {
    /// Limits count.
    judged: bool,
    /// A section could not be measured to its end.
    broken: bool,
    rows: Vec<Row>,
}

impl Report {
    pub fn new(judged: bool) -> Self {
        Self {
            judged,
            broken: false,
            rows: Vec::new(),
        }
    }

    /// A figure with its limit, as it is to be read, and whether it `holds`.
    pub fn judge(&mut self, figure: &str, limit: &str, measured: impl fmt::Display, holds: bool) {
        self.conclude(figure, limit, measured, Verdict::of(holds));
    }

    /// The same where nothing may have been shown.
    pub fn conclude(
        &mut self,
        figure: &str,
        limit: &str,
        measured: impl fmt::Display,
        verdict: Verdict,
    ) {
        self.push(figure, limit, &measured, Some(verdict));
    }

    /// A figure that is there to be read beside others.
    pub fn note(&mut self, figure: &str, measured: impl fmt::Display) {
        self.push(figure, "", &measured, None);
    }

    /// A section that could not be measured to its end, which counts in a smoke test too.
    pub fn broke(&mut self, section: &str, why: &str) {
        self.broken = true;
        let why = why.replace('\n', " ");
        self.push(section, "", &format_args!("broke: {why}"), None);
    }

    fn push(
        &mut self,
        figure: &str,
        limit: &str,
        measured: &dyn fmt::Display,
        verdict: Option<Verdict>,
    ) {
        let row = Row {
            figure: figure.to_owned(),
            limit: limit.to_owned(),
            measured: measured.to_string(),
            verdict: verdict.filter(|_| self.judged),
        };
        eprintln!("  {}: {}", row.figure, row.measured);
        self.rows.push(row);
    }

    /// A limit was missed, or it could not be shown that it was not.
    pub fn missed(&self) -> bool {
        let bad = |row: &Row| row.verdict.is_some_and(|verdict| verdict != Verdict::Holds);
        self.broken || self.rows.iter().any(bad)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | limit | measured | |")?;
        writeln!(f, "| --- | --- | --- | --- |")?;
        for row in &self.rows {
            let verdict = match row.verdict {
                Some(Verdict::Holds) => "pass",
                Some(Verdict::Missed) => "**FAIL**",
                Some(Verdict::Unknown) => "**too noisy**",
                None => "",
            };
            let Row {
                figure,
                limit,
                measured,
                ..
            } = row;
            writeln!(f, "| {figure} | {limit} | {measured} | {verdict} |")?;
        }
        Ok(())
    }
}
