import type { Config } from '@dicom-dispatch/core';
import type { RedisClient } from '../redis/index.ts';
import { receiptsInFolder } from './receipts-in-folder.ts';
import { Receipts, receiptsInRedis } from './receipts.ts';

/** The receipts at their configured location. */
export function openReceipts(
  redis: RedisClient,
  { receipts, redis: { prefix } }: Pick<Config, 'receipts' | 'redis'>,
): Receipts {
  const { folder, keep } = receipts;
  return new Receipts(
    redis,
    prefix,
    folder === undefined ? receiptsInRedis(redis, prefix, keep) : receiptsInFolder(folder, keep),
  );
}
