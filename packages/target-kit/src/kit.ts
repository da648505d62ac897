import { DispatchError, durationMs, secret, sizeBytes, targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { networkSteps, runChecks } from './checks/index.ts';
import { type InstanceBytes, contractVersion } from './contract/index.ts';
import { cancelledError, inLanes, LateReturns } from './flow/index.ts';

/**
 * What a handler from outside is given to build itself with, so that it needs none of our packages and shares our zod
 * and our error class. It grows; what is in it changes only with `contractVersion`.
 */
export interface TargetKit {
  readonly contractVersion: typeof contractVersion;
  /** zod 4, for the schema. */
  readonly z: typeof z;
  /** What every target can say: to be spread into the handler's strict object. */
  readonly targetOptions: typeof targetOptions;
  /** Schemas of values that look the same everywhere: `250ms`, `64MB`, `${NAME}`. */
  readonly durationMs: typeof durationMs;
  readonly sizeBytes: typeof sizeBytes;
  readonly secret: typeof secret;
  readonly DispatchError: typeof DispatchError;
  /** What an aborted signal means: to be thrown when `run.signal` is aborted. */
  readonly cancelledError: typeof cancelledError;
  /**
   * The chunks of an instance for a stream that ends in a socket and heeds its back-pressure: the source reads into their
   * memory again once the socket cannot hold them any more. Without it, memory grows until it is collected.
   */
  readonly streamed: (bytes: Pick<InstanceBytes, 'body' | 'releaseChunk'>) => AsyncIterable<Uint8Array>;
  /** Sends what is pending in parallel lanes and reports what becomes of each instance. */
  readonly inLanes: typeof inLanes;
  /** Runs named checks in order, and the ones that every TCP peer begins with. */
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
