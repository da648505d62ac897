import { Counter, Histogram, type Registry } from '@dicom-dispatch/runtime';
import { endStates } from '@dicom-dispatch/state/records';

/** Prometheus metrics of a dispatcher. Labels are names from the configuration and codes, never anything of a patient. */
export interface DispatcherMetrics {
  /** Creates the counters of these targets at the start, with 0. */
  begin(targets: readonly string[]): void;
  readonly ended: Counter;
  readonly failures: Counter;
  readonly quarantined: Counter;
  readonly bytes: Counter;
  readonly duration: Histogram;
  readonly stages: Histogram;
}

export function createDispatcherMetrics(registry: Registry): DispatcherMetrics {
  const registers = [registry];
  const metrics = {
    ended: new Counter({
      name: 'dispatch_deliveries_ended_total',
      help: 'Deliveries that ended, by target and state',
      labelNames: ['target', 'state'],
      registers,
    }),
    failures: new Counter({
      name: 'dispatch_attempts_failed_total',
      help: 'Attempts that failed, by target, stage and code',
      labelNames: ['target', 'stage', 'code'],
      registers,
    }),
    quarantined: new Counter({
      name: 'dispatch_instances_quarantined_total',
      help: 'Instances that a target rejects, by target and code',
      labelNames: ['target', 'code'],
      registers,
    }),
    bytes: new Counter({
      name: 'dispatch_sent_bytes_total',
      help: 'Bytes of instances sent, by target',
      labelNames: ['target'],
      registers,
    }),
    duration: new Histogram({
      name: 'dispatch_attempt_duration_seconds',
      help: 'Duration of the attempt that ended a delivery',
      labelNames: ['target', 'state'],
      buckets: [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800],
      registers,
    }),
    stages: new Histogram({
      name: 'dispatch_stage_duration_seconds',
      help: 'Duration of each stage of each attempt, including failed attempts, by target and stage',
      labelNames: ['target', 'stage'],
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600, 1800],
      registers,
    }),
  };
  return {
    ...metrics,
    begin(targets) {
      for (const target of targets) {
        metrics.bytes.inc({ target }, 0);
        for (const state of endStates) metrics.ended.inc({ target, state }, 0);
      }
    },
  };
}
