import { redisKeys } from '../keys/redis-keys.ts';
import { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { forgetScriptWith } from './forget-script.ts';
import type { StudyKey } from './record-reader.ts';

/**
 * - `forgotten`: nothing of it is known any more; when only looked at: it could be
 * - `recent`: something has happened to it since
 * - `open`: a delivery waits or is under way
 * - `failed`: the newest delivery to a target has failed, and nobody has dealt with it
 * - `waiting`: a rule waits until it is complete
 * - `needed`: it was sent to a target that is a source too, and that source has it
 * - `busy`: it is being routed, or a job of it has not ended
 * - `lost`: the lease has gone to another router
 * - `unknown`: there is no such study
 */
export type ForgetAnswer =
  | 'forgotten'
  | 'recent'
  | 'open'
  | 'failed'
  | 'waiting'
  | 'needed'
  | 'busy'
  | 'lost'
  | 'unknown';

export interface ForgetTerms {
  /** Studies to which something has happened at or after this time stay (ms since 1970). */
  readonly before: number;
  /** Whether studies with failed deliveries go too. Default false. */
  readonly withFailed?: boolean;
  /** Only says what would come of it; `measured` also how many bytes that would be, which takes Redis longer. */
  readonly dryRun?: boolean | 'measured';
  /** Targets that are sources, with the source: what came from one of our sources must not go back there. */
  readonly sourceOfTarget: Readonly<Record<string, string>>;
  /** What is to be known of their jobs, as a part of a script in Lua (`forgetScriptWith`). */
  readonly jobs: string;
  /** Nothing is forgotten when the lease has gone to another router. */
  readonly fence?: { readonly lockKey: string; readonly token: string } | undefined;
  /** Keys that operations write: group choices of the study, held deliveries, studies that wait, studies that left. */
  readonly keys: { readonly choices: string; readonly held: string; readonly waits: string; readonly left: string };
}

export interface Forgotten {
  readonly answer: ForgetAnswer;
  readonly deliveries: number;
  readonly bytes: number;
}

/** What a delivery takes in the indexes, about (docs/reliability.md, soak). */
const indexBytes = 640;
/** Deliveries in one call: some milliseconds for Redis. */
const atOnce = 100;

/**
 * Forgets a study with its deliveries, what targets have confirmed of it, and its jobs. The caller has made sure that the
 * source no longer has it: otherwise it would be routed, and sent, once more.
 *
 * @returns what came of it, and how many deliveries went, or would go; bytes only where they were asked for
 * @throws DispatchError `ledger-unavailable`
 */
export async function forgetStudy(
  redis: Redis,
  prefix: string,
  { source, orthancStudyId }: StudyKey,
  terms: ForgetTerms,
): Promise<Forgotten> {
  const { fence, keys, dryRun = false } = terms;
  let deliveries = 0;
  for (;;) {
    const [answer, count, bytes = 0] = await ask();
    deliveries += count;
    if (answer !== 'more') return { answer, deliveries, bytes: bytes + deliveries * indexBytes };
  }

  async function ask(): Promise<[ForgetAnswer | 'more', number, number?]> {
    try {
      return (await forgetScriptWith(terms.jobs).run(
        redis,
        [
          redisKeys(prefix).study(source, orthancStudyId),
          redisKeys(prefix).studyDeliveries(source, orthancStudyId),
          redisKeys(prefix).index('studies'),
          redisKeys(prefix).index('study-uids'),
          keys.choices,
          keys.held,
          keys.waits,
          keys.left,
          ...(fence ? [fence.lockKey] : []),
        ],
        [
          prefix,
          source,
          orthancStudyId,
          terms.before,
          fence?.token ?? '',
          terms.withFailed === true ? 1 : 0,
          atOnce,
          dryRun === 'measured' ? 2 : dryRun ? 1 : 0,
          JSON.stringify(terms.sourceOfTarget),
        ],
      )) as [ForgetAnswer | 'more', number, number?];
    } catch (error) {
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a record', { cause: error });
    }
  }
}
