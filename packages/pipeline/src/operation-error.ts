/**
 * - `not-found`: the delivery, study or target does not exist
 * - `conflict`: not possible in the current state
 * - `invalid`: invalid request
 * - `unavailable`: a required service does not respond now
 */
export type OperationErrorCode = 'not-found' | 'conflict' | 'invalid' | 'unavailable';

/** Why an operator's request was rejected; written for the operator, without patient data. */
export class OperationError extends Error {
  override readonly name = 'OperationError';
  readonly code: OperationErrorCode;
  constructor(code: OperationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
