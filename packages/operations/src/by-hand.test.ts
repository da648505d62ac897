import { jobPriority, firstJobPriority, connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { parseConfig } from '@dicom-dispatch/core';
import { startOrthanc, startRedis, type OrthancServer, type RedisServer } from '@dicom-dispatch/harness';
import { openPipeline, previewRoute, routeAgain, type PipelineContext } from '@dicom-dispatch/pipeline';
import { makeStudy } from '@dicom-dispatch/samples';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { holdDelivery } from './hold-delivery.ts';
import { sendFirst } from './send-first.ts';

const actor = { name: 'otto' };
let server: RedisServer;
let orthanc: OrthancServer;
let client: OrthancClient;
let redis: Redis;
let operations: PipelineContext;
let orthancStudyId = '';

beforeAll(async () => {
  [server, orthanc] = await Promise.all([startRedis({ appendonly: false }), startOrthanc()]);
  redis = connectRedis(server.url, 'test', createLogger('test', { level: 'fatal', format: 'json' }));
  const parsed = parseConfig(
    {
      sources: { main: { url: orthanc.url } },
      targets: { a: { type: 'dummy' }, b: { type: 'dummy' } },
      rules: [
        { name: 'all', targets: ['a'] },
        { name: 'none', when: "study.StudyDescription == 'no study has this'", targets: ['b'] },
      ],
    },
    Object.values(targetSchemas) as never,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  operations = openPipeline(parsed.config, redis);
  client = await openSource({ url: orthanc.url } as never);
  const study = makeStudy({ seed: 'by-hand', instancesPerSeries: 2 });
  for (const { bytes } of study) ({ ParentStudy: orthancStudyId } = await orthanc.upload(bytes));
});
afterAll(async () => {
  await client.close();
  await operations.close();
  redis.disconnect();
  await Promise.all([server.stop(), orthanc.stop()]);
});

describe('manual routing', () => {
  it('adds to the record and changes nothing of what the rules did', async () => {
    const request = { source: 'main', orthancStudyId };
    await routeAgain(operations, request, client, actor);
    const byRules = await operations.records.study(request);
    expect(byRules).toMatchObject({ rules: ['all'], targets: ['a'] });
    const { added } = await routeAgain(operations, { ...request, targets: ['b'] }, client, actor);
    expect(added).toMatchObject([{ target: 'b', rules: [] }]);
    expect(await operations.records.study(request)).toEqual({ ...byRules, targets: ['a', 'b'] });
    expect(await operations.records.studies({ rule: 'all', limit: 5 })).toMatchObject({
      records: [{ orthancStudyId }],
    });
  });

  it('by one rule uses the targets of this rule, and none if it does not match', async () => {
    const request = { source: 'main', orthancStudyId };
    const { added } = await routeAgain(operations, { ...request, rule: 'all', nonce: 'batch' }, client, actor);
    expect(added).toMatchObject([{ target: 'a', rules: ['all'] }]);
    // The same one routes it once.
    expect((await routeAgain(operations, { ...request, rule: 'all', nonce: 'batch' }, client, actor)).added).toEqual(
      [],
    );
    await expect(routeAgain(operations, { ...request, rule: 'none' }, client, actor)).rejects.toThrow('does not match');
    await expect(routeAgain(operations, { ...request, rule: 'nn' }, client, actor)).rejects.toThrow('no rule "nn"');
  });

  it('shows in advance what the target has already confirmed', async () => {
    const request = { source: 'main', orthancStudyId, targets: ['a'] };
    const total = (await client.studyInstances(orthancStudyId)).length;
    expect(await previewRoute(operations, request, client)).toEqual([{ target: 'a', total, confirmed: 0 }]);
    const [delivery] = await operations.records.deliveriesOf(request);
    const [first] = await client.studyInstances(orthancStudyId);
    const { sopInstanceUid = '', seriesInstanceUid = '' } = first ?? {};
    const key = { source: 'main', orthancStudyId, studyInstanceUid: delivery?.studyInstanceUid ?? '', target: 'a' };
    const { version = '' } = (await routeVersion()).find((one) => one.sopInstanceUid === sopInstanceUid) ?? {};
    const confirmation = { sopInstanceUid, seriesInstanceUid, version, deliveryId: 'd-1', attempt: 1, at: 1 };
    await operations.ledger.confirm(key as never, [confirmation as never]);
    expect(await previewRoute(operations, request, client)).toEqual([{ target: 'a', total, confirmed: 1 }]);
  });
});

async function routeVersion() {
  const { readSnapshot } = await import('@dicom-dispatch/sources');
  return (await readSnapshot(client, 'main', orthancStudyId)).manifest;
}

describe('a delivery that is sent first', () => {
  it('precedes all others of its target, also one that waits for its next attempt; a hold is preserved', async () => {
    const queue = operations.queues.target('b');
    const ids: string[] = [];
    for (const priority of ['stat', 'normal', 'normal'] as const) {
      const request = { source: 'main', orthancStudyId, targets: ['b'], priority };
      ids.push((await routeAgain(operations, request, client, actor)).added[0]?.deliveryId ?? '');
    }
    const last = ids[2] ?? '';
    await sendFirst(operations, last, actor);
    expect((await queue.getPrioritized(0, 0))[0]?.id).toBe(last);
    expect(await operations.records.delivery(last)).toMatchObject({ priority: 'stat', wake: 'job' });
    await sendFirst(operations, ids[1] ?? '', actor);
    expect((await queue.getPrioritized(0, 1)).map(({ id }) => id)).toContain(ids[1]);

    await holdDelivery(operations, ids[0] ?? '', actor);
    await sendFirst(operations, ids[0] ?? '', actor);
    expect(await operations.records.look(ids[0] ?? '')).toMatchObject({ isHeld: true, record: { wake: 'person' } });
    expect(firstJobPriority).toBeLessThan(jobPriority('stat'));
    await operations.records.update(last, { state: 'delivered' });
    await expect(sendFirst(operations, last, actor)).rejects.toThrow('only a waiting delivery can be sent first');
  });
});
