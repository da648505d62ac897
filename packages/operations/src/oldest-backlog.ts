import type { PipelineContext } from '@dicom-dispatch/pipeline';

const batch = 50;
/** An older version indexed those that are held, too: so many of them are passed over before the search is given up. */
const maxLookedAt = 2_000;

/**
 * Since when the delivery to a target waits that waits longest although it may go (ms since 1970): those that are held, or
 * outside their schedule, wait because somebody wants it.
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
