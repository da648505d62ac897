import { expect, test } from 'vitest';
import { createLogger } from '../logging/create-logger.ts';
import { endInTime } from './end-in-time.ts';

const log = createLogger('test', { level: 'silent', format: 'json' });

test('what hangs or fails is left behind and named; the others are ended all the same', async () => {
  const ended: string[] = [];
  const left = await endInTime(
    log,
    {
      quick: () => void ended.push('quick'),
      hanging: () => new Promise(() => {}),
      failing: () => Promise.reject(new Error('no')),
      throwing() {
        throw new Error('no');
      },
      other: async () => void ended.push('other'),
    },
    20,
  );
  expect(left).toEqual(['hanging', 'failing', 'throwing']);
  expect(ended).toEqual(['quick', 'other']);
});

test('a failure after it was left behind has no effect', async () => {
  let fail: (error: Error) => void = () => {};
  const late = new Promise<void>((_, reject) => {
    fail = reject;
  });
  expect(await endInTime(log, { late: () => late }, 1)).toEqual(['late']);
  fail(new Error('too late'));
  await expect(late).rejects.toThrow('too late');
});
