import type { OperationError } from '@dicom-dispatch/pipeline';
import type { ConfigError } from '@dicom-dispatch/runtime';
import type { DispatchError } from '@dicom-dispatch/core';

/**
 * Exit codes of the command-line tool.
 *
 * - 0: done
 * - 1: failed, or a service had to be ended by force; the last line contains the reason
 * - 2: the arguments or the configuration cannot be used
 * - 3: `status --check` found a problem that needs an operator, `audit` a problem or an unknown result, `audit-log verify` a change
 * - 4: Redis, a source, a target or a service does not respond, or not every service has applied a change of the configuration
 * - 5: the study, delivery, target or source does not exist
 * - 130: stopped by Ctrl-C, or a service by a second signal
 */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  trouble: 3,
  unreachable: 4,
  notFound: 5,
  interrupted: 130,
} as const;

/** An error without a stack: its text is sufficient. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;
  constructor(message: string, exitCode: number = exitCodes.failed, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

const ofOperation: Readonly<Record<OperationError['code'], number>> = {
  invalid: exitCodes.usage,
  conflict: exitCodes.failed,
  unavailable: exitCodes.unreachable,
  'not-found': exitCodes.notFound,
};

/**
 * Reports an error to the user. Errors are identified by name, so that a command does not load a package only for its
 * errors.
 *
 * @returns the exit code
 */
export function reportFailure(error: unknown): number {
  if (error instanceof CommandError) return fail(error.message, error.exitCode);
  if (!(error instanceof Error)) return unexpected(error);
  switch (error.name) {
    case 'CommanderError':
      // Commander has already reported it: requested help, or invalid arguments.
      return (error as Error & { exitCode: number }).exitCode === 0 ? exitCodes.done : exitCodes.usage;
    case 'ConfigError':
      console.error((error as ConfigError).format());
      return exitCodes.usage;
    case 'OperationError':
      return fail(error.message, ofOperation[(error as OperationError).code]);
    case 'DispatchError':
      return reportDispatchError(error as DispatchError);
    case 'EmbeddedRedisError':
    case 'ConsoleError':
      return fail(error.message, exitCodes.failed);
    default:
      return unexpected(error);
  }
}

function reportDispatchError(error: DispatchError): number {
  if (error.code === 'internal') return unexpected(error);
  if (error.code === 'ledger-unavailable') return fail('Redis no longer responds', exitCodes.unreachable);
  const isSilent = error.code === 'source-unreachable' || error.code === 'target-unreachable';
  const ofUse = error.code === 'config-invalid' ? exitCodes.usage : exitCodes.failed;
  const code = isSilent ? exitCodes.unreachable : ofUse;
  return fail(`${error.code}: ${error.message}\n  ${error.remedy}`, code);
}

function fail(text: string, exitCode: number): number {
  console.error(`dispatch: ${text}`);
  return exitCode;
}

function unexpected(error: unknown): number {
  console.error(error);
  return exitCodes.failed;
}
