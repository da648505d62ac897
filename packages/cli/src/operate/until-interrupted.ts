import { CommandError, exitCodes } from '../exit.ts';

/**
 * Runs an act that the first Ctrl-C cancels; a second one ends the process at once.
 *
 * @param onInterrupt what to say when it was cancelled
 * @throws CommandError when it was cancelled, else what the act throws
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
