import { z } from 'zod';

/**
 * A secret in a configuration file: `${NAME}` from the environment, `{ file: PATH }` or `{ sealed: TEXT }`.
 * Plain text is rejected. The loader inserts the value before the schema sees it (see `placeSecrets` in
 * runtime), wrapped so that no log line, no error and no JSON ever shows it.
 */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  /** The secret itself: pass it to the library that needs it, and store it nowhere. */
  reveal(): string {
    return this.#value;
  }
  toJSON(): string {
    return '[secret]';
  }
  toString(): string {
    return '[secret]';
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}

export const secret = z
  .custom<Secret>((value) => value instanceof Secret, {
    error: 'a secret is ${NAME} from the environment or { file: PATH }, never plain text',
  })
  .meta({ secret: true });

/**
 * A key that can be rotated: one secret, or a list. The first is used for new data, all of them for existing
 * data.
 */
export const secretKeys = z
  .union([secret, z.array(secret).min(1).max(5)], {
    error: 'a key is ${NAME} from the environment or { file: PATH }, or a list of these, the newest first',
  })
  .transform((value): readonly Secret[] => (Array.isArray(value) ? value : [value]));
