import type { Logger } from '../logging/create-logger.ts';

/** How long a part may take to end when nothing is under way in it, in milliseconds. */
export const partEndMs = 5_000;

/**
 * Ends parts of a service, all at the same time. What has not ended within `withinMs` is left behind, and what fails to
 * end too; the log names both. A service that is stopped must not wait for what no longer answers: Redis, a source, a
 * target.
 *
 * @returns the names of those that were left behind
 */
export async function endInTime(
  log: Logger,
  parts: Readonly<Record<string, () => unknown>>,
  withinMs: number = partEndMs,
): Promise<readonly string[]> {
  const left = await Promise.all(Object.entries(parts).map(([part, end]) => endOne(log, part, end, withinMs)));
  return left.flatMap((part) => part ?? []);
}

async function endOne(log: Logger, part: string, end: () => unknown, withinMs: number): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), withinMs);
  });
  try {
    const ended = (async () => void (await end()))();
    if ((await Promise.race([ended, late])) !== 'late') return undefined;
    // How it ends later on is nobody's business any more.
    ended.catch(() => {});
    log.warn({ what: part, withinMs }, 'this part did not stop in time and was abandoned');
  } catch (error) {
    log.warn({ what: part, err: error }, 'this part failed to stop and was abandoned');
  } finally {
    clearTimeout(timer);
  }
  return part;
}
