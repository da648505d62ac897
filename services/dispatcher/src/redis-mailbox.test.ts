import { Redis } from 'ioredis';
import { afterAll, expect, it } from 'vitest';
import { redisMailbox } from './redis-mailbox.ts';

const redis = new Redis({ lazyConnect: true });
afterAll(() => redis.disconnect());

it('a doubt is added to the notice of the delivery, and is whole also if the notice is full', async () => {
  let notice: string | undefined;
  const records = {
    delivery: async () => ({ notice }),
    change: async (_: string, { patch }: { patch: { notice: string } }) => {
      notice = patch.notice;
      return { kind: 'done' };
    },
  };
  const mailbox = redisMailbox({ redis, prefix: '{test}', records: records as never, log: { warn: () => {} } });
  await mailbox.doubt('d-1', 'First.');
  await mailbox.doubt('d-1', 'Second.');
  expect(notice).toBe('First. Second.');
  notice = 'x'.repeat(2_000);
  await mailbox.doubt('d-1', 'Third.');
  expect(notice).toHaveLength(2_000);
  expect(notice).toMatch(/^x+ Third\.$/);
});
