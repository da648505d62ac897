import type { Logger } from '../logging/create-logger.ts';

/** Maximum time for a part to end when nothing is running in it, in milliseconds. */
export const partEndMs = 5_000;

/**
 * Ends parts of a service, in parallel. Parts that have not ended within `withinMs`, or fail to end, are left behind
 * and named in the log. A stopping service must not wait for something that no longer responds: Redis, a source, a
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
    // A later error is ignored.
    ended.catch(() => {});
    log.warn({ what: part, withinMs }, 'this part did not stop in time and was abandoned');
  } catch (error) {
    log.warn({ what: part, err: error }, 'this part failed to stop and was abandoned');
  } finally {
    clearTimeout(timer);
  }
  return part;
}
