import type { Logger } from '@dicom-dispatch/runtime';
import { exitCodes } from './exit.ts';

/** How long a process may continue after all its work has ended, in milliseconds. */
export const lingerMs = 3_000;

/** Ends the process after some time if it is still running, and reports what keeps it running. */
export function endByForce(afterMs: number, why: string, log?: Logger): void {
  const end = (): void => {
    const kept = process.getActiveResourcesInfo();
    log?.error({ afterMs, kept }, why);
    console.error(`dispatch: ended by force: ${why}`);
    process.exit(process.exitCode ?? exitCodes.failed);
  };
  setTimeout(end, afterMs).unref();
}
