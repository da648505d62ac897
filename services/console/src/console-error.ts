export type ConsoleErrorCode = 'open-door' | 'cannot-listen' | 'sign-in-failed';

/** Why the console does not start, or a user cannot sign in. */
export class ConsoleError extends Error {
  override readonly name = 'ConsoleError';
  readonly code: ConsoleErrorCode;
  constructor(code: ConsoleErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
