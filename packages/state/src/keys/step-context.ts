/** What a step of the migration uses besides Redis. */
export interface StepContext {
  /** Renews the lock. Rejects if the lock is lost: the step must end then, another process may run it. */
  renew(): Promise<void>;
  /** Reports the key of a record that cannot be converted, and stays as it is. */
  onDamaged(key: string): void;
}

/** For a step without a lock. */
export const withoutLock: StepContext = { renew: async () => {}, onDamaged() {} };
