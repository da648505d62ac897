import type { Job } from 'bullmq';
import { describe, expect, it } from 'vitest';
import { settleJob, type JobEnd } from './settle-job.ts';

/** A job of BullMQ that records its moves. */
function job(error?: Error) {
  const moves: [name: string, ...args: unknown[]][] = [];
  const move =
    (name: string) =>
    async (...args: unknown[]): Promise<void> => {
      moves.push([name, ...args]);
      if (error) throw error;
    };
  return { moves, job: { moveToDelayed: move('delayed'), moveToWait: move('wait') } as unknown as Job };
}
/** The answer to BullMQ, the moves of the job, and whether it is back in the queue. */
async function settle(end: JobEnd, error?: Error) {
  const { moves, job: one } = job(error);
  let isBack = false;
  const answer = await settleJob(one, 'token', end, async () => void (isBack = true)).then(
    (result) => ({ result }),
    (thrown: Error) => ({ thrown: thrown.name, message: thrown.message }),
  );
  return { answer, moves, isBack };
}
/** BullMQ: another worker has the job. */
const taken = Object.assign(new Error('Lock mismatch for job'), { code: -6 });

describe('a worker that releases a job', () => {
  it('completes it with its result, or fails it with its reason', async () => {
    expect(await settle({ kind: 'completed', result: 'done' })).toEqual({
      answer: { result: 'done' },
      moves: [],
      isBack: false,
    });
    expect(await settle({ kind: 'failed', reason: 'no target' })).toEqual({
      answer: { thrown: 'UnrecoverableError', message: 'no target' },
      moves: [],
      isBack: false,
    });
  });

  it.each([
    [60_000, 60_000],
    [1_500.2, 1_501],
    [0, 1],
    [-5, 1],
  ])('postpones it for %s ms: by at least %s ms', async (inMs, expected) => {
    const before = Date.now();
    const { answer, moves, isBack } = await settle({ kind: 'later', inMs });
    expect(answer).toMatchObject({ thrown: 'DelayedError' });
    expect(moves).toEqual([['delayed', expect.any(Number), 'token']]);
    expect(Number(moves[0]?.[1])).toBeGreaterThanOrEqual(before + expected);
    expect(Number(moves[0]?.[1])).toBeLessThanOrEqual(Date.now() + expected);
    expect(isBack).toBe(true);
  });

  it('puts it back to its position', async () => {
    expect(await settle({ kind: 'front' })).toEqual({
      answer: expect.objectContaining({ thrown: 'WaitingError' }),
      moves: [['wait', 'token']],
      isBack: true,
    });
  });

  it.each([
    [{ kind: 'later', inMs: 1 }, 'DelayedError', 1],
    [{ kind: 'front' }, 'WaitingError', 1],
    [{ kind: 'left' }, 'DelayedError', 0],
  ] as const)('leaves one that another worker has by now: %j', async (end, thrown, count) => {
    const settled = await settle(end, taken);
    expect(settled.answer).toMatchObject({ thrown });
    expect([settled.moves.length, settled.isBack]).toEqual([count, false]);
  });
});
