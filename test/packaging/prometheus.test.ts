import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tempFolder } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { dashboard } from '../../deploy/grafana/dashboard.ts';

/** The files for Prometheus are checked by its tool promtool, from the Debian package `prometheus`. */

const run = promisify(execFile);
const deploy = fileURLToPath(new URL('../../deploy', import.meta.url));
/** The PromQL of all panels. */
const queries = (dashboard.panels ?? [])
  .flatMap((panel) => ('targets' in panel ? (panel.targets ?? []) : []))
  .map(({ expr }) => String(expr));

it('the alert rules are valid for Prometheus', async () => {
  const { stdout } = await run('promtool', ['check', 'rules', join(deploy, 'grafana/alerts.yaml')]);
  expect(stdout).toMatch(/SUCCESS: [3-9]\d rules found/);
});

it('dashboard.json is the dashboard that the compiler compares with the schema of Grafana, and its queries are PromQL', async () => {
  const text = await readFile(join(deploy, 'grafana/dashboard.json'), 'utf8');
  expect(JSON.parse(text), 'make it anew with deploy/grafana/make-dashboard.ts').toEqual(dashboard);
  expect(queries.length).toBeGreaterThan(20);
  await using folder = await tempFolder('promtool');
  const file = join(folder.path, 'queries.yaml');
  const rules = queries.map((expr, index) => ({ record: `panel:${index}`, expr }));
  await writeFile(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
  const { stdout } = await run('promtool', ['check', 'rules', file]);
  expect(stdout).toContain(`SUCCESS: ${queries.length} rules found`);
});

it('the dashboard counts nothing twice where two consoles run', async () => {
  await using folder = await tempFolder('promtool');
  // Gauges that every console reads from Redis; counters and histograms belong to one process.
  const gauges = queries.flatMap((expr) => {
    const names = expr.match(/\bdispatch_[a-z0-9_]+/g) ?? [];
    const [name = ''] = names;
    return names.length === 1 && !/_(total|bucket)$/.test(name) ? [{ expr, name }] : [];
  });
  expect(gauges.length).toBeGreaterThan(10);
  const tests = gauges.map(({ expr, name }) => {
    const state = /state="(\w+)"/.exec(expr)?.[1] ?? '';
    const labels = `target="a",source="main",type="query",state="${state}"`;
    return {
      name: expr,
      interval: '1m',
      input_series: ['console-1', 'console-2'].map((instance) => ({
        series: `${name}{instance="${instance}",${labels}}`,
        values: '5',
      })),
      promql_expr_test: [{ expr: `sum(${expr})`, eval_time: '0m', exp_samples: [{ labels: '{}', value: 5 }] }],
    };
  });
  const file = join(folder.path, 'tests.yaml');
  await writeFile(file, JSON.stringify({ tests }));
  const { stdout } = await run('promtool', ['test', 'rules', file]).catch(
    (error: { stdout: string; stderr: string }) => ({ stdout: error.stdout + error.stderr }),
  );
  expect(stdout).toContain('SUCCESS');
});

it('the query that scales dispatchers counts deliveries that may run, up to the limit of each target', async () => {
  await using folder = await tempFolder('promtool');
  const { spec } = parse(await readFile(join(deploy, 'kubernetes/autoscaled/scale-dispatchers.yaml'), 'utf8')) as {
    spec: { triggers: { metadata: { query: string } }[] };
  };
  const expr = spec.triggers[0]?.metadata.query ?? '';
  const jobs = (target: string, state: string, count: number): object[] =>
    ['console-1', 'console-2'].map((instance) => ({
      series: `dispatch_queue_jobs{instance="${instance}",target="${target}",state="${state}"}`,
      values: `${count}`,
    }));
  const per = (name: string, target: string, value: number): object => ({
    series: `${name}{instance="console-1",target="${target}"}`,
    values: `${value}`,
  });
  const target = (name: string, concurrency: number, open = 0, paused = 0): object[] => [
    per('dispatch_target_concurrency', name, concurrency),
    per('dispatch_circuit_open', name, open),
    per('dispatch_queue_paused', name, paused),
  ];
  const workers = { series: 'dispatch_workers{instance="console-1"}', values: '2' };
  const cases: [what: string, series: object[], value: number | undefined][] = [
    [
      'below the limit: what runs and waits',
      [...target('a', 10), ...jobs('a', 'active', 2), ...jobs('a', 'waiting', 3)],
      5,
    ],
    ['above it: the limit', [...target('a', 4), ...jobs('a', 'active', 4), ...jobs('a', 'waiting', 900)], 4],
    [
      'two targets',
      [...target('a', 4), ...jobs('a', 'waiting', 9), ...target('b', 4), ...jobs('b', 'prioritized', 1)],
      5,
    ],
    ['behind an open circuit', [...target('a', 4, 1), ...jobs('a', 'waiting', 9)], 0],
    ['paused', [...target('a', 4, 0, 1), ...jobs('a', 'waiting', 9)], 0],
    ['delayed does not count', [...target('a', 4), ...jobs('a', 'delayed', 9), ...jobs('a', 'waiting', 0)], 0],
    ['no target', [], 0],
  ];
  const tests = [
    ...cases.map(([name, series, value]) => ({
      name,
      interval: '1m',
      input_series: [workers, ...series],
      promql_expr_test: [{ expr, eval_time: '0m', exp_samples: [{ labels: '{}', value }] }],
    })),
    // An unavailable console is an error for KEDA, not an empty queue.
    { name: 'no console', interval: '1m', promql_expr_test: [{ expr, eval_time: '0m', exp_samples: [] }] },
  ];
  const file = join(folder.path, 'tests.yaml');
  await writeFile(file, JSON.stringify({ tests }));
  const { stdout } = await run('promtool', ['test', 'rules', file]).catch(
    (error: { stdout: string; stderr: string }) => ({
      stdout: error.stdout + error.stderr,
    }),
  );
  expect(stdout).toContain('SUCCESS');
});
