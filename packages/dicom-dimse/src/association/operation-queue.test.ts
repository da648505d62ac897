import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DimseError } from '../errors/dimse-error.ts';
import type { Operation, QueueOptions } from './operation-queue.ts';
import { OperationQueue } from './operation-queue.ts';

/** A queue whose port and operations record what happens. */
function makeQueue(options: Partial<QueueOptions> = {}) {
  const acts: string[] = [];
  const port = {
    canSendData: true,
    isMidPdu: false,
    isCommitted: false,
    isBusy: false,
    hasUnsent: false,
    movedBytes: 0,
    writeEarlyByte: () => void acts.push('early byte'),
    abort: (error: DimseError) => void acts.push(`abort: ${error.code}: ${error.message}`),
  };
  const queue = new OperationQueue(port, {
    window: 1,
    earlyByte: false,
    prepareAhead: 2,
    responseTimeoutMs: 0,
    minBytesPerSecond: 0,
    ...options,
  });
  const add = (name: string, more: Partial<Operation> = {}) => {
    const operation = {
      responseField: 0x8001,
      contextId: 1,
      isServedByRequests: false,
      isReady: true,
      isSettled: false,
      prepare: () => void acts.push(`prepare ${name}`),
      start: (messageId: number): Promise<void> | undefined => void acts.push(`start ${name} as ${messageId}`),
      onResponse: () => undefined,
      fail(error: DimseError) {
        acts.push(`${name} failed: ${error.code}`);
        operation.isSettled = true;
      },
      ...more,
    };
    queue.add(operation);
    return operation;
  };
  /** What happened since the last call. */
  const since = (): string[] => acts.splice(0);
  return { queue, port, add, since };
}

const ended = new DimseError('association-ended', 'x');

describe('the queue of an association', () => {
  it('has as many requests outstanding as the window allows, in their order', () => {
    const { queue, add, since } = makeQueue({ window: 2, prepareAhead: 1 });
    const [a, b] = ['a', 'b', 'c'].map((name) => add(name));
    expect(since()).toEqual(['prepare a', 'start a as 1', 'prepare b', 'start b as 2', 'prepare c']);
    expect([queue.outstanding(1), queue.outstanding(2), queue.outstanding(3)]).toEqual([a, b, undefined]);
    queue.finish(1);
    expect(since()).toEqual(['prepare c', 'start c as 3']);
    expect(queue.outstanding(1)).toBeUndefined();
    expect(queue.isIdle).toBe(false);
    queue.finish(2);
    queue.finish(3);
    expect(queue.isIdle).toBe(true);
  });

  it('prepares as many as it may, and sends the first of them that is ready', () => {
    const { queue, add, since } = makeQueue();
    const slow = add('slow', { isReady: false });
    add('ready');
    add('third');
    const acts = since();
    expect(acts.slice(0, 4)).toEqual(['prepare slow', 'prepare slow', 'prepare ready', 'start ready as 1']);
    expect(acts.slice(4)).toContain('prepare third');
    queue.finish(1);
    expect(since()).toContain('start third as 2');
    queue.finish(2);
    slow.isReady = true;
    queue.onProgress();
    expect(since()).toContain('start slow as 3');
  });

  it('prepares the next one while one is sent', () => {
    const { add, since } = makeQueue();
    add('a', { start: () => new Promise(() => {}) });
    add('b');
    add('c');
    expect(since()).toEqual(['prepare a', 'prepare b', 'prepare b', 'prepare c']);
  });

  it('skips those that are settled, and sends nothing while data may not be sent', () => {
    const { queue, port, add, since } = makeQueue();
    port.canSendData = false;
    add('settled').isSettled = true;
    add('a');
    since();
    queue.onProgress();
    expect(since()).not.toContain('start a as 1');
    port.canSendData = true;
    queue.onProgress();
    expect(since()).toContain('start a as 1');
    queue.finish(1);
    expect(queue.isIdle).toBe(true);
  });

  it('writes nothing between the parts of a request: cancels and responses wait for its end', async () => {
    const { queue, add, since } = makeQueue({ window: 2 });
    const sent = Promise.withResolvers<void>();
    const a = add('a', { start: () => sent.promise });
    add('b');
    const written: string[] = [];
    queue.control(() => written.push('first'));
    queue.control(() => written.push('second'));
    expect(queue.isSending(a)).toBe(true);
    expect([written, since()]).toEqual([[], ['prepare a', 'prepare b']]);
    sent.resolve();
    await sent.promise;
    await Promise.resolve();
    expect([written, since()]).toEqual([
      ['first', 'second'],
      ['prepare b', 'start b as 2'],
    ]);
    queue.control(() => written.push('third'));
    expect(written).toEqual(['first', 'second', 'third']);
    expect(queue.isSending(a)).toBe(false);
  });

  it('removes an operation that has not begun', async () => {
    const { queue, port, add, since } = makeQueue();
    port.canSendData = false;
    const a = add('a');
    const idle = queue.whenIdle();
    queue.remove(a);
    queue.remove(a);
    await idle;
    port.canSendData = true;
    since();
    queue.pump();
    expect(since()).toEqual([]);
  });

  it('is idle when everything is answered', async () => {
    const { queue, add } = makeQueue();
    await queue.whenIdle();
    add('a');
    add('b');
    let isIdle = false;
    const idle = queue.whenIdle().then(() => {
      isIdle = true;
    });
    queue.finish(1);
    await Promise.resolve();
    expect(isIdle).toBe(false);
    queue.finish(2);
    await idle;
  });

  it('fails everything at its end, once, and what is added later', async () => {
    const { queue, add, since } = makeQueue();
    add('outstanding');
    add('waiting');
    since();
    const idle = queue.whenIdle();
    queue.end(ended);
    expect(since()).toEqual(['outstanding failed: association-ended', 'waiting failed: association-ended']);
    await idle;
    queue.end(new DimseError('aborted', 'y'));
    add('late');
    queue.pump();
    expect(since()).toEqual(['late failed: association-ended']);
    expect(queue.outstanding(1)).toBeUndefined();
  });

  it('drops what waited for the end of a request that is never sent completely', async () => {
    const { queue, add, since } = makeQueue();
    const sent = Promise.withResolvers<void>();
    add('a', { start: () => sent.promise });
    queue.control(() => expect.unreachable());
    queue.end(ended);
    since();
    sent.reject(new Error('late'));
    await sent.promise.catch(() => {});
    await Promise.resolve();
    expect(since()).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['an error of the source', new Error('disk'), 'source-failed'],
    ['an error with a code', new DimseError('source-not-dicom', 'x'), 'source-not-dicom'],
  ])('aborts the association after %s within a request, at once or later', async (_, thrown, code) => {
    for (const start of [
      (): undefined => {
        throw thrown;
      },
      () => Promise.reject(thrown),
    ]) {
      const { add, since } = makeQueue();
      const failed = Promise.withResolvers<DimseError>();
      add('a', { start, fail: failed.resolve });
      const error = await failed.promise;
      expect(error.code).toBe(code);
      expect(error.cause).toBe(thrown instanceof DimseError ? undefined : thrown);
      expect(since().at(-1)).toBe(
        `abort: association-ended: aborted locally because an instance could not be sent completely: ${code}`,
      );
    }
  });

  it('uses no message id that is outstanding, and none above 65535', () => {
    const { queue, add } = makeQueue({ window: 2 });
    const ids: number[] = [];
    const start = (messageId: number): undefined => void ids.push(messageId);
    const first = add('first', { start });
    for (let count = 2; count <= 0xffff; count += 1) {
      add('x', { start });
      queue.finish(count);
    }
    add('x', { start });
    expect([ids[0], ids.at(-2), ids.at(-1)]).toEqual([1, 0xffff, 2]);
    expect(queue.outstanding(1)).toBe(first);
  });

  it('is served by requests of the peer while such a request is outstanding', () => {
    const { queue, add } = makeQueue({ window: 2 });
    add('store');
    expect(queue.isServedByRequests).toBe(false);
    add('get', { isServedByRequests: true });
    expect(queue.isServedByRequests).toBe(true);
    queue.finish(2);
    expect(queue.isServedByRequests).toBe(false);
  });
});

describe('the early byte', () => {
  const written = (options: Partial<QueueOptions>, state: object, isReady = true): boolean => {
    const { queue, port, add, since } = makeQueue({ earlyByte: true, ...options });
    add('a');
    add('b', { isReady });
    since();
    Object.assign(port, { isMidPdu: true, ...state });
    queue.onProgress();
    return since().includes('early byte');
  };

  it('is written within a response if the next request is ready and waits for the window', () => {
    expect(written({}, {})).toBe(true);
    expect(written({ earlyByte: false }, {})).toBe(false);
    expect(written({}, { isMidPdu: false })).toBe(false);
    expect(written({}, { isCommitted: true })).toBe(false);
    expect(written({}, { canSendData: false })).toBe(false);
    expect(written({}, {}, false)).toBe(false);
    expect(written({ window: 2 }, {})).toBe(false);
  });
});

describe('the time without a response', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const limit = { responseTimeoutMs: 100 };
  const noResponse = 'abort: response-timeout: no response for 100 ms (responseTimeoutMs)';

  it('aborts the association, with what did not happen', () => {
    const silent = makeQueue(limit);
    silent.add('a');
    vi.advanceTimersByTime(99);
    expect(silent.since()).not.toContain(noResponse);
    vi.advanceTimersByTime(1);
    expect(silent.since()).toContain(noResponse);

    const slow = makeQueue({ ...limit, minBytesPerSecond: 1000 });
    slow.add('a');
    slow.port.hasUnsent = true;
    vi.advanceTimersByTime(100);
    expect(slow.since()).toContain(
      'abort: send-timeout: the peer accepted no data for 100 ms (responseTimeoutMs), or less than 1000 bytes a second (minBytesPerSecond)',
    );
  });

  it('does not run without a limit, after the last response, or after the end', () => {
    const unlimited = makeQueue();
    unlimited.add('a');
    const answered = makeQueue(limit);
    answered.add('a');
    answered.queue.finish(1);
    const over = makeQueue(limit);
    over.add('a', { fail: () => {} });
    over.queue.end(ended);
    vi.advanceTimersByTime(10_000);
    for (const { since } of [unlimited, answered, over]) expect(since().join()).not.toContain('abort');
  });

  it('starts again with each request and each response', () => {
    const { queue, add, since } = makeQueue({ ...limit, window: 2 });
    add('a');
    vi.advanceTimersByTime(60);
    add('b');
    vi.advanceTimersByTime(60);
    queue.finish(1);
    vi.advanceTimersByTime(60);
    queue.notLast('sign-of-life');
    vi.advanceTimersByTime(60);
    expect(since().join()).not.toContain('abort');
    vi.advanceTimersByTime(40);
    expect(since()).toContain(noResponse);
  });

  it('does not count while we are busy, nor while our own source is slow', () => {
    const busy = makeQueue(limit);
    busy.add('a');
    busy.port.isBusy = true;
    const own = makeQueue(limit);
    own.add('a', { start: () => new Promise(() => {}) });
    vi.advanceTimersByTime(1_000);
    expect(busy.since().join()).not.toContain('abort');
    expect(own.since().join()).not.toContain('abort');
    busy.port.isBusy = false;
    own.port.hasUnsent = true;
    vi.advanceTimersByTime(200);
    expect(busy.since()).toContain(noResponse);
    expect(own.since().join()).toContain('abort: send-timeout');
  });

  it('is extended by a match of a search as by 5 seconds at the minimum rate, and no longer than its limit', () => {
    const { queue, add, since } = makeQueue({ responseTimeoutMs: 100, minBytesPerSecond: 1000 });
    add('a');
    for (let count = 0; count < 10; count += 1) {
      vi.advanceTimersByTime(90);
      queue.notLast('match');
    }
    expect(since().join()).not.toContain('abort');
    vi.advanceTimersByTime(250);
    expect(since().join()).toContain('abort: response-timeout');
    // Without a minimum rate it is a sign of life.
    const any = makeQueue(limit);
    any.add('a');
    vi.advanceTimersByTime(90);
    any.queue.notLast('match');
    vi.advanceTimersByTime(90);
    expect(any.since().join()).not.toContain('abort');
  });
});
