import { redisKeys } from '@dicom-dispatch/state/keys';
import { uidPlace } from '@dicom-dispatch/state/records';
import type { Model } from './model.ts';

/** Keys that may be lost one at a time: somebody removes the key, and everything else stays. */
export const losable = {
  'lose record': (prefix, { id }) => redisKeys(prefix).delivery(id),
  'lose study': (prefix, { study }) => redisKeys(prefix).study('main', study),
  'lose list': (prefix, { study }) => redisKeys(prefix).studyDeliveries('main', study),
  'lose held': (prefix) => redisKeys(prefix).held,
  'lose state index': (prefix, { of }) => redisKeys(prefix).index(of % 2 === 0 ? 'state:waiting' : 'state:active'),
  'lose study index': (prefix) => redisKeys(prefix).index('studies'),
  'lose study uids': (prefix, { uid }) => uidPlace(prefix, uid, '').key,
} as const satisfies Readonly<
  Record<
    string,
    (
      prefix: string,
      of: { readonly id: string; readonly study: string; readonly of: number; readonly uid: string },
    ) => string
  >
>;

export type Losable = keyof typeof losable;

export function isLosable(what: string): what is Losable {
  return what in losable;
}

/**
 * Whether a delivery without a record needs no action: its study has a later delivery to its target, an operator had ended
 * it, or its target is not configured, so that it cannot be routed there.
 */
export async function isMadeGood(
  { operations, witness }: Model,
  id: string,
  lost: { readonly target: string; readonly study: string },
): Promise<boolean> {
  const { redis, targets } = operations.config();
  if (targets[lost.target] === undefined) return true;
  const { index } = redisKeys(redis.prefix);
  for (const state of ['cancelled', 'moved', 'resolved']) {
    if ((await witness.zscore(index(`state:${state}`), id)) !== null) return true;
  }
  const known = await operations.records.deliveriesOf({ source: 'main', orthancStudyId: lost.study });
  return known.some(({ target }) => target === lost.target);
}
