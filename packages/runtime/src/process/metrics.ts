import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Gauges of the library with names of counters, each in addition to one with the same data by kind. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

let ofProcess: Registry | undefined;

/**
 * The metrics of a service: its build, what it adds, and memory, CPU and event-loop delay of its process. These are measured once
 * in a process, because the library never ends what it starts for them: a timer every 10 ms and an observer of collections.
 */
export function createMetrics(version = 'unknown'): Registry {
  const registry = Registry.merge([metricsOfProcess()]);
  new Gauge({
    name: 'dispatch_build_info',
    help: 'Version of dicom-dispatch and of Node; always 1',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.versions.node }, 1);
  return registry;
}

function metricsOfProcess(): Registry {
  if (ofProcess === undefined) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
    for (const name of misnamed) ofProcess.removeSingleMetric(name);
  }
  return ofProcess;
}
