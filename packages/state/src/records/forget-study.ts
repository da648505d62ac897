import { redisKeys } from '../keys/redis-keys.ts';
import { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { forgetScriptWith } from './forget-script.ts';
import type { StudyKey } from './record-reader.ts';

/**
 * - `forgotten`: all data were removed; in a check: they could be
 * - `recent`: it has changed since
 * - `open`: a delivery waits or is running
 * - `failed`: the newest delivery to a target has failed, and no operator has handled it
 * - `waiting`: a rule waits until it is complete
 * - `needed`: it was sent to a target that is also a source, and that source has it
 * - `busy`: it is being routed, or one of its jobs has not ended
 * - `damaged`: its record, or that of one of its deliveries, cannot be read
 * - `lost`: another router has the lease
 * - `unknown`: the study does not exist
 */
export type ForgetAnswer =
  | 'forgotten'
  | 'recent'
  | 'open'
  | 'failed'
  | 'waiting'
  | 'needed'
  | 'busy'
  | 'damaged'
  | 'lost'
  | 'unknown';

export interface ForgetTerms {
  /** Studies that have changed at or after this time are kept (ms since 1970). */
  readonly before: number;
  /** Whether studies with failed deliveries go too. Default false. */
  readonly withFailed?: boolean;
  /** Only returns the result; `measured` also the number of bytes, which takes Redis longer. */
  readonly dryRun?: boolean | 'measured';
  /** Targets that are sources, with the source: a study that came from one of our sources must not be sent back there. */
  readonly sourceOfTarget: Readonly<Record<string, string>>;
  /** Their jobs, as a part of a script in Lua (`forgetScriptWith`). */
  readonly jobs: string;
  /** Nothing is removed if another router has the lease. */
  readonly fence?: { readonly lockKey: string; readonly token: string } | undefined;
  /** Keys of operations: group choices of the study, held deliveries, studies that wait, studies that left. */
  readonly keys: { readonly choices: string; readonly held: string; readonly waits: string; readonly left: string };
}

export interface Forgotten {
  readonly answer: ForgetAnswer;
  readonly deliveries: number;
  readonly bytes: number;
  /** Key of the record that cannot be read. */
  readonly damaged?: string;
}

/** Deliveries in one call: some milliseconds for Redis. */
const atOnce = 100;

/**
 * Removes a study with its deliveries, confirmations and jobs. The caller has verified that the
 * source no longer has it: otherwise it would be routed, and sent, once more.
 *
 * @returns the result, and how many deliveries were or would be removed; bytes only if requested
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
    const [answer, count, more = 0] = await ask();
    deliveries += count;
    if (typeof more === 'string') return { answer: 'damaged', deliveries, bytes: 0, damaged: more };
    if (answer !== 'more') return { answer, deliveries, bytes: more };
  }

  async function ask(): Promise<[ForgetAnswer | 'more', number, (number | string)?]> {
    try {
      return (await forgetScriptWith(terms.jobs).run(
        redis,
        [
          redisKeys(prefix).study(source, orthancStudyId),
          redisKeys(prefix).studyDeliveries(source, orthancStudyId),
          redisKeys(prefix).index('studies'),
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
      )) as [ForgetAnswer | 'more', number, (number | string)?];
    } catch (error) {
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a record', { cause: error });
    }
  }
}
