import type { TargetAbout, TargetConfig } from '@dicom-dispatch/core';
import type { z } from 'zod';
import type { Check, CheckContext } from './check.ts';
import type { DeliveryRun, RunLog } from './delivery-run.ts';
import type { Inventory, InventoryContext } from './inventory.ts';
import type { Mailbox } from './mailbox.ts';
import type { Puller } from './pull.ts';

export interface ServeContext<Config> {
  readonly config: Config;
  readonly targetName: string;
  readonly mailbox: Mailbox;
  readonly log: RunLog;
}

export interface TargetService {
  stop(): Promise<void>;
}

/** Raised when the contract changes in a way that an outside handler has to follow. */
export const contractVersion = 1;

/**
 * What a target type has to be able to do. A handler has no state of its own: everything it needs is in the run, and
 * several runs go on at the same time.
 */
export interface TargetHandler<Config extends TargetConfig = TargetConfig> {
  readonly contractVersion: typeof contractVersion;
  readonly type: string;
  readonly schema: z.ZodType<Config, unknown>;

  /** How the type presents itself: forms are made from it and the schema. Left out: it is named by its type. */
  readonly about?: TargetAbout<Config>;

  /**
   * Sends what is pending. Enters the stages `connect`, `transfer`, `verify` and `finalize` as it gets there, and
   * reports each instance as the target confirms it. Resolves when every pending instance has been reported; throws a
   * DispatchError when the attempt cannot go on. A second delivery of the same content changes nothing at the target.
   */
  deliver(run: DeliveryRun<Config>): Promise<void>;

  /**
   * `sop-instance-uid`: the target may know an instance by that UID alone, so that two contents with one UID cannot both be
   * kept. Then it is noted with the deliveries. Left out: each has its own place, or the handler sees to it.
   */
  readonly keyedBy?: 'sop-instance-uid';

  /** It can send a study in parts while that is still being received: see `isPart` of a run. Default: whole studies only. */
  readonly sendsParts?: true;

  /** Runs its named checks in order and yields each as it ends; what depends on a failed one is `skipped`. */
  testConnection(context: CheckContext<Config>): AsyncIterable<Check>;

  /**
   * What the target needs for as long as a dispatcher runs, between and beside deliveries: a port on which it reports, for
   * instance. Returns at once and throws nothing: what does not work is logged, and tried again.
   */
  readonly serve?: (context: ServeContext<Config>) => TargetService;

  /** Most bytes of one instance that are in memory at the same time, where that is more than 1 MiB. */
  readonly heldBytes?: (config: Config) => number;

  /** For targets that can also be asked and pulled from. */
  readonly pull?: Puller<Config>;

  /** For targets that can say what they have: connects, for an audit. @throws {DispatchError} in stage `connect` */
  readonly inventory?: (context: InventoryContext<Config>) => Promise<Inventory>;
}
