import type { ManifestInstance } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import type { Attempt } from './delivery-job-run.ts';
import { takenUids } from './taken-uids.ts';

it('adds confirmations of a killed attempt before it takes its claims over, also after an interruption', async () => {
  const calls: string[] = [];
  let isDown = true;
  const context = {
    config: { redis: { prefix: '{d}' }, targets: {} },
    uidClaims: {
      async take(_place: string, _id: string, _uids: unknown, _fence: unknown, over: readonly string[]) {
        calls.push(`take over ${over.join()}`);
        return over.includes('d-killed') ? { kind: 'taken' } : { kind: 'left', by: ['d-killed', 'd-forgotten'] };
      },
    },
    records: {
      delivery: async (id: string) =>
        id === 'd-killed' ? { source: 'ct', orthancStudyId: 'o-2', target: 'p' } : undefined,
      studiesOfUid: async () => [],
    },
    ledger: {
      entries: async () =>
        new Map([
          ['1.2@x', { state: 'delivered' }],
          ['1.3', { state: 'quarantined' }],
        ]),
    },
    sharedUids: {
      async add({ orthancStudyId }: { orthancStudyId: string }, uids: ReadonlySet<string>) {
        if (isDown) throw new Error('Redis is away');
        calls.push(`enter ${[...uids].join()} of ${orthancStudyId}`);
      },
      find: async () => [],
    },
  };
  const attempt = {
    context,
    data: { source: 'ct', orthancStudyId: 'o-1', studyInstanceUid: '1', target: 'p', deliveryId: 'd-1' },
    job: { queueName: 'q', id: 'j' },
    token: 't',
    claimedUids: new Set<string>(),
  } as unknown as Attempt;
  const instances = [{ sopInstanceUid: '1.2', sizeBytes: 7 } as ManifestInstance];

  await expect(takenUids(attempt, instances)).rejects.toThrow('away');
  expect(attempt.claimedUids).toEqual(new Set());
  isDown = false;
  await takenUids(attempt, instances);
  expect(calls).toEqual(['take over ', 'take over ', 'enter 1.2 of o-2', 'take over d-killed,d-forgotten']);
  expect(attempt.claimedUids).toEqual(new Set(['1.2']));
});
