import { ConfigError, EmbeddedRedisError } from '@dicom-dispatch/runtime';

/**
 * Exit codes of the command-line tool.
 *
 * - 0: done
 * - 1: it could not be done; the last line says why
 * - 2: the arguments or the configuration cannot be used
 * - 3: `status --check` found something that needs an operator
 * - 130: stopped by Ctrl-C
 */
export const exitCodes = { done: 0, failed: 1, usage: 2, trouble: 3, interrupted: 130 } as const;

/** An end that needs no stack: its text says all. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;
  constructor(message: string, exitCode: number = exitCodes.failed, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Says what went wrong, for people. @returns the exit code */
export function reportFailure(error: unknown): number {
  if (error instanceof ConfigError) {
    console.error(error.format());
    return exitCodes.usage;
  }
  if (error instanceof CommandError) {
    console.error(`dispatch: ${error.message}`);
    return error.exitCode;
  }
  if (error instanceof EmbeddedRedisError) {
    console.error(`dispatch: ${error.message}`);
    return exitCodes.failed;
  }
  console.error(error);
  return exitCodes.failed;
}
