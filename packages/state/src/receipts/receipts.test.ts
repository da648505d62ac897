import { createHash, randomBytes } from 'node:crypto';
import { startRedis, tempFolder, type RedisServer } from '@dicom-dispatch/harness';
import * as fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createLedger } from '../ledger/index.ts';
import {
  decodeReceipt,
  encodeReceipt,
  Receipts,
  receiptsInFolder,
  receiptsInRedis,
  type ReceiptEntry,
} from './index.ts';

const prefix = '{receipts}';
let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(() => redis.flushall());

const uid = fc.string({ minLength: 0, maxLength: 70 });
const entry: fc.Arbitrary<ReceiptEntry> = fc.record({
  sopInstanceUid: uid,
  seriesInstanceUid: uid,
  sizeBytes: fc.option(fc.nat(), { nil: undefined }),
  sha256: fc.option(
    fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    { nil: undefined },
  ),
  at: fc.integer({ min: 0, max: 4e12 }),
  attempt: fc.nat({ max: 1000 }),
  answer: fc.string({ maxLength: 60 }),
  place: fc.string({ maxLength: 60 }),
});

function sample(index: number, more: Partial<ReceiptEntry> = {}): ReceiptEntry {
  return {
    sopInstanceUid: `1.2.840.113619.2.55.3.604688119.969.1268071029.${index}`,
    seriesInstanceUid: '1.2.840.113619.2.55.3.604688119.969.1268071029',
    sizeBytes: 526_000 + index,
    sha256: createHash('sha256').update(String(index)).digest('hex'),
    at: 1_700_000_000_000 + index * 17,
    attempt: 1,
    answer: 'status 0000H (Success)',
    place: 'dicom pacs.example:104 PACS',
    ...more,
  };
}

describe('a packed receipt', () => {
  test('returns its input', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 40 }), async (entries) => {
        expect(await decodeReceipt(await encodeReceipt(entries))).toEqual(entries);
      }),
    );
  });

  test('takes little more space than the digests', async () => {
    const packed = await encodeReceipt(Array.from({ length: 500 }, (_, index) => sample(index)));
    expect(packed.length).toBeLessThan(500 * 32 + 2_500);
    const without = Array.from({ length: 500 }, (_, index) => sample(index, { sha256: undefined }));
    expect((await encodeReceipt(without)).length).toBeLessThan(2_500);
  });

  test('is empty if it is of another version, or damaged', async () => {
    expect(await decodeReceipt(Buffer.alloc(0))).toEqual([]);
    expect(await decodeReceipt(Buffer.from([9, 0, 0, 0, 1, 1]))).toEqual([]);
  });
});

const key = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: '1.2', target: 'pacs' };
const deliveryId = `d-${'0'.repeat(20)}`;

/** Confirms as a dispatcher does: the ledger writes the details with the confirmation. */
async function confirm(...entries: ReceiptEntry[]): Promise<void> {
  await createLedger(redis, { prefix }).confirm(
    key,
    entries.map((receipt) => ({ ...receipt, version: 'v1', deliveryId, receipt })),
  );
}

test('details can be read before and after they are packed, and after an attempt that ended hard', async () => {
  const receipts = new Receipts(redis, prefix, receiptsInRedis(redis, prefix, 3_600_000));
  await confirm(sample(1), sample(2));
  expect(await receipts.read(deliveryId)).toEqual([sample(1), sample(2)]);
  await receipts.pack(deliveryId);
  expect(await redis.exists(`${prefix}:receipt-open:${deliveryId}`)).toBe(0);
  expect(await redis.pttl(`${prefix}:receipt:${deliveryId}`)).toBeGreaterThan(3_500_000);
  await confirm(sample(3));
  expect(await receipts.read(deliveryId)).toEqual([sample(1), sample(2), sample(3)]);
  await receipts.pack(deliveryId);
  await receipts.pack(deliveryId);
  expect(await receipts.read(deliveryId)).toEqual([sample(1), sample(2), sample(3)]);
});

test('several that pack at the same time, while more is confirmed, lose nothing', async () => {
  const all = Array.from({ length: 60 }, (_, index) => sample(index));
  await Promise.all([
    ...all.map((one) => confirm(one)),
    ...Array.from({ length: 6 }, async (_, index) => {
      const other = new Redis(server.url);
      const receipts = new Receipts(other, prefix, receiptsInRedis(other, prefix, 'forever'));
      for (let round = 0; round < 10 + index; round += 1) await receipts.pack(deliveryId);
      other.disconnect();
    }),
  ]);
  const receipts = new Receipts(redis, prefix, receiptsInRedis(redis, prefix, 'forever'));
  await receipts.pack(deliveryId);
  expect(await receipts.read(deliveryId)).toEqual(all);
});

test('in a folder they are complete files by day, and are removed after their retention', async () => {
  await using folder = await tempFolder('receipts');
  const store = receiptsInFolder(folder.path, 30 * 86_400_000);
  const receipts = new Receipts(redis, prefix, store);
  await confirm(sample(1));
  await receipts.pack(deliveryId);
  await confirm(sample(2));
  await receipts.pack(deliveryId);
  expect(await receipts.read(deliveryId)).toEqual([sample(1), sample(2)]);
  expect(await redis.keys('*:receipt*')).toEqual([]);
  expect(await store.prune()).toBe(0);
  expect(await store.prune(Date.now() + 32 * 86_400_000)).toBe(1);
  expect(await receipts.read(deliveryId)).toEqual([]);
  await expect(store.read(`../${randomBytes(4).toString('hex')}`)).rejects.toMatchObject({
    code: 'ledger-unavailable',
  });
});
