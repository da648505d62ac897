import { readHealth, type HealthFinding } from '@dicom-dispatch/operations';
import { withDeadline } from '@dicom-dispatch/state/redis';
import type { ViewContext } from '../views/view-context.ts';
import { listSources } from '../views/show-system.ts';

const keptMs = 2_000;
const answerWithinMs = 3_000;

/** Reads the health at most every two seconds for all callers: pages, banner, metrics, notifications. */
export function shareHealth(context: () => ViewContext): () => Promise<readonly HealthFinding[]> {
  let last: { readonly at: number; readonly findings: Promise<readonly HealthFinding[]> } | undefined;
  return () => {
    if (!last || performance.now() - last.at > keptMs) last = { at: performance.now(), findings: read(context()) };
    return last.findings;
  };
}

async function read(context: ViewContext): Promise<readonly HealthFinding[]> {
  // Without Redis the sources cannot be read either.
  if (context.redis.status !== 'ready') return readHealth(context.operations);
  try {
    await withDeadline(
      context.redis.ping().catch(() => undefined),
      answerWithinMs,
    );
  } catch {
    return readHealth(context.operations);
  }
  const sources = await listSources(context).catch(() => undefined);
  return readHealth(context.operations, sources);
}
