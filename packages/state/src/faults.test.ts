import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Batches } from './batches/index.ts';
import { Priors, PulledStudies, type PriorsStep } from './priors/index.ts';
import { Receipts, receiptsInRedis } from './receipts/index.ts';
import { forgetStudy } from './records/forget-study.ts';
import { withoutJobs } from './records/forget-script.ts';
import { SharedUids, UidClaims } from './shared-uids/index.ts';
import { createTargetMemory } from './target-memory/index.ts';
import { TargetPlaces } from './target-places/index.ts';
import { TaskRecords } from './tasks/index.ts';

const prefix = '{faults}';
const key = { source: 'main', orthancStudyId: 'o-1' };
let away: Redis;

beforeAll(() => {
  away = new Redis({ host: '127.0.0.1', port: 1, lazyConnect: true, retryStrategy: () => null });
  away.on('error', () => {});
});
afterAll(() => away.disconnect());

const step = { ...key, id: 'p-1' } as unknown as PriorsStep;
const fence = { lockKey: `${prefix}:lock`, token: 'mine' };
const error = { code: 'source-unreachable', stage: 'finalize', fault: 'source', message: 'm', remedy: 'r' } as const;
const config = { type: 'dicom', host: 'a', port: 104, calledAeTitle: 'A' } as never;

const parts: Readonly<Record<string, (redis: Redis) => readonly (() => Promise<unknown>)[]>> = {
  'a batch': (redis) => {
    const batches = new Batches(redis, prefix);
    return [
      () => batches.create('b', { source: 'main', by: 'otto' }, ['o-1']),
      () => batches.list(),
      () => batches.open(),
      () => batches.read('b'),
      () => batches.change('b', ['running'], 'paused'),
      () => batches.setRate('b', 1),
      () => batches.next('b', 1),
      () => batches.studyDone('b', 'o-1', 'routed'),
    ];
  },
  priors: (redis) => {
    const priors = new Priors(redis, prefix);
    return [
      () => priors.open({ ...key, studyInstanceUid: '1', target: 'a', deliveryId: 'd-1' } as never),
      () => priors.of(key),
      () => priors.goWithout(step),
      () => priors.claim('one'),
      () => priors.renew(step, 'one'),
      () => priors.save(step, 'one', 'end'),
      () => priors.drop(step, 'one'),
    ];
  },
  'a pull': (redis) => {
    const pulled = new PulledStudies(redis, prefix);
    return [
      () => pulled.expect('main', '1', '2'),
      () => pulled.retract('main', '1', '2'),
      () => pulled.underWay('main', '1'),
      () => pulled.lease('main', '1', 'one', 1_000),
      () => pulled.release('main', '1', 'one'),
      () => pulled.end('main', '1'),
    ];
  },
  'a study task': (redis) => {
    const tasks = new TaskRecords(redis, prefix);
    return [
      () => tasks.open({ studyTaskId: 's-1' } as never),
      () => tasks.putOff('s-1', 1, error),
      () => tasks.wake('s-1'),
      () => tasks.finish('s-1', [], []),
      () => tasks.toBeLookedAt(1, 1),
      () => tasks.lookAgain('s-1', 1),
      () => tasks.drop('s-1'),
      () => tasks.overdue(),
    ];
  },
  'a receipt': (redis) => {
    const store = receiptsInRedis(redis, prefix, 'forever');
    const receipts = new Receipts(redis, prefix, store);
    return [
      () => receipts.read('d-1'),
      () => receipts.pack('d-1'),
      () => store.read('d-1'),
      () => store.exchange('d-1', undefined, Buffer.from('x')),
    ];
  },
  'a record': (redis) => {
    const shared = new SharedUids(redis, prefix);
    const keys = { choices: `${prefix}:c`, held: `${prefix}:h`, waits: `${prefix}:w`, left: `${prefix}:l` };
    return [
      () => shared.add(key, ['1.2']),
      () => shared.find(key, ['1.2']),
      () => shared.remove(key, ['1.2']),
      () => forgetStudy(redis, prefix, key, { before: 1, sourceOfTarget: {}, jobs: withoutJobs, keys }),
    ];
  },
  'the ledger': (redis) => {
    const claims = new UidClaims(redis, prefix);
    return [
      () => claims.take('pacs', 'd-1', new Set(['1']), fence),
      () => claims.release('pacs', 'd-1', new Set(['1']), fence),
    ];
  },
  'the place of a target': (redis) => {
    const places = new TargetPlaces(redis, prefix);
    return [
      () => places.ledgers('pacs'),
      () => places.known('pacs'),
      () => places.look('pacs', config),
      () => places.register('pacs', config),
      () => places.decide('pacs', config, 'new'),
    ];
  },
  'what is kept with a target': (redis) => {
    const memory = createTargetMemory(redis, prefix, 'pacs');
    return [() => memory.get('x'), () => memory.set('x', 1), () => memory.delete('x')];
  },
};

it.each(Object.keys(parts))(
  'without Redis every use of %s fails as one of the ledger, with its cause',
  async (name) => {
    for (const act of parts[name]?.(away) ?? []) {
      await expect(act()).rejects.toMatchObject({
        code: 'ledger-unavailable',
        message: `Redis did not answer for ${name}`,
        cause: expect.any(Error),
      });
    }
  },
);
