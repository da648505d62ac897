import type { Logger, RedisWatch } from '@dicom-dispatch/runtime';

export interface LossDependencies {
  readonly watch: RedisWatch;
  /** Aborts running deliveries: their jobs, locks and confirmations may be lost. */
  giveUp(): void;
  /** Restores the settings of a queue in Redis. */
  prepare(): Promise<void>;
  readonly log: Logger;
}

/**
 * Aborts all deliveries when Redis has lost data: confirmations would be lost. Deliveries taken meanwhile wait for the
 * recovery (`untilGood` of the context): arrived instances would be sent again.
 *
 * @returns a function that stops this
 */
export function giveUpOnLoss({ watch, giveUp, prepare, log }: LossDependencies): () => void {
  const prepareAgain = (): void =>
    void prepare().catch((error: unknown) => log.warn({ err: error }, 'a queue could not be set up again'));
  return watch.listen({
    lost() {
      giveUp();
      // Before the recovery fills the queues: workers take as many jobs as the limits there allow.
      prepareAgain();
    },
    recovered: prepareAgain,
  });
}
