import { vi } from 'vitest';

/** The timers of this process and `performance.now()`, which move only when a test lets time pass. Sockets continue to work. */
export interface StoppedClock extends Disposable {
  /** Handles what sockets have received, then lets this time pass. */
  pass(ms: number): Promise<void>;
  /** Lets time pass in small steps until the promise is settled, and returns it. */
  passUntil<T>(promise: Promise<T>, stepMs?: number): Promise<T>;
}

const everything = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] as const;
type Stopped = (typeof everything)[number];

/**
 * Stops the clock of this process until it is disposed of. A timeout in the tested code then fires when the test decides, not when a
 * machine is slow: what must succeed first has all the time that it needs. Stop the clock before the tested code starts a timer.
 * Timers of `node:timers/promises`, of other processes, and `Date` are not stopped.
 *
 * @param what - only `performance` where undici is used: it keeps timers over the end of a test
 */
export function stopClock(what: readonly Stopped[] = everything): StoppedClock {
  vi.useFakeTimers({ toFake: [...what] });
  let isStopped = true;
  const pass = async (ms: number): Promise<void> => {
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
    if (isStopped) await vi.advanceTimersByTimeAsync(ms);
  };
  return {
    pass,
    async passUntil(promise, stepMs = 100) {
      const state = { isSettled: false };
      const settle = (): void => void (state.isSettled = true);
      promise.then(settle, settle);
      while (!state.isSettled) await pass(stepMs);
      return promise;
    },
    [Symbol.dispose]() {
      isStopped = false;
      vi.useRealTimers();
    },
  };
}
