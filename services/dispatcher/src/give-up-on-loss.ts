import type { Logger, RedisWatch } from '@dicom-dispatch/runtime';

export interface LossDependencies {
  readonly watch: RedisWatch;
  /** Gives up what is under way: its jobs, locks and confirmations may be gone. */
  giveUp(): void;
  /** Puts what a queue needs into Redis again. */
  prepare(): Promise<void>;
  readonly log: Logger;
}

/**
 * Gives up all deliveries when Redis has lost data: what is confirmed would be lost. What is taken meanwhile waits for the recovery
 * (`untilGood` of the context): what had arrived would be sent again.
 *
 * @returns what ends it
 */
export function giveUpOnLoss({ watch, giveUp, prepare, log }: LossDependencies): () => void {
  const prepareAgain = (): void =>
    void prepare().catch((error: unknown) => log.warn({ err: error }, 'a queue could not be set up again'));
  return watch.listen({
    lost() {
      giveUp();
      // Before the recovery fills the queues: a worker takes what the limits there allow.
      prepareAgain();
    },
    recovered: prepareAgain,
  });
}
