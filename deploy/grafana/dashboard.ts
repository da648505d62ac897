/** The Grafana dashboard; the compiler compares it with the schema of Grafana. make-dashboard.ts writes it as JSON. */
import { ThresholdsMode, type Dashboard, type FieldConfig, type Panel } from '@grafana/schema';

interface Query {
  readonly expr: string;
  readonly legend: string;
}

const source = { type: 'prometheus', uid: '${datasource}' };
let id = 0;
let row = 0;
let column = 0;

function place(width: number, height: number): { x: number; y: number; w: number; h: number } {
  if (column + width > 24) {
    column = 0;
    row += height;
  }
  const at = { x: column, y: row, w: width, h: height };
  column += width;
  return at;
}

function panel(
  type: string,
  title: string,
  description: string,
  queries: readonly Query[],
  unit: string,
  width: number,
  more: { readonly defaults?: FieldConfig; readonly options?: Panel['options'] } = {},
): Panel {
  id += 1;
  return {
    id,
    type,
    title,
    description,
    datasource: source,
    gridPos: place(width, type === 'stat' ? 4 : 8),
    fieldConfig: { defaults: { unit, ...more.defaults }, overrides: [] },
    options: more.options ?? {},
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: source,
      expr,
      legendFormat: legend,
    })),
  };
}

const red = {
  mode: ThresholdsMode.Absolute,
  steps: [
    { color: 'green', value: 0 },
    { color: 'red', value: 1 },
  ],
};
const alive = {
  mode: ThresholdsMode.Absolute,
  steps: [
    { color: 'red', value: 0 },
    { color: 'green', value: 1 },
  ],
};
const latest = { reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }, colorMode: 'background' };

const stat = (
  title: string,
  description: string,
  expr: string,
  unit = 'short',
  thresholds?: FieldConfig['thresholds'],
): Panel =>
  panel('stat', title, description, [{ expr, legend: '' }], unit, 4, {
    options: latest,
    defaults: thresholds ? { thresholds } : {},
  });
const series = (title: string, description: string, queries: readonly Query[], unit = 'short'): Panel =>
  panel('timeseries', title, description, queries, unit, 12);

const panels = [
  stat('Waiting', 'Deliveries that wait', 'sum(max by (target) (dispatch_deliveries{state="waiting"}))'),
  stat(
    'Failed',
    'Deliveries that need an operator',
    'sum(max by (target) (dispatch_deliveries{state="failed"}))',
    'short',
    red,
  ),
  stat(
    'Partial',
    'Deliveries with quarantined instances',
    'sum(max by (target) (dispatch_deliveries{state="partial"}))',
    'short',
    red,
  ),
  stat('Targets out of reach', 'Open circuits', 'sum(max by (target) (dispatch_circuit_open))', 'short', red),
  stat('Oldest waiting', 'Age of the delivery that waits longest', 'max(dispatch_oldest_waiting_seconds)', 's'),
  stat('Dispatchers', 'Workers that are alive', 'max(dispatch_workers)', 'short', alive),
  stat('Routers', 'Processes that route studies', 'max(dispatch_routers)', 'short', alive),
  stat('Sources up', 'Sources that respond', 'sum(max by (source) (dispatch_source_up))', 'short', alive),
  series(
    'Sent',
    'Bytes a second, by target',
    [{ expr: 'sum by (target) (rate(dispatch_sent_bytes_total[5m]))', legend: '{{target}}' }],
    'Bps',
  ),
  series('Deliveries that ended', 'A minute, by target and state', [
    { expr: 'sum by (target, state) (rate(dispatch_deliveries_ended_total[5m])) * 60', legend: '{{target}} {{state}}' },
  ]),
  series('Backlog', 'Deliveries that wait, by target', [
    { expr: 'max by (target) (dispatch_deliveries{state="waiting"})', legend: '{{target}}' },
  ]),
  series(
    'Oldest waiting',
    'By target',
    [{ expr: 'max by (target) (dispatch_oldest_waiting_seconds)', legend: '{{target}}' }],
    's',
  ),
  series('Failed attempts', 'A minute, by target, stage and code', [
    {
      expr: 'sum by (target, stage, code) (rate(dispatch_attempts_failed_total[5m])) * 60',
      legend: '{{target}} {{stage}} {{code}}',
    },
  ]),
  series('Quarantined instances', 'A minute, by target and code', [
    {
      expr: 'sum by (target, code) (rate(dispatch_instances_quarantined_total[5m])) * 60',
      legend: '{{target}} {{code}}',
    },
  ]),
  series(
    'Duration of attempts',
    'Half of them, and 95 in 100, by target',
    [
      {
        expr: 'histogram_quantile(0.5, sum by (target, le) (rate(dispatch_attempt_duration_seconds_bucket[15m])))',
        legend: '{{target}} p50',
      },
      {
        expr: 'histogram_quantile(0.95, sum by (target, le) (rate(dispatch_attempt_duration_seconds_bucket[15m])))',
        legend: '{{target}} p95',
      },
    ],
    's',
  ),
  series(
    'Duration of stages',
    '95 in 100, by target and stage',
    [
      {
        expr: 'histogram_quantile(0.95, sum by (target, stage, le) (rate(dispatch_stage_duration_seconds_bucket[15m])))',
        legend: '{{target}} {{stage}}',
      },
    ],
    's',
  ),
  series('Circuits', '1: the target cannot be used', [
    { expr: 'max by (target) (dispatch_circuit_open)', legend: '{{target}}' },
  ]),
  series('Studies routed', 'A minute, by source and outcome', [
    {
      expr: 'sum by (source, outcome) (rate(dispatch_studies_routed_total[5m])) * 60',
      legend: '{{source}} {{outcome}}',
    },
  ]),
  series('Studies forgotten', 'A day, by source: gone from it, and not kept any longer (records.keep)', [
    { expr: 'sum by (source) (increase(dispatch_studies_forgotten_total[1d]))', legend: '{{source}}' },
  ]),
  series('Behind the change feed', 'Changes not dealt with yet, by source', [
    { expr: 'max by (source) (dispatch_feed_lag_changes)', legend: '{{source}}' },
  ]),
  series(
    'Cache',
    'Share of looks that found a result, by type',
    [
      {
        expr: 'max by (type) (dispatch_cache_hits_total) / (max by (type) (dispatch_cache_hits_total) + max by (type) (dispatch_cache_misses_total))',
        legend: '{{type}}',
      },
    ],
    'percentunit',
  ),
  series(
    'Cache memory',
    'In Redis, by type',
    [{ expr: 'max by (type) (dispatch_cache_bytes)', legend: '{{type}}' }],
    'bytes',
  ),
  series(
    'Event-loop delay',
    '99 in 100, by process',
    [{ expr: 'nodejs_eventloop_lag_p99_seconds', legend: '{{instance}}' }],
    's',
  ),
  series(
    'Memory',
    'Of Redis, and of each process',
    [
      { expr: 'max(dispatch_redis_memory_bytes)', legend: 'Redis' },
      { expr: 'process_resident_memory_bytes', legend: '{{instance}}' },
    ],
    'bytes',
  ),
];

export const dashboard: Dashboard = {
  uid: 'dicom-dispatch',
  title: 'dicom-dispatch',
  tags: ['dicom'],
  timezone: 'browser',
  schemaVersion: 39,
  refresh: '30s',
  time: { from: 'now-6h', to: 'now' },
  templating: { list: [{ name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' }] },
  annotations: { list: [] },
  panels,
};
