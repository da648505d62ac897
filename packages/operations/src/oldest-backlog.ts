import type { PipelineContext } from '@dicom-dispatch/pipeline';

const batch = 50;
/** An older version also indexed held ones: at most this number of them is skipped before the search ends. */
const maxLookedAt = 2_000;

/**
 * Since when the longest-waiting delivery to a target waits that may run (ms since 1970): held ones, and those
 * outside their schedule, wait intentionally.
 *
 * @param before - only those that wait since before this time
 */
export async function oldestBacklog(
  { records }: Pick<PipelineContext, 'records'>,
  target: string,
  before: number = Number.MAX_SAFE_INTEGER,
): Promise<number | undefined> {
  for (let offset = 0; offset < maxLookedAt; offset += batch) {
    const ids = await records.waitingLongest(target, before, batch, offset);
    for (const looked of await records.lookAll(ids)) {
      if (!looked || looked.isHeld || looked.record.state !== 'waiting') continue;
      const { wake, since } = looked.record;
      if (wake !== 'schedule' && wake !== 'person' && since <= before) return since;
    }
    if (ids.length < batch) return undefined;
  }
  return undefined;
}
