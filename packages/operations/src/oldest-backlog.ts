import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { readable } from '@dicom-dispatch/state/records';

const batch = 50;
/** The index may contain deliveries that wait intentionally: the search ends after this number of entries. */
const maxLookedAt = 2_000;

/**
 * Since when the oldest delivery to a target has waited that may run (ms since 1970); undefined if there is none. Held
 * deliveries, and those outside their schedule, wait intentionally and are not considered.
 *
 * @param before - only those that have waited since this time or longer
 */
export async function oldestBacklog(
  { records }: Pick<PipelineContext, 'records'>,
  target: string,
  before: number = Number.MAX_SAFE_INTEGER,
): Promise<number | undefined> {
  for (let offset = 0; offset < maxLookedAt; offset += batch) {
    const ids = await records.waitingLongest(target, before, batch, offset);
    for (const looked of readable(await records.lookAll(ids))) {
      if (!looked || looked.isHeld || looked.record.state !== 'waiting') continue;
      const { wake, since } = looked.record;
      if (wake !== 'schedule' && wake !== 'person' && since <= before) return since;
    }
    if (ids.length < batch) return undefined;
  }
  return undefined;
}
