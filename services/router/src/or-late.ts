/**
 * The result of `running`, or `late` after some milliseconds. A cancelled `sleep` creates signals and errors, which cost
 * more CPU time than the timer itself.
 *
 * @throws the error of `running`, or the reason of `signal`
 */
export function orLate<T>(running: Promise<T>, ms: number, signal: AbortSignal): Promise<T | 'late'> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(end, ms, () => resolve('late'));
    const stop = (): void => end(() => reject(signal.reason as Error));
    signal.addEventListener('abort', stop);
    running.then(
      (value) => end(() => resolve(value)),
      (error: unknown) => end(() => reject(error as Error)),
    );

    function end(settle: () => void): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      settle();
    }
  });
}
