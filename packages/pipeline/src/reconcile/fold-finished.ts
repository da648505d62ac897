import { ledgerKeyOf } from '@dicom-dispatch/core';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { createLedger } from '@dicom-dispatch/state/ledger';
import { placeOf, placeText } from '@dicom-dispatch/state/records';
import type { ReconcileContext } from './reconcile-context.ts';

/**
 * Folds some ledgers of deliveries that an older version completed; those completed by this version are folded at their
 * end. The latest come first; the progress is stored in Redis until all are done.
 *
 * @param limit - maximum number of deliveries to check
 */
export async function foldFinished({ redis, config, records }: ReconcileContext, limit: number): Promise<void> {
  const { prefix } = config().redis;
  const key = redisKeys(prefix).ledgerFolding;
  const after = await redis.get(key);
  if (after === null) return;
  const { records: found, next } = await records.deliveries({
    state: 'delivered',
    limit,
    after: after === '' ? undefined : placeOf(after),
  });
  const ledger = createLedger(redis, { prefix });
  for (const record of found) await ledger.fold(ledgerKeyOf(record), []);
  if (next === undefined) await redis.del(key);
  else await redis.set(key, placeText(next), 'XX');
}
