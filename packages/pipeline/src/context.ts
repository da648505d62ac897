import { Circuits } from '@dicom-dispatch/state/circuit';
import { createLedger, type Ledger } from '@dicom-dispatch/state/ledger';
import { Records } from '@dicom-dispatch/state/records';
import { SharedUids } from '@dicom-dispatch/state/shared-uids';
import { TargetPlaces } from '@dicom-dispatch/state/target-places';
import type { Config } from '@dicom-dispatch/core';
import type { Redis } from '@dicom-dispatch/runtime';
import { operationKeys } from './keys.ts';
import { OpenQueues } from './queues/open-queues.ts';

/** What every operation needs. */
export interface PipelineContext {
  /** The configuration as it is now. */
  readonly config: () => Config;
  readonly redis: Redis;
  readonly records: Records;
  readonly ledger: Ledger;
  readonly circuits: Circuits;
  readonly sharedUids: SharedUids;
  readonly places: TargetPlaces;
  readonly queues: OpenQueues;
  readonly keys: ReturnType<typeof operationKeys>;
  /** Closes the queues; the Redis connection is the caller's. */
  close(): Promise<void>;
}

/** Name of the actor in timelines and in the audit log. */
export interface Actor {
  readonly name: string;
}

export function openPipeline(config: Config | (() => Config), redis: Redis): PipelineContext {
  const current = typeof config === 'function' ? config : () => config;
  const { prefix } = current().redis;
  const queues = new OpenQueues(redis, current());
  return {
    config: current,
    redis,
    records: new Records(redis, prefix),
    ledger: createLedger(redis, { prefix }),
    circuits: new Circuits(redis, prefix),
    sharedUids: new SharedUids(redis, prefix),
    places: new TargetPlaces(redis, prefix),
    queues,
    keys: operationKeys(prefix),
    close: () => queues.close(),
  };
}
