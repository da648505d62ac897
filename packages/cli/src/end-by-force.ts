import type { Logger } from '@dicom-dispatch/runtime';
import { exitCodes } from './exit.ts';

/** How long a process may live on, in milliseconds, when all of it has ended. */
export const lingerMs = 3_000;

/** Ends the process after a while, should it still live then, and says what keeps it. */
export function endByForce(afterMs: number, why: string, log?: Logger): void {
  const end = (): void => {
    const kept = process.getActiveResourcesInfo();
    log?.error({ afterMs, kept }, why);
    console.error(`dispatch: ended by force: ${why}`);
    process.exit(process.exitCode ?? exitCodes.failed);
  };
  setTimeout(end, afterMs).unref();
}
