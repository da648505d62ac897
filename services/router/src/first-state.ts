import type { OrthancClient } from '@dicom-dispatch/orthanc';
import { toSourceTime } from '@dicom-dispatch/sources';
import type { FeedState } from '@dicom-dispatch/state/feed';

/** Maximum duration of a transaction of the source: its changes appear when it ends. */
const maxCommitMs = 10_000;

/**
 * Start position in a source that was never followed. `now` is the source's own clock, read before the position in its feed:
 * changes in between are routed.
 *
 * @throws OrthancError
 */
export async function firstState(dependencies: {
  /** As in the configuration, or a time by the source's clock. */
  readonly startFrom: string;
  readonly orthanc: OrthancClient;
  readonly signal: AbortSignal;
  sourceNow(): Promise<number>;
}): Promise<FeedState> {
  const { orthanc, signal, startFrom } = dependencies;
  const now = await beginningNow(dependencies);
  const newest = await orthanc.lastChange({ signal });
  if (startFrom === 'everything') {
    return { epoch: 1, seq: 0, beganAt: newest?.Seq ?? 0, fingerprint: undefined, since: '', firstSeen: now };
  }
  if (startFrom !== 'now') {
    const since = beginOf(startFrom);
    const beganAt = since <= now ? { beganAt: newest?.Seq ?? 0 } : {};
    return { epoch: 1, seq: 0, ...beganAt, fingerprint: undefined, since, firstSeen: now };
  }
  return {
    epoch: 1,
    seq: newest?.Seq ?? 0,
    beganAt: newest?.Seq ?? 0,
    fingerprint: newest && { seq: newest.Seq, id: newest.ID, date: newest.Date },
    since: now,
    datedUpTo: toSourceTime((await dependencies.sourceNow()) + maxCommitMs),
  };
}

/** Converts `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM[:SS]` to Orthanc's form. */
function beginOf(text: string): string {
  const [date = '', time = ''] = text.replaceAll(/[-:]/g, '').split('T');
  return `${date}T${time.padEnd(6, '0')}`;
}

/**
 * The source's own time, in whole seconds: never later than now. For a source that hides its clock it is known to about a
 * second.
 */
async function beginningNow({ orthanc, signal, sourceNow }: Parameters<typeof firstState>[0]): Promise<string> {
  const nowMs = await sourceNow();
  return orthanc.now({ signal }).catch(() => toSourceTime(nowMs - 1_000));
}
