//! A small language for dashboards: what is shown, in reading order. Ids, places, the data source and
//! the variables come by themselves.

use serde_json::{Map, Value, json};

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

/// The version of the dashboards' schema: Grafana 10.0's. Later ones read it.
const SCHEMA: u64 = 38;

/// A query and what its series are called.
pub struct Query {
    expression: String,
    legend: &'static str,
}

/// `$S` stands for the selector of the dashboard's variables.
pub fn query(expression: &str, legend: &'static str) -> Query {
    Query {
        expression: expression.to_owned(),
        legend,
    }
}

/// One panel.
pub struct Panel {
    title: &'static str,
    /// What it means, and what to look for; shown at the panel's corner.
    description: &'static str,
    kind: Kind,
    unit: &'static str,
    width: u64,
    height: u64,
    queries: Vec<Query>,
    /// Bounds of the axis, where they are known.
    range: (Option<f64>, Option<f64>),
    /// From which value on it is orange, and red; descending means that less is worse.
    steps: Option<(f64, f64)>,
    /// Texts in the place of values: value, text, colour.
    texts: &'static [(&'static str, &'static str, &'static str)],
    /// The title of a table's column of values; without one the column is left out: each row is
    /// there or it is not.
    value_column: Option<&'static str>,
    /// What is now is told by the series' name, and not by its value.
    named: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Lines over time.
    Lines,
    /// Areas that add up.
    Stacked,
    /// Bars over time: counts of events.
    Bars,
    /// The value now.
    Stat,
    /// A bar for each series, now.
    BarGauge,
    /// A row of colours for each series.
    Timeline,
    /// A row for each series, its labels as columns, now.
    Table,
}

impl Panel {
    fn new(
        kind: Kind,
        title: &'static str,
        unit: &'static str,
        (width, height): (u64, u64),
    ) -> Self {
        Self {
            title,
            description: "",
            kind,
            unit,
            width,
            height,
            queries: Vec::new(),
            range: (None, None),
            steps: None,
            texts: &[],
            value_column: None,
            named: false,
        }
    }

    pub fn lines(title: &'static str, unit: &'static str) -> Self {
        Self::new(Kind::Lines, title, unit, (8, 8)).beginning_at_zero()
    }

    pub fn stacked(title: &'static str, unit: &'static str) -> Self {
        Self::new(Kind::Stacked, title, unit, (8, 8)).beginning_at_zero()
    }

    pub fn bars(title: &'static str, unit: &'static str) -> Self {
        Self::new(Kind::Bars, title, unit, (8, 8)).beginning_at_zero()
    }

    pub fn stat(title: &'static str, unit: &'static str) -> Self {
        Self::new(Kind::Stat, title, unit, (3, 4))
    }

    pub fn bar_gauge(title: &'static str, unit: &'static str) -> Self {
        Self::new(Kind::BarGauge, title, unit, (8, 8)).beginning_at_zero()
    }

    pub fn timeline(title: &'static str) -> Self {
        Self::new(Kind::Timeline, title, "short", (24, 7))
    }

    pub fn table(title: &'static str) -> Self {
        Self::new(Kind::Table, title, "short", (12, 8))
    }

    pub fn column(mut self, title: &'static str, unit: &'static str) -> Self {
        (self.value_column, self.unit) = (Some(title), unit);
        self
    }

    pub fn says(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    pub fn of(mut self, queries: impl IntoIterator<Item = Query>) -> Self {
        self.queries.extend(queries);
        self
    }

    pub fn size(mut self, width: u64, height: u64) -> Self {
        (self.width, self.height) = (width, height);
        self
    }

    pub fn beginning_at_zero(mut self) -> Self {
        self.range.0 = Some(0.0);
        self
    }

    pub fn to(mut self, max: f64) -> Self {
        self.range.1 = Some(max);
        self
    }

    pub fn steps(mut self, orange: f64, red: f64) -> Self {
        self.steps = Some((orange, red));
        self
    }

    pub fn named(mut self) -> Self {
        self.named = true;
        self
    }

    pub fn texts(mut self, texts: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        self.texts = texts;
        self
    }

    fn json(&self, selector: &str) -> Value {
        let now = matches!(self.kind, Kind::Stat | Kind::BarGauge | Kind::Table);
        let targets: Vec<_> = self
            .queries
            .iter()
            .zip('A'..='Z')
            .map(|(query, letter)| {
                json!({
                    "datasource": datasource(),
                    "editorMode": "code",
                    "expr": query.expression.replace("$S", selector),
                    "format": if self.kind == Kind::Table { "table" } else { "time_series" },
                    "instant": now,
                    "range": !now,
                    "legendFormat": query.legend,
                    "refId": letter.to_string(),
                })
            })
            .collect();
        let mut panel = json!({
            "type": self.kind.plugin(),
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "targets": targets,
            "fieldConfig": { "defaults": self.defaults(), "overrides": self.overrides() },
            "options": self.kind.options(),
        });
        if self.named {
            panel["options"]["textMode"] = json!("name");
        }
        if self.kind == Kind::Table {
            panel["transformations"] = table_columns(self.value_column);
        }
        let mut expressions = self.queries.iter().map(|query| &query.expression);
        let counts = expressions.any(|expression| expression.contains("$__rate_interval"));
        if self.kind == Kind::Bars && counts {
            // An event is within `$__rate_interval` of several points that lie closer together, and
            // would be drawn as often.
            panel["interval"] = json!("2m");
        }
        panel
    }

    /// In a table only the value has a colour, and an instance leads to where it is shown alone.
    fn overrides(&self) -> Value {
        if self.kind != Kind::Table {
            return json!([]);
        }
        let of = |field: &str, property: &str, value: Value| {
            json!({ "matcher": { "id": "byName", "options": field },
                "properties": [{ "id": property, "value": value }] })
        };
        let to = "var-instance=${__value.text}&var-datasource=${datasource}";
        let url = format!("/d/{}?{to}", super::instance::UID);
        let link = json!([{ "title": "Show this instance", "url": url }]);
        json!([
            of(
                self.value_column.unwrap_or("Value"),
                "custom.cellOptions",
                json!({ "type": "color-text" })
            ),
            of("instance", "links", link),
        ])
    }

    fn defaults(&self) -> Value {
        let mappings: Vec<_> = self
            .texts
            .iter()
            .enumerate()
            .map(|(index, (value, text, color))| {
                let shown = json!({ "text": text, "color": color, "index": index });
                json!({ "type": "value", "options": { *value: shown } })
            })
            .collect();
        let mut defaults = json!({
            "unit": self.unit,
            "mappings": mappings,
            "thresholds": thresholds(self.steps),
            "color": { "mode": match (self.kind, self.steps) {
                (Kind::Lines | Kind::Stacked | Kind::Bars, _) => "palette-classic",
                _ => "thresholds",
            } },
            "custom": self.kind.custom(),
        });
        if self.kind == Kind::Stat && self.unit == "short" {
            // A count over a time is extrapolated to its ends, and no whole number.
            defaults["decimals"] = json!(0);
        }
        if let Some(min) = self.range.0 {
            defaults["min"] = json!(min);
        }
        if let Some(max) = self.range.1 {
            defaults["max"] = json!(max);
        }
        defaults
    }
}

impl Kind {
    fn plugin(self) -> &'static str {
        match self {
            Self::Lines | Self::Stacked | Self::Bars => "timeseries",
            Self::Stat => "stat",
            Self::BarGauge => "bargauge",
            Self::Timeline => "state-timeline",
            Self::Table => "table",
        }
    }

    fn custom(self) -> Value {
        match self {
            Self::Lines => json!({ "drawStyle": "line", "lineWidth": 1, "fillOpacity": 5,
                "showPoints": "never", "spanNulls": false, "stacking": { "mode": "none" } }),
            Self::Stacked => json!({ "drawStyle": "line", "lineWidth": 1, "fillOpacity": 40,
                "showPoints": "never", "spanNulls": false, "stacking": { "mode": "normal" } }),
            Self::Bars => json!({ "drawStyle": "bars", "lineWidth": 1, "fillOpacity": 80,
                "showPoints": "never", "stacking": { "mode": "normal" } }),
            Self::Timeline => json!({ "fillOpacity": 80, "lineWidth": 0, "spanNulls": false }),
            Self::Table => json!({ "align": "auto", "filterable": true }),
            Self::Stat | Self::BarGauge => json!({}),
        }
    }

    fn options(self) -> Value {
        let last = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
        match self {
            Self::Lines | Self::Stacked | Self::Bars => json!({
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Self::Stat => {
                json!({ "reduceOptions": last, "colorMode": "background", "graphMode": "none",
                "justifyMode": "auto", "orientation": "auto", "textMode": "auto" })
            }
            Self::BarGauge => json!({ "reduceOptions": last, "displayMode": "gradient",
                "orientation": "horizontal", "showUnfilled": true }),
            Self::Timeline => json!({ "mergeValues": true, "showValue": "never", "rowHeight": 0.85,
                "alignValue": "left",
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
                "tooltip": { "mode": "single" } }),
            Self::Table => {
                json!({ "showHeader": true, "cellHeight": "sm", "footer": { "show": false } })
            }
        }
    }
}

/// The labels that come first in a table, in this order; the others follow by name.
const FIRST: [&str; 8] = [
    "alertname",
    "severity",
    "reason",
    "database",
    "namespace",
    "pod",
    "version",
    "instance",
];

/// The labels that a table leaves out, since they say nothing to people or are the same in each row.
const HIDDEN: [&str; 8] = [
    "Time",
    "__name__",
    "alertstate",
    "container",
    "endpoint",
    "job",
    "prometheus",
    "service",
];

/// Returns the columns of a table.
fn table_columns(value: Option<&str>) -> Value {
    let mut hidden: Map<_, _> = HIDDEN
        .map(|label| (label.to_owned(), json!(true)))
        .into_iter()
        .collect();
    let mut titles = Map::new();
    match value {
        Some(title) => titles.insert("Value".to_owned(), json!(title)),
        None => hidden.insert("Value".to_owned(), json!(true)),
    };
    let first = FIRST.iter().enumerate();
    let order: Map<_, _> = first
        .map(|(index, label)| ((*label).to_owned(), json!(index)))
        .collect();
    json!([{ "id": "organize", "options": {
        "excludeByName": hidden, "indexByName": order, "renameByName": titles,
    } }])
}

fn thresholds(steps: Option<(f64, f64)>) -> Value {
    let steps = match steps {
        None => json!([{ "color": "green", "value": null }]),
        Some((orange, red)) if orange <= red => json!([
            { "color": "green", "value": null },
            { "color": "orange", "value": orange },
            { "color": "red", "value": red },
        ]),
        Some((orange, red)) => json!([
            { "color": "red", "value": null },
            { "color": "orange", "value": red },
            { "color": "green", "value": orange },
        ]),
    };
    json!({ "mode": "absolute", "steps": steps })
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// A dashboard under construction.
pub struct Dashboard {
    uid: &'static str,
    title: &'static str,
    description: &'static str,
    selector: &'static str,
    variables: Vec<Value>,
    rows: Vec<(&'static str, Vec<Panel>)>,
    link: (&'static str, &'static str),
}

/// The series by whose labels instances are chosen: each supervisor has one.
const ANCHOR: &str = "sql_edge_supervisor_build_info";

impl Dashboard {
    pub fn new(
        uid: &'static str,
        title: &'static str,
        description: &'static str,
        selector: &'static str,
    ) -> Self {
        Self {
            uid,
            title,
            description,
            selector,
            variables: vec![json!({
                "type": "datasource", "name": "datasource", "label": "Data source",
                "query": "prometheus", "refresh": 1, "hide": 0, "includeAll": false,
                "multi": false, "regex": "", "options": [], "current": {},
            })],
            rows: Vec::new(),
            link: ("", ""),
        }
    }

    /// A variable with a label's values, among the instances that `within` selects. With `all` any
    /// number can be chosen; where the label does not exist at all, as `pod` outside Kubernetes, `.*`
    /// matches that too.
    pub fn variable(mut self, label: &'static str, within: &str, all: bool) -> Self {
        let query = format!("label_values({ANCHOR}{within}, {label})");
        let mut variable = json!({
            "type": "query", "name": label, "label": label, "datasource": datasource(),
            "definition": query, "query": { "query": query, "refId": "variable" },
            "refresh": 2, "sort": 1, "hide": 0, "regex": "", "options": [],
            "includeAll": all, "multi": all, "current": {},
        });
        if all {
            variable["allValue"] = json!(".*");
            variable["current"] = json!({ "selected": true, "text": ["All"], "value": ["$__all"] });
        }
        self.variables.push(variable);
        self
    }

    /// The other dashboard.
    pub fn link(mut self, title: &'static str, uid: &'static str) -> Self {
        self.link = (title, uid);
        self
    }

    pub fn row(mut self, title: &'static str, panels: impl IntoIterator<Item = Panel>) -> Self {
        self.rows.push((title, panels.into_iter().collect()));
        self
    }

    /// The file.
    pub fn render(&self) -> String {
        let mut panels = Vec::new();
        let mut top = 0;
        for (title, row) in &self.rows {
            let place = json!({ "x": 0, "y": top, "w": COLUMNS, "h": 1 });
            panels.push(json!({ "type": "row", "title": title, "collapsed": false,
                "gridPos": place, "panels": [] }));
            top += 1;
            let (mut left, mut tallest) = (0, 0);
            for panel in row {
                if left + panel.width > COLUMNS {
                    (left, top, tallest) = (0, top + tallest, 0);
                }
                let mut json = panel.json(self.selector);
                json["gridPos"] =
                    json!({ "x": left, "y": top, "w": panel.width, "h": panel.height });
                left += panel.width;
                tallest = tallest.max(panel.height);
                panels.push(json);
            }
            top += tallest;
        }
        for (id, panel) in (1_u64..).zip(&mut panels) {
            panel["id"] = json!(id);
        }
        let (link, uid) = self.link;
        let dashboard = json!({
            "id": null, "uid": self.uid, "title": self.title, "description": self.description,
            "tags": ["sql-edge"], "schemaVersion": SCHEMA, "version": 1, "editable": true,
            "graphTooltip": 1, "refresh": "30s", "time": { "from": "now-6h", "to": "now" },
            "timezone": "", "fiscalYearStartMonth": 0, "weekStart": "",
            "annotations": { "list": [] },
            "templating": { "list": self.variables },
            "links": [{ "type": "link", "title": link, "url": format!("/d/{uid}"), "icon": "dashboard",
                "includeVars": true, "keepTime": true, "targetBlank": false, "asDropdown": false,
                "tags": [], "tooltip": "" }],
            "panels": panels,
        });
        serde_json::to_string_pretty(&dashboard).expect("JSON") + "\n"
    }
}
