import { Records, type DeliveryState } from '@dicom-dispatch/state/records';
import { deliveryId, studyTaskId, type DeliveryData } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { prefix } from './support/system.ts';

const fates: readonly DeliveryState[] = [
  'delivered',
  'delivered',
  'delivered',
  'delivered',
  'failed',
  'delivered',
  'waiting',
  'partial',
];
const minute = 60_000;

/** Writes records of studies as a long history leaves them, one a minute into the past, each to two of the targets. */
export async function seedRecords(redis: Redis, studies: number, targets: readonly string[]): Promise<void> {
  const records = new Records(redis, prefix);
  const start = Date.now() - studies * minute;
  const batch = 500;
  for (let from = 0; from < studies; from += batch) {
    await Promise.all(
      Array.from({ length: Math.min(batch, studies - from) }, (_, offset) =>
        seedOne(records, from + offset, start, targets),
      ),
    );
  }
}

async function seedOne(records: Records, index: number, start: number, targets: readonly string[]): Promise<void> {
  const identity = {
    source: 'main',
    orthancStudyId: `seeded-${index}`,
    contentHash: `hash-${index}`,
  };
  const shared = {
    ...identity,
    epoch: '1',
    studyInstanceUid: `1.2.826.0.1.3680043.99.${index + 1}`,
    instanceCount: 40 + ((index * 37) % 900),
    modalities: [['CT'], ['MR'], ['CR'], ['US']][index % 4] ?? ['CT'],
    // One rule matches half of the studies and sends none of them to the first target.
    rules: ['everything-to-pacs', 'archive', ...(index % 4 === 1 || index % 4 === 2 ? ['elsewhere'] : [])],
    routedAt: start + index * minute,
    studyTaskId: studyTaskId(identity),
  };
  const two = [targets[index % targets.length], targets[(index + 1) % targets.length]].filter(
    (one) => one !== undefined,
  );
  const deliveries: DeliveryData[] = two.map((target) => ({
    ...shared,
    priority: 'normal',
    target,
    deliveryId: deliveryId({ ...identity, target }),
  }));
  await records.routed({ ...shared, targets: two, lastUpdate: undefined }, deliveries);
  for (const [at, { deliveryId: id }] of deliveries.entries()) {
    const state = fates[(index + at * 3) % fates.length] ?? 'delivered';
    const total = shared.instanceCount;
    const failed = state === 'failed' || state === 'partial' || state === 'waiting';
    await records.update(id, {
      state,
      total,
      confirmed: state === 'delivered' ? total : Math.floor(total / 3),
      attempts: failed ? 3 : 1,
      quarantined: state === 'partial' ? 2 : 0,
      ...(failed && {
        failStage: 'transfer',
        error: {
          code: 'target-full',
          stage: 'transfer',
          fault: 'target',
          message: 'the receiver is out of resources (status A700H)',
          remedy: 'Free space at the target, or raise its quota.',
        },
      }),
    });
  }
}
