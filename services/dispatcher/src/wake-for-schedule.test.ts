import type { Config } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import type { DispatcherContext } from './dispatcher-context.ts';
import { wakeForSchedule } from './wake-for-schedule.ts';

const config = (night: object, day: object): Config => ({ targets: { night, day } }) as unknown as Config;

function contextOf(woken: string[], wake: (id: string) => void = () => {}) {
  return {
    records: {
      async *deliveryIds({ target }: { target?: string }) {
        yield [1, 2, 3, 4].map((number) => `${target}-${number}`);
        yield [`${target}-5`];
      },
      lookAll: async (ids: readonly string[]) =>
        ids.map((deliveryId) => ({
          record: { deliveryId, wake: deliveryId.endsWith('2') ? 'due' : 'schedule' },
          isHeld: deliveryId.endsWith('3'),
        })),
    },
    async wake(id: string) {
      woken.push(id);
      wake(id);
    },
  } as unknown as DispatcherContext;
}

const before = config({ schedule: 'a' }, { schedule: 'b' });
const after = config({ schedule: 'changed' }, { schedule: 'b' });

it('wakes what waits for a changed schedule, and is not held', async () => {
  const woken: string[] = [];
  const { signal } = new AbortController();
  expect(await wakeForSchedule(contextOf(woken), before, after, signal)).toBe(3);
  expect(woken).toEqual(['night-1', 'night-4', 'night-5']);
  expect(await wakeForSchedule(contextOf(woken), before, before, signal)).toBe(0);
});

it('ends with the dispatcher', async () => {
  const woken: string[] = [];
  const stopping = new AbortController();
  const context = contextOf(woken, () => stopping.abort(new Error('the dispatcher is stopping')));
  await expect(wakeForSchedule(context, before, after, stopping.signal)).rejects.toThrow('is stopping');
  expect(woken).not.toContain('night-5');
});
