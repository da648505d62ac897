import { deliveryStates } from '@dicom-dispatch/cache/records';
import { Gauge } from '@dicom-dispatch/runtime';
import type { ConsoleContext } from '../console-context.ts';

const jobStates = ['waiting', 'prioritized', 'active', 'delayed', 'failed', 'completed'] as const;

/** Metrics of the whole system that are read from Redis when they are asked for: one console tells them for all. */
export function addMetrics({ metrics, operations, config }: ConsoleContext): void {
  const targets = (): string[] => Object.keys(config().targets);
  const gauge = (
    name: string,
    help: string,
    labelNames: string[],
    read: (target: string, set: (value: number, labels?: Record<string, string>) => void) => Promise<void>,
  ): void => {
    const made: Gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [metrics],
      async collect() {
        this.reset();
        await Promise.all(
          targets().map((target) => read(target, (value, labels = {}) => this.set({ target, ...labels }, value))),
        );
      },
    });
    void made;
  };

  gauge('dispatch_queue_jobs', 'Jobs in the queue of a target, by state', ['target', 'state'], async (target, set) => {
    const counts = await operations.queues.target(target).getJobCounts(...jobStates);
    for (const state of jobStates) set(counts[state] ?? 0, { state });
  });
  gauge('dispatch_deliveries', 'Deliveries to a target, by state', ['target', 'state'], async (target, set) => {
    const counts = await operations.records.counts(target);
    for (const state of deliveryStates) set(counts[state], { state });
  });
  gauge('dispatch_queue_paused', 'Whether an operator has paused the target', ['target'], async (target, set) => {
    set((await operations.queues.target(target).isPaused()) ? 1 : 0);
  });
  gauge('dispatch_circuit_open', 'Whether the circuit of the target is open', ['target'], async (target, set) => {
    set((await operations.circuits.state(target)).state === 'closed' ? 0 : 1);
  });
}
