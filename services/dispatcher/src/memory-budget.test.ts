import { expect, it } from 'vitest';
import { MemoryBudget, type ReleaseMemory, type MemoryShare, type RoomKind } from './memory-budget.ts';

const { signal } = new AbortController();

/** Requests memory, and adds to `order` when it is available. */
async function ask(order: string[], name: string, share: MemoryShare, bytes: number, kind: RoomKind = 'instance') {
  const releaseMemory = await share.take(bytes, kind, signal);
  order.push(name);
  return releaseMemory;
}

/** Everything that can continue has continued. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('lends the available memory, and the rest when some is released', async () => {
  const budget = new MemoryBudget(100);
  const order: string[] = [];
  using share = budget.share();
  const first = await ask(order, 'first', share, 60);
  const second = ask(order, 'second', share, 60);
  await settled();
  expect(order).toEqual(['first']);
  first();
  first();
  (await second)();
  expect(budget.usedBytes).toBe(0);
});

it('a delivery that holds nothing never waits, whatever the others hold', async () => {
  const budget = new MemoryBudget(100);
  const order: string[] = [];
  using greedy = budget.share();
  await ask(order, 'greedy', greedy, 100);
  void ask(order, 'greedy again', greedy, 100).catch(() => {});
  using other = budget.share();
  await ask(order, 'other', other, 100);
  await ask(order, 'a part of the other', other, 50, 'part');
  expect(order).toEqual(['greedy', 'other', 'a part of the other']);
  expect(budget.usedBytes).toBe(250);
});

it('serves the delivery that holds least first, and no request overtakes a large one', async () => {
  const budget = new MemoryBudget(100);
  const order: string[] = [];
  const [much, little] = [budget.share(), budget.share()];
  const held = [await ask(order, 'much', much, 70), await ask(order, 'little', little, 30)];
  const waiting = [
    ask(order, 'more for much', much, 10),
    ask(order, 'large for little', little, 60),
    ask(order, 'small for little', little, 10),
  ];
  await settled();
  held[0]?.();
  // A delivery that holds nothing any more does not wait.
  await settled();
  expect(order.slice(2)).toEqual(['more for much', 'large for little']);
  held[1]?.();
  await Promise.all(waiting);
  expect(order.at(-1)).toBe('small for little');
});

it('releases everything that an attempt holds when it ends', async () => {
  const budget = new MemoryBudget(100);
  const share = budget.share();
  const releaseMemory = await share.take(80, 'instance', signal);
  await share.take(10, 'part', signal);
  share[Symbol.dispose]();
  releaseMemory();
  expect(budget.usedBytes).toBe(0);
});

it('forgets who gives up while waiting', async () => {
  const budget = new MemoryBudget(100);
  using share = budget.share();
  const releaseMemory = await share.take(100, 'instance', signal);
  const giving = new AbortController();
  const waiting = share.take(100, 'instance', giving.signal);
  giving.abort(new Error('stop'));
  await expect(waiting).rejects.toThrow();
  releaseMemory();
  expect(budget.usedBytes).toBe(0);
  await share.take(100, 'instance', signal);
  await expect(share.take(1, 'instance', giving.signal)).rejects.toThrow();
});

it('ends with any deliveries that reserve in any order, and exceeds its size by at most one of each kind for each', async () => {
  const budget = new MemoryBudget(50);
  let seed = 7;
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  let peak = 0;
  async function deliver(): Promise<void> {
    using share = budget.share();
    const lane = async (): Promise<void> => {
      for (let instance = 0; instance < 20; instance += 1) {
        const room = await share.take(1 + random(20), 'instance', signal);
        const parts: ReleaseMemory[] = [];
        for (let part = 0; part < 3; part += 1) {
          parts.push(await share.take(1 + random(10), 'part', signal));
          peak = Math.max(peak, budget.usedBytes);
          await settled();
          // A sent part is released independently of what the others wait for.
          parts.shift()?.();
        }
        room();
      }
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
  }
  await Promise.all(Array.from({ length: 6 }, deliver));
  expect(budget.usedBytes).toBe(0);
  expect(peak).toBeLessThanOrEqual(50 + 6 * (20 + 10));
});
