/** Renews the lock of a migration. Rejects if the lock is lost: the step must end then, another process may run it. */
export type Renew = () => Promise<void>;

/** For a step without a lock. */
export async function notLocked(): Promise<void> {}
