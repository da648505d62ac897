import { CommandError, exitCodes } from '../exit.ts';

/**
 * Runs a function that the first Ctrl-C cancels; a second one ends the process immediately.
 *
 * @param onInterrupt - message after a cancellation
 * @throws CommandError if it was cancelled, otherwise errors of the function
 */
export async function untilInterrupted<T>(onInterrupt: string, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(exitCodes.interrupted);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    return await act(stop.signal);
  } catch (error) {
    if (stop.signal.aborted) throw new CommandError(onInterrupt, exitCodes.interrupted, { cause: error });
    throw error;
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}
