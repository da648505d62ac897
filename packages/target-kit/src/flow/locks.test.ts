import { expect, it } from 'vitest';
import { Permits } from './locks.ts';

it('runs the allowed number in parallel, in order', async () => {
  const permits = new Permits(2);
  const { signal } = new AbortController();
  const order: number[] = [];
  let now = 0;
  let max = 0;
  await Promise.all(
    Array.from({ length: 9 }, (_, index) =>
      permits.with(signal, async () => {
        order.push(index);
        max = Math.max(max, (now += 1));
        await new Promise(setImmediate);
        now -= 1;
      }),
    ),
  );
  expect(max).toBe(2);
  expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

it('passes the permit of a waiter that gave up to the next', async () => {
  const permits = new Permits(1);
  const { signal } = new AbortController();
  await permits.take(signal);
  const impatient = new AbortController();
  const first = permits.take(impatient.signal);
  const second = permits.take(signal);
  impatient.abort();
  await expect(first).rejects.toMatchObject({ code: 'cancelled' });
  permits.release();
  await expect(second).resolves.toBeUndefined();
  permits.release();
  await expect(permits.take(signal)).resolves.toBeUndefined();
});

it('does not lose a permit that is given at the moment of giving up', async () => {
  const permits = new Permits(1);
  const { signal } = new AbortController();
  await permits.take(signal);
  const impatient = new AbortController();
  const first = permits.take(impatient.signal);
  permits.release();
  impatient.abort();
  await first.then(
    () => permits.release(),
    () => {},
  );
  await expect(permits.take(signal)).resolves.toBeUndefined();
});
