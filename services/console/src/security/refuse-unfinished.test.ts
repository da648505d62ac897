import { currentFormat } from '@dicom-dispatch/state/keys';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';

let test: TestConsole;
beforeAll(async () => {
  test = await startTestConsole();
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  const { format, formatPending, restoring } = test.operations.keys;
  await test.redis.del(formatPending, restoring);
  await test.redis.set(format, currentFormat);
});

const safe = new Set(['GET', 'HEAD', 'OPTIONS']);

describe('while the data in Redis are migrated or restored', () => {
  it.each([
    ['are being migrated to format', 'formatPending', String(currentFormat)],
    [`has format ${currentFormat - 1}`, 'format', String(currentFormat - 1)],
    ['is being restored', 'restoring', 'nightly.gz'],
  ] as const)('the console changes nothing, and gives the reason: %s', async (reason, key, value) => {
    const { a } = await test.route();
    await test.redis.set(test.operations.keys[key], value);
    for (const act of ['hold', 'retry', 'cancel']) {
      const { status, body, headers } = await test.ask('POST', `/api/deliveries/${a}/${act}`);
      expect({ act, status }).toEqual({ act, status: 503 });
      expect(body).toMatchObject({ error: 'unavailable', message: expect.stringContaining(reason) });
      expect(headers.get('retry-after')).toBe('5');
    }
    const before = await test.operations.records.look(a);
    expect(before).toMatchObject({ isHeld: false, isCancelled: false, record: { state: 'waiting' } });
    expect((await test.ask('GET', `/api/deliveries/${a}`)).status).toBe(200);
    await test.redis.del(test.operations.keys.formatPending, test.operations.keys.restoring);
    await test.redis.set(test.operations.keys.format, currentFormat);
    expect((await test.ask('POST', `/api/deliveries/${a}/hold`)).status).toBe(200);
    expect((await test.operations.records.look(a))?.isHeld).toBe(true);
  });

  it('every route that changes something is refused, except signing in and out', async () => {
    await test.redis.set(test.operations.keys.formatPending, currentFormat);
    const open: string[] = [];
    let refused = 0;
    for (const { method, url } of test.console.routes) {
      if (safe.has(method)) continue;
      const { status } = await test.ask(method, url.replaceAll(/:\w+/g, 'x'), { body: {} });
      if (status === 503) refused += 1;
      // Functions of Bull Board that nobody may use are refused as always.
      else if (status !== 403 || !url.startsWith('/queues/')) open.push(url);
    }
    expect(open.sort()).toEqual(['/api/sign-out', '/sign-in']);
    expect(refused).toBeGreaterThan(40);
  });
});
