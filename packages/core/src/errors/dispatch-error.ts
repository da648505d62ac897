import type { Stage } from '../model/stage.ts';
import { localShortage } from './local-shortage.ts';
import { errorCodes, type Disposition, type ErrorClass, type ErrorCode } from './error-codes.ts';

export interface DispatchErrorOptions {
  /** Where it occurred; default is the code's usual stage. */
  readonly stage?: Stage;
  /** Replaces the code's disposition if the response is more specific (an HTTP 500 that reports a bad request …). */
  readonly disposition?: Disposition;
  /** Requested by the peer: no retry before this (milliseconds from now). */
  readonly retryAfterMs?: number;
  /** Replaces the code's remedy. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/**
 * The one error of a delivery. `message` is written for an operator and carries no patient data: UIDs, statuses, host
 * names and counts are fine, values of patient tags are not.
 */
export class DispatchError extends Error {
  override readonly name = 'DispatchError';
  readonly code: ErrorCode;
  readonly stage: Stage;
  readonly disposition: Disposition;
  readonly remedy: string;
  readonly retryAfterMs: number | undefined;
  /** Whether the stage was given, or is only the code's usual one. */
  readonly stageGiven: boolean;

  constructor(code: ErrorCode, message: string, options: DispatchErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const known: ErrorClass = errorCodes[code];
    this.code = code;
    this.stage = options.stage ?? known.stage;
    this.stageGiven = options.stage !== undefined;
    this.disposition = options.disposition ?? known.disposition;
    this.remedy = options.remedy ?? known.remedy;
    this.retryAfterMs = options.retryAfterMs;
  }

  get fault(): ErrorClass['fault'] {
    return errorCodes[this.code].fault;
  }

  /** The form stored in a record or sent in a notification. */
  toRecord(): ErrorRecord {
    return { code: this.code, stage: this.stage, fault: this.fault, message: this.message, remedy: this.remedy };
  }
}

export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly stage: Stage;
  readonly fault: ErrorClass['fault'];
  readonly message: string;
  readonly remedy: string;
}

/**
 * Any thrown value, as a DispatchError. A value that is none becomes the cause of one: `local-resources` if this host has run
 * out of something, otherwise `internal`.
 */
export function asDispatchError(thrown: unknown, stage?: Stage): DispatchError {
  if (thrown instanceof DispatchError) {
    if (stage === undefined || thrown.stageGiven) return thrown;
    return new DispatchError(thrown.code, thrown.message, { ...thrown, stage, cause: thrown.cause });
  }
  const shortage = localShortage(thrown);
  if (shortage) {
    const { reason, remedy } = shortage;
    return new DispatchError('local-resources', reason, { cause: thrown, remedy, ...(stage && { stage }) });
  }
  const name = thrown instanceof Error ? thrown.name : typeof thrown;
  // The text of an unknown error may contain patient data; only the class of the error is shown, the rest is in the cause.
  return new DispatchError('internal', `unexpected ${name}`, { cause: thrown, ...(stage && { stage }) });
}
