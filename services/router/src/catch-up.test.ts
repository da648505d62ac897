import { waitFor } from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { expect, it } from 'vitest';
import { CatchUp } from './catch-up.ts';

const { signal } = new AbortController();
const works = { onWait: async () => {}, signal };
const never = { stalledMs: 3_600_000, maxMs: 3_600_000 };

it('is over when the feed has been read to its end, and not before', async () => {
  using clock = stopClock(['performance']);
  const feed = new CatchUp();
  let [notes, isOver] = [0, false];
  const onWait = async (): Promise<void> => void (notes += 1);
  const over = feed.over({ onWait, signal }, never).then(() => (isOver = true));
  feed.advanced(1_000, false);
  // It is noted again that the sweep waits: the first page did not end this.
  await clock.pass(30_000);
  await waitFor(() => isOver || notes === 2);
  expect(isOver).toBe(false);
  feed.advanced(2_000, true);
  await over;
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
