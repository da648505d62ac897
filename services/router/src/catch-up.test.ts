import { expect, it } from 'vitest';
import { CatchUp } from './catch-up.ts';

const { signal } = new AbortController();
const works = { onWait: async () => {}, signal };
const never = { stalledMs: 3_600_000, maxMs: 3_600_000 };

it('is over when the feed has been read to its end, and not before', async () => {
  const feed = new CatchUp();
  const seen: string[] = [];
  const over = feed.over(works, never).then(() => seen.push('over'));
  feed.advanced(1_000, false);
  seen.push('first page');
  feed.advanced(2_000, true);
  seen.push('last page');
  await over;
  expect(seen).toEqual(['first page', 'last page', 'over']);
  await feed.over(works, never);
});

it.each([
  ['does not advance', { ...never, stalledMs: 1 }],
  ['never ends', { ...never, maxMs: 1 }],
])('does not hold a sweep back if the feed %s', async (_name, limits) => {
  const catchUp = new CatchUp();
  catchUp.advanced(1_000, false);
  await catchUp.over(works, limits);
});

it('does not hold a sweep back if the feed is read again and again at one place', async () => {
  const catchUp = new CatchUp();
  const reading = setInterval(() => catchUp.advanced(1_000, false));
  try {
    await catchUp.over(works, { ...never, stalledMs: 50 });
  } finally {
    clearInterval(reading);
  }
});

it('does not hold a sweep back if the feed fails meanwhile', async () => {
  const catchUp = new CatchUp();
  catchUp.advanced(1_000, false);
  const over = catchUp.over(works, never);
  await expect(catchUp.follow(() => Promise.reject(new Error('unreachable')))).rejects.toThrow('unreachable');
  await over;
});

/** Resolves when a sweep is held back; rejects if it is not. */
function heldBack(catchUp: CatchUp, stopping: AbortController): Promise<void> {
  return new Promise((resolve, reject) => {
    const onWait = async (): Promise<void> => resolve();
    catchUp.over({ onWait, signal: stopping.signal }, never).then(
      () => reject(new Error('the sweep was not held back')),
      () => {},
    );
  });
}

it('holds a sweep back after another database was found, although the former feed had been read to its end', async () => {
  const stopping = new AbortController();
  const catchUp = new CatchUp();
  catchUp.advanced(5_000, true);
  catchUp.begin();
  await heldBack(catchUp, stopping);
  // The new feed may have reached the same number.
  catchUp.advanced(5_000, false);
  await heldBack(catchUp, stopping);
  stopping.abort();
});

it('holds a sweep back after the source was unreachable, until a new reading of the feed has reached its end', async () => {
  const stopping = new AbortController();
  const catchUp = new CatchUp();
  const failed = catchUp.follow(async () => {
    catchUp.advanced(5_000, true);
    throw new Error('unreachable');
  });
  await expect(failed).rejects.toThrow('unreachable');
  await heldBack(catchUp, stopping);
  const end = Promise.withResolvers<void>();
  const following = catchUp.follow(async () => {
    catchUp.advanced(6_000, false);
    await end.promise;
    catchUp.advanced(9_000, true);
    return new Promise<never>(() => {});
  });
  await heldBack(catchUp, stopping);
  end.resolve();
  await Promise.race([catchUp.over(works, never), following]);
  stopping.abort();
});
