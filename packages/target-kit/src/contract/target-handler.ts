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

/** Incremented when the contract changes in a way that external handlers must follow. */
export const contractVersion = 1;

/**
 * Interface of a target type. A handler has no state: everything it needs is in the run, and several runs are executed at the
 * same time.
 */
export interface TargetHandler<Config extends TargetConfig = TargetConfig> {
  readonly contractVersion: typeof contractVersion;
  readonly type: string;
  readonly schema: z.ZodType<Config, unknown>;

  /** Description of the type for forms, in addition to the schema. If omitted, forms show the value of `type`. */
  readonly about?: TargetAbout<Config>;

  /**
   * Sends pending instances. Enters the stages `connect`, `transfer`, `verify` and `finalize` in order, and reports each instance
   * when the target confirms it. Resolves when every pending instance has been reported; throws a DispatchError if the attempt
   * cannot continue. A second delivery of the same content changes nothing at the target.
   */
  deliver(run: DeliveryRun<Config>): Promise<void>;

  /**
   * `sop-instance-uid`: the target may identify an instance by this UID alone, so two contents with one UID cannot both be
   * stored. This is then noted with the deliveries. If omitted: each content has a separate place, or the handler detects conflicts itself.
   */
  readonly keyedBy?: 'sop-instance-uid';

  /** Can send a study in parts during its reception: see `isPart` of a run. Default: complete studies only. */
  readonly sendsParts?: true;

  /** Runs its named checks in order and yields each when it ends; checks that depend on a failed one are `skipped`. */
  testConnection(context: CheckContext<Config>): AsyncIterable<Check>;

  /**
   * Work for the target as long as a dispatcher runs, independent of deliveries, for example a port on which it
   * reports. Returns immediately and never throws: failures are logged, and the work is retried.
   */
  readonly serve?: (context: ServeContext<Config>) => TargetService;

  /** Most bytes of one instance that are in memory at the same time, where that is more than 1 MiB. */
  readonly heldBytes?: (config: Config) => number;

  /** For targets that also support search and retrieval. */
  readonly pull?: Puller<Config>;

  /** For targets whose content can be listed: connects, for an audit. @throws {DispatchError} in stage `connect` */
  readonly inventory?: (context: InventoryContext<Config>) => Promise<Inventory>;
}
