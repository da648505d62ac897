import { DispatchError, durationMs, secret, sizeBytes, targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { networkSteps, runChecks } from './checks/index.ts';
import { type InstanceBytes, contractVersion } from './contract/index.ts';
import { cancelledError, inLanes, LateReturns } from './flow/index.ts';

/**
 * The parts that an external handler receives, so that it needs none of our packages and shares our zod and our error class.
 * New parts may be added; existing ones change only with `contractVersion`.
 */
export interface TargetKit {
  readonly contractVersion: typeof contractVersion;
  /** zod 4, for the schema. */
  readonly z: typeof z;
  /** Options of every target: spread them into the strict object of the handler. */
  readonly targetOptions: typeof targetOptions;
  /** Schemas of common values: `250ms`, `64MB`, `${NAME}`. */
  readonly durationMs: typeof durationMs;
  readonly sizeBytes: typeof sizeBytes;
  readonly secret: typeof secret;
  readonly DispatchError: typeof DispatchError;
  /** The error for an aborted signal: throw it if `run.signal` is aborted. */
  readonly cancelledError: typeof cancelledError;
  /**
   * The chunks of an instance for a stream that ends in a socket and respects its back-pressure: the source reuses their memory
   * as soon as the socket can no longer hold them. Without this, memory grows until the garbage collector runs.
   */
  readonly streamed: (bytes: Pick<InstanceBytes, 'body' | 'releaseChunk'>) => AsyncIterable<Uint8Array>;
  /** Sends pending instances in parallel lanes and reports the result of each. */
  readonly inLanes: typeof inLanes;
  /** Runs named checks in order, and the first checks of every TCP peer. */
  readonly runChecks: typeof runChecks;
  readonly networkSteps: typeof networkSteps;
}

export const targetKit: TargetKit = {
  contractVersion,
  z,
  targetOptions,
  durationMs,
  sizeBytes,
  secret,
  DispatchError,
  cancelledError,
  streamed: (bytes) => new LateReturns().borrow(bytes),
  inLanes,
  runChecks,
  networkSteps,
};
