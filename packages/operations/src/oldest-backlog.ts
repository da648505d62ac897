import type { PipelineContext } from '@dicom-dispatch/pipeline';

const batch = 100;
/** So many that wait for a person or for their schedule are passed over before the search is given up. */
const mostLookedAt = 2_000;

/**
 * When the delivery to a target was routed that waits longest although it may go (ms since 1970): those that are held, or
 * outside their schedule, wait because somebody wants it.
 *
 * @param before - only those that were routed before this time
 */
export async function oldestBacklog(
  { records }: PipelineContext,
  target: string,
  before: number,
): Promise<number | undefined> {
  for (let offset = 0; offset < mostLookedAt; offset += batch) {
    const ids = await records.waitingLongest(target, before, batch, offset);
    for (const looked of await records.lookAll(ids)) {
      if (!looked || looked.isHeld || looked.record.state !== 'waiting') continue;
      const { wake, since } = looked.record;
      if (wake === 'schedule' || wake === 'person' || since > before) continue;
      return looked.record.routedAt;
    }
    if (ids.length < batch) return undefined;
  }
  return undefined;
}
