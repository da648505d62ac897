import type { DeliveryData } from '@dicom-dispatch/core';
import { ledgerKeyOf } from '@dicom-dispatch/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';

let test: TestConsole;
beforeAll(async () => {
  test = await startTestConsole();
});
afterAll(() => test[Symbol.asyncDispose]());

describe('the instances of a delivery', () => {
  it('are those that the target confirmed in the shape of this delivery, changed on their way or not', async () => {
    const { studyInstanceUid, a: plain } = await test.route();
    const record = await test.operations.records.delivery(plain);
    if (!record) throw new Error('it was not routed');
    const changed: DeliveryData = {
      ...record,
      deliveryId: 'd-00000000000000000abc' as DeliveryData['deliveryId'],
      transform: { name: 'research', definition: {} } as DeliveryData['transform'],
    };
    await test.operations.records.routed({ ...record, targets: ['a'], lastUpdate: undefined }, [changed]);
    const confirm = (delivery: DeliveryData, number: number) =>
      test.operations.ledger.confirm(ledgerKeyOf(delivery), [
        {
          sopInstanceUid: `${studyInstanceUid}.1.${number}`,
          version: '1',
          attempt: 1,
          deliveryId: delivery.deliveryId,
          at: 1,
        },
      ]);
    await confirm(record, 1);
    await confirm(changed, 2);
    await confirm(changed, 3);
    const { body: ofPlain } = await test.ask('GET', `/api/deliveries/${plain}/instances`);
    expect(ofPlain).toMatchObject({ delivered: 1, instances: [{ sopInstanceUid: `${studyInstanceUid}.1.1` }] });
    const { body: ofChanged } = await test.ask('GET', `/api/deliveries/${changed.deliveryId}/instances`);
    expect(ofChanged).toMatchObject({ delivered: 2 });
    const { text } = await test.ask('GET', `/deliveries/${changed.deliveryId}`);
    expect(text).toContain(`${studyInstanceUid}.1.3`);
    expect(text).not.toContain(`${studyInstanceUid}.1.1<`);
  });
});

describe('a source', () => {
  it('reports which router leads it, its position, and the last sweep', async () => {
    const { redis, operations } = test;
    await redis.set(operations.keys.lease('main'), 'router-7:4711 0a1b');
    await redis.set(operations.keys.feed('main'), JSON.stringify({ epoch: 2, seq: 1234, since: 'x' }));
    await redis.hset(operations.keys.sweep('main'), { endedAt: 1000, studies: 50, routed: 2, durationMs: 900 });
    const { body } = await test.ask('GET', '/api/sources');
    expect(body).toMatchObject({
      sources: [{ followed: true, leader: 'router-7:4711', position: 1234, sweep: { studies: 50, routed: 2 } }],
    });
    const { text } = await test.ask('GET', '/sources');
    for (const part of ['router-7:4711', '1,234', '50 studies compared']) expect(text).toContain(part);
  });
});
