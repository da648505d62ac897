import { expect, it } from 'vitest';
import { CatchUp } from './catch-up.ts';

const { signal } = new AbortController();
const works = { isFailing: () => false, signal };
const never = { stalledMs: 3_600_000, maxMs: 3_600_000 };

it('is over when the feed has been read to its end, and not before', async () => {
  const feed = new CatchUp();
  const seen: string[] = [];
  const over = feed.over(works, never).then(() => seen.push('over'));
  feed.advanced(1_000, 1_000);
  seen.push('first page');
  feed.advanced(2_000, 0);
  seen.push('last page');
  await over;
  expect(seen).toEqual(['first page', 'last page', 'over']);
  await feed.over(works, never);
});

it.each([
  ['fails', { isFailing: () => true, signal }, never],
  ['does not advance', works, { ...never, stalledMs: 1 }],
  ['never ends', works, { ...never, maxMs: 1 }],
])('does not hold a sweep back if the feed %s', async (_name, feed, limits) => {
  const catchUp = new CatchUp();
  catchUp.advanced(1_000, 1_000);
  await catchUp.over(feed, limits);
});

it('does not hold a sweep back if the feed is read again and again at one place', async () => {
  const catchUp = new CatchUp();
  const reading = setInterval(() => catchUp.advanced(1_000, 1_000));
  try {
    await catchUp.over(works, { ...never, stalledMs: 50 });
  } finally {
    clearInterval(reading);
  }
});
