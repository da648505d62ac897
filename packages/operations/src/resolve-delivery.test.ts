import { parseConfig } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import {
  openPipeline,
  planByName,
  resolveSuperseded,
  StudyEnqueuer,
  type PipelineContext,
} from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { decodeData, encodeData, type DeliveryState } from '@dicom-dispatch/state/records';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { actOnMany } from './act-on-many.ts';
import { countErrors } from './count-errors.ts';
import { readHealth } from './health/index.ts';
import { reopenDelivery, resolveDelivery } from './resolve-delivery.ts';
import { retryDelivery } from './retry-delivery.ts';

const actor = { name: 'otto' };
const error = { code: 'target-full', stage: 'transfer', fault: 'target', message: 'no space', remedy: '' } as const;
let server: RedisServer;
let redis: Redis;
let operations: PipelineContext;
let enqueuer: StudyEnqueuer;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', createLogger('test', { level: 'fatal', format: 'json' }));
  const parsed = parseConfig(
    { sources: { main: { url: 'http://127.0.0.1:1' } }, targets: { a: { type: 'dummy' } } },
    Object.values(targetSchemas) as never,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  operations = openPipeline(parsed.config, redis);
  enqueuer = new StudyEnqueuer(parsed.config, redis, operations.records);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  await enqueuer.close();
  await operations.close();
  redis.disconnect();
  await server.stop();
});

/** A delivery to the target that ended in a state; returns its id. */
async function ended(study: string, state: DeliveryState, more: { nonce?: string } = {}): Promise<string> {
  const { added } = await enqueuer.enqueue({
    source: 'main',
    epoch: '1',
    study: {
      orthancStudyId: study,
      studyInstanceUid: `1.2.${study.length}`,
      facts: { source: 'main', study: {}, series: [], origin: {} },
      lastUpdate: undefined,
    } as never,
    manifest: [{ sopInstanceUid: '1.2.3', version: '1' }] as never,
    rules: ['r'],
    deliveries: planByName(operations.config(), ['a'], { rules: ['r'], priority: 'normal' }),
    ...more,
  });
  const id = added[0]?.deliveryId ?? '';
  await operations.records.update(id, { state, ...(state !== 'delivered' && { error, failStage: 'transfer' }) });
  return id;
}

async function failures(): Promise<{ counts: number; health: string[]; errors: number }> {
  const { failed } = await operations.records.counts('a');
  const health = (await readHealth(operations, [])).map(({ kind }) => kind);
  const errors = (await countErrors(operations, 'a')).reduce((sum, { count }) => sum + count, 0);
  return { counts: failed, health: health.filter((kind) => kind === 'delivery-failed'), errors };
}

describe('a delivery that did not arrive', () => {
  it('is resolved with a reason: counters, errors and health agree, until it is reopened', async () => {
    const id = await ended('one', 'failed');
    expect(await failures()).toEqual({ counts: 1, health: ['delivery-failed'], errors: 1 });
    await resolveDelivery(operations, id, actor, ' sent from the modality ');
    expect(await failures()).toEqual({ counts: 0, health: [], errors: 0 });
    expect(await operations.records.delivery(id)).toMatchObject({
      state: 'resolved',
      error: { code: 'target-full' },
      resolution: { by: 'otto', reason: 'sent from the modality', from: 'failed' },
    });
    await reopenDelivery(operations, id, actor);
    expect(await failures()).toEqual({ counts: 1, health: ['delivery-failed'], errors: 1 });
    expect((await operations.records.delivery(id))?.resolution).toBeUndefined();
    expect((await operations.records.events(id)).map(({ text }) => text)).toEqual([
      'resolved by otto: sent from the modality',
      'reopened by otto',
    ]);
  });

  it('needs a reason of up to 200 characters, and has to have failed', async () => {
    const id = await ended('one', 'failed');
    await expect(resolveDelivery(operations, id, actor, ' ')).rejects.toThrow('reason is missing');
    await expect(resolveDelivery(operations, id, actor, 'x'.repeat(201))).rejects.toThrow('at most 200');
    const arrived = await ended('other', 'delivered');
    await expect(resolveDelivery(operations, arrived, actor, 'why')).rejects.toThrow('is delivered');
    await expect(reopenDelivery(operations, id, actor)).rejects.toThrow('only a resolved delivery can be reopened');
  });

  it('is resolved by filter, retried only on explicit request, and then open again', async () => {
    const ids = [await ended('one', 'failed'), await ended('two', 'partial'), await ended('three', 'source-gone')];
    const selection = { code: 'target-full' };
    await expect(actOnMany(operations, 'resolve', selection, actor)).rejects.toThrow('reason is missing');
    expect(await actOnMany(operations, 'resolve', selection, actor, 'old archive')).toMatchObject({ done: 3 });
    expect((await operations.records.counts()).resolved).toBe(3);
    expect(await actOnMany(operations, 'retry', selection, actor)).toMatchObject({ matched: 0 });
    // Neither is one that was resolved after the filter had found it as failed.
    await expect(retryDelivery(operations, ids[0] ?? '', actor, { from: ['failed'] })).rejects.toThrow(
      'is resolved now',
    );
    await retryDelivery(operations, ids[0] ?? '', actor);
    expect(await operations.records.delivery(ids[0] ?? '')).toMatchObject({ state: 'waiting', resolution: undefined });
    expect(await actOnMany(operations, 'reopen', {}, actor)).toMatchObject({ done: 2 });
    const { partial, 'source-gone': gone, resolved } = await operations.records.counts();
    expect([partial, gone, resolved]).toEqual([1, 1, 0]);
  });

  it('is retried by a filter that found it waiting; what an operator has ended since then is not', async () => {
    const ids = [];
    for (const study of ['one', 'two', 'three']) ids.push(await ended(study, 'waiting'));
    const [failed = '', cancelled = '', resolved = ''] = ids;
    const selected = await operations.records.deliveries({ state: 'waiting', limit: 10 });
    const select = vi.spyOn(operations.records, 'deliveries').mockResolvedValueOnce(selected);
    await operations.records.update(failed, { state: 'failed' });
    await operations.records.update(cancelled, { state: 'cancelled' });
    await operations.records.update(resolved, { state: 'failed' });
    await resolveDelivery(operations, resolved, actor, 'sent from the modality');
    const result = await actOnMany(operations, 'retry', { state: 'waiting' }, actor);
    select.mockRestore();
    expect(result).toEqual({ matched: 3, done: 1, skipped: 2 });
    const states = await Promise.all(ids.map(async (id) => (await operations.records.delivery(id))?.state));
    expect(states).toEqual(['waiting', 'cancelled', 'resolved']);
  });

  it('is superseded by a later delivery of the study to the target, and by no other', async () => {
    const failed = await ended('one', 'failed');
    const elsewhere = await ended('another', 'failed');
    const study = { source: 'main', orthancStudyId: 'one', target: 'a' };
    expect(await resolveSuperseded(operations.records, study)).toEqual([]);
    const later = await ended('one', 'delivered', { nonce: 'again' });
    expect(await resolveSuperseded(operations.records, study)).toEqual([failed]);
    expect(await operations.records.delivery(failed)).toMatchObject({
      state: 'resolved',
      resolution: { from: 'failed', supersededBy: later, reason: `superseded by ${later}, which has arrived` },
    });
    expect((await operations.records.delivery(elsewhere))?.state).toBe('failed');
    const newest = await ended('one', 'failed', { nonce: 'once more' });
    await redis.hset(
      operations.keys.delivery(newest),
      'data',
      encodeData({
        ...decodeData((await redis.hget(operations.keys.delivery(newest), 'data')) ?? '{}', newest),
        routedAt: Date.now() + 1000,
      }),
    );
    expect(await resolveSuperseded(operations.records, study)).toEqual([]);
  });

  it('is not superseded by a delivery to another place, nor by one of a part of the study', async () => {
    const study = { source: 'main', orthancStudyId: 'one', target: 'a' };
    const failed = await ended('one', 'failed');
    const later = await ended('one', 'delivered', { nonce: 'again' });
    await operations.records.update(failed, { ledger: 'a.2' });
    expect(await resolveSuperseded(operations.records, study)).toEqual([]);
    await operations.records.update(failed, { ledger: 'a' });
    for (const [id, more] of [
      [later, { arriving: 'arrival' }],
      [failed, { arriving: 'arrival' }],
    ] as const) {
      const key = operations.keys.delivery(id);
      const data = (await redis.hget(key, 'data')) ?? '{}';
      await redis.hset(key, 'data', encodeData({ ...decodeData(data, id), ...more }));
      expect(await resolveSuperseded(operations.records, study), JSON.stringify(more)).toEqual([]);
      await redis.hset(key, 'data', data);
    }
    expect(await resolveSuperseded(operations.records, study)).toEqual([failed]);
  });
});
