// Draws a dashboard with what Prometheus answered to its queries, by the parts of Grafana that are published: the time
// series, stats, bar gauges, tables, colours and units of @grafana/ui and @grafana/data. State timelines and the grid
// are not among them: these are drawn here.
//
// The page sets window.record (by record.py) first. When all is drawn, document.title is "drawn"; of each panel without
// data window.empty has the title.
import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  FieldType, createTheme, dateTime, getDisplayProcessor,
} from '@grafana/data';
import {
  BarGauge, BigValue, GlobalStyles, PanelChrome, Table, ThemeContext, TimeSeries,
} from '@grafana/ui';

const { dashboard, answers, from, to, scheme } = window.record;
const theme = createTheme({ colors: { mode: scheme } });
const range = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: 'now-6h', to: 'now' } };
// The grid of Grafana: 24 columns, rows of 30 px with gaps of 8.
const COLUMN = window.record.width / 24;
const ROW = 38;
const GAP = 8;

/** The name of a series by the query's legend, such as "{{namespace}} {{pod}}". */
function named(target, labels) {
  return target.legendFormat.replace(/{{\s*(\w+)\s*}}/g, (_, label) => labels[label] ?? '').replace(/ +/g, ' ').trim();
}

function field(panel, name, type, values, config = {}) {
  const made = { name, type, values, state: {}, labels: {}, config };
  made.display = getDisplayProcessor({ field: made, theme, timeZone: 'utc' });
  return made;
}

/** The milliseconds between two points of a panel. */
function step(panel) {
  return panel.interval ? 60000 * parseInt(panel.interval, 10) : 1000 * window.record.step;
}

/** One frame for each series of a panel. */
function frames(panel) {
  const { defaults } = panel.fieldConfig;
  const made = panel.targets.flatMap(target =>
    (answers[panel.id]?.[target.refId] ?? []).map(({ metric, values, value }) => {
      const points = values ?? [value];
      const name = named(target, metric);
      const config = { ...defaults, displayName: name };
      // Grafana has no NaN: nothing is drawn there.
      const numbers = points.map(([, number]) => (Number.isNaN(Number(number)) ? null : Number(number)));
      return {
        refId: target.refId,
        length: points.length,
        fields: [
          field(panel, 'Time', FieldType.time, points.map(([at]) => at * 1000), { interval: step(panel) }),
          field(panel, 'Value', FieldType.number, numbers, config),
        ],
      };
    })
  );
  made.forEach((frame, index) => {
    const value = frame.fields[1];
    value.state = { seriesIndex: index };
    value.display = getDisplayProcessor({ field: value, theme, timeZone: 'utc' });
  });
  return made;
}

/** What a stat or a gauge shows of a series. */
function last(frame) {
  const value = frame.fields[1];
  return { ...value.display(value.values.at(-1)), title: value.config.displayName };
}

function Stat({ panel, width, height }) {
  const all = frames(panel);
  return all.map((frame, index) => (
    <BigValue
      key={index}
      theme={theme}
      width={width / all.length}
      height={height}
      value={last(frame)}
      colorMode={panel.options.colorMode}
      graphMode={panel.options.graphMode}
      textMode={all.length === 1 && panel.options.textMode === 'auto' ? 'value' : panel.options.textMode}
    />
  ));
}

function Bars({ panel, width, height }) {
  const all = frames(panel);
  const gap = 8;
  const each = Math.min((height - gap * (all.length - 1)) / all.length, 48);
  return all.map((frame, index) => (
    <div key={index} style={{ marginBottom: gap }}>
      <BarGauge
        theme={theme}
        width={width}
        height={each}
        value={last(frame)}
        field={{ min: 0, ...frame.fields[1].config }}
        display={frame.fields[1].display}
        orientation={panel.options.orientation}
        displayMode={panel.options.displayMode}
        showUnfilled={panel.options.showUnfilled}
      />
    </div>
  ));
}

/** The rows of a table: labels as columns, as the transformation "organize" leaves them. */
function Rows({ panel, width, height }) {
  const series = panel.targets.flatMap(target => answers[panel.id]?.[target.refId] ?? []);
  const organize = panel.transformations?.find(one => one.id === 'organize')?.options ?? {};
  const { excludeByName = {}, renameByName = {}, indexByName = {} } = organize;
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].filter(one => !excludeByName[one]);
  labels.sort((a, b) => (indexByName[a] ?? 99) - (indexByName[b] ?? 99) || a.localeCompare(b));
  const fields = labels.map(label =>
    field(panel, renameByName[label] || label, FieldType.string, series.map(({ metric }) => metric[label] ?? ''))
  );
  if (!excludeByName.Value) {
    const values = series.map(({ value }) => Number(value[1]));
    fields.push(field(panel, renameByName.Value || 'Value', FieldType.number, values, panel.fieldConfig.defaults));
  }
  return <Table data={{ fields, length: series.length }} width={width} height={height} cellHeight="sm" />;
}

function Series({ panel, width, height }) {
  const { legend } = panel.options;
  return (
    <TimeSeries
      frames={frames(panel)}
      timeRange={range}
      timeZone="utc"
      width={width}
      height={height}
      legend={{ ...legend, calcs: legend.calcs ?? [] }}
      options={panel.options}
    >
      {() => null}
    </TimeSeries>
  );
}

/** A lane for each series, whose colour is its value's. */
function Lanes({ panel, width, height }) {
  const all = frames(panel);
  const span = (to - from) * 1000;
  const name = 250;
  const lane = Math.min((height - 18) / all.length, 40);
  const at = share => new Date(from * 1000 + share * span).toISOString().slice(11, 16);
  const left = time => ((time - from * 1000) / span) * (width - name);
  return (
    <div style={{ position: 'relative', width, height, fontSize: 12 }}>
      {all.map((frame, row) => {
        const [times, value] = frame.fields;
        return (
          <div key={row} style={{ position: 'absolute', top: row * lane, height: lane * 0.85, width }}>
            <span style={{ position: 'absolute', right: width - name + 8, whiteSpace: 'nowrap', lineHeight: `${lane * 0.85}px` }}>
              {value.config.displayName}
            </span>
            {times.values.map((time, index) => (
              <span
                key={index}
                style={{
                  position: 'absolute', height: '100%', opacity: 0.8,
                  left: name + left(time), width: left(time + step(panel)) - left(time) + 0.6,
                  background: value.display(value.values[index]).color,
                }}
              />
            ))}
          </div>
        );
      })}
      {[0, 0.25, 0.5, 0.75].map(share => (
        <span key={share} style={{ position: 'absolute', bottom: 0, left: name + share * (width - name), opacity: 0.7 }}>
          {at(share)}
        </span>
      ))}
    </div>
  );
}

const KINDS = { stat: Stat, bargauge: Bars, table: Rows, timeseries: Series, 'state-timeline': Lanes };

function Panel({ panel }) {
  const { x, y, w, h } = panel.gridPos;
  const place = { position: 'absolute', left: x * COLUMN, top: y * ROW, width: w * COLUMN - GAP, height: h * ROW - GAP };
  if (panel.type === 'row') {
    return <div style={{ ...place, fontSize: 16, fontWeight: 500, paddingTop: 4 }}>{panel.title}</div>;
  }
  const Kind = KINDS[panel.type];
  const empty = !Object.values(answers[panel.id] ?? {}).some(result => result.length);
  if (empty) {
    window.empty.push(panel.title);
  }
  return (
    <div style={place}>
      <PanelChrome title={panel.title} width={place.width} height={place.height}>
        {(width, height) =>
          empty ? (
            <div style={{ textAlign: 'center', paddingTop: height / 2 - 10, opacity: 0.6 }}>No data</div>
          ) : (
            <Kind panel={panel} width={width} height={height} />
          )
        }
      </PanelChrome>
    </div>
  );
}

window.empty = [];
const panels = dashboard.panels.flatMap(panel => [panel, ...(panel.panels ?? [])]);
const bottom = Math.max(...panels.map(({ gridPos: { y, h } }) => y + h));
document.body.style.background = theme.colors.background.canvas;
createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <div style={{ position: 'relative', width: window.record.width, height: bottom * ROW, color: theme.colors.text.primary }}>
      {panels.map(panel => <Panel key={panel.id} panel={panel} />)}
    </div>
  </ThemeContext.Provider>
);
setTimeout(() => { document.title = 'drawn'; }, 3000);
