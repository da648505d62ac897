import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  scryptSync,
  timingSafeEqual,
} from 'node:crypto';
import { fingerprint, isPasswordHash, type ConsoleConfig } from '@dicom-dispatch/core';

type Settings = Pick<ConsoleConfig, 'secret' | 'users' | 'tokens' | 'oidc'>;

/** Fixed: all consoles with one configuration must derive the same keys. */
const salt = 'dicom-dispatch console';
const nonceBytes = 12;
const tagBytes = 16;

/**
 * The keys for data stored in browsers. They are derived from the values of `console.secret`: the first one signs and encrypts, and
 * all are accepted. Without it they are derived from the other secrets of the console, so that all consoles with one configuration
 * share them; without secrets they are generated for this process.
 */
export class ConsoleKeys {
  readonly #settings: () => Settings;
  readonly #random = randomBytes(32);
  #derived: { readonly from: string; readonly keys: readonly Buffer[] } | undefined;

  constructor(settings: () => Settings) {
    this.#settings = settings;
  }

  /** A signature of a text, for one purpose. */
  sign(purpose: string, text: string): string {
    return this.#mac(this.#keys()[0] ?? this.#random, purpose, text).toString('base64url');
  }

  isSigned(purpose: string, text: string, signature: string): boolean {
    const given = Buffer.from(signature, 'base64url');
    return this.#keys().some((key) => {
      const right = this.#mac(key, purpose, text);
      return right.length === given.length && timingSafeEqual(right, given);
    });
  }

  /** Encrypts a value for one purpose, with a maximum age (AES-256-GCM). */
  seal(purpose: string, value: unknown, lifetimeMs: number): string {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#cipherKey(this.#keys()[0] ?? this.#random, purpose), nonce);
    const text = JSON.stringify({ value, until: Date.now() + lifetimeMs });
    return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
      'base64url',
    );
  }

  /** The decrypted value; undefined if it is invalid or too old. */
  open(purpose: string, sealed: string): unknown {
    const bytes = Buffer.from(sealed, 'base64url');
    if (bytes.length < nonceBytes + tagBytes) return undefined;
    for (const key of this.#keys()) {
      try {
        const nonce = bytes.subarray(0, nonceBytes);
        const decipher = createDecipheriv('aes-256-gcm', this.#cipherKey(key, purpose), nonce, {
          authTagLength: tagBytes,
        });
        decipher.setAuthTag(bytes.subarray(-tagBytes));
        const text = Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
        const { value, until } = JSON.parse(text.toString()) as { value: unknown; until: number };
        return until > Date.now() ? value : undefined;
      } catch {
        // Encrypted with another key, or invalid.
      }
    }
    return undefined;
  }

  #mac(key: Buffer, purpose: string, text: string): Buffer {
    return createHmac('sha256', key).update(`${purpose}\n${text}`).digest();
  }

  #cipherKey(key: Buffer, purpose: string): Buffer {
    return Buffer.from(hkdfSync('sha256', key, salt, purpose, 32));
  }

  #keys(): readonly Buffer[] {
    const settings = this.#settings();
    const material = settings.secret?.map((one) => one.reveal()) ?? sharedMaterial(settings);
    const from = fingerprint(material);
    if (this.#derived?.from !== from) {
      // Slow, because these may be secrets chosen by a person: a signature must not allow guessing them.
      const keys = material.map((text) => scryptSync(text, salt, 32, { N: 2 ** 14, r: 8, p: 1 }));
      this.#derived = { from, keys: keys.length > 0 ? keys : [this.#random] };
    }
    return this.#derived.keys;
  }
}

/** Passwords in plain text are excluded: signatures must not help to guess them. */
function sharedMaterial({ users, tokens, oidc }: Settings): string[] {
  const parts = [
    ...Object.values(users ?? {})
      .map(({ password }) => password.reveal())
      .filter((text) => isPasswordHash(text)),
    ...Object.values(tokens ?? {}).map(({ token }) => token.reveal()),
    ...(oidc?.clientSecret ? [oidc.clientSecret.reveal()] : []),
  ];
  return parts.length === 0 ? [] : [JSON.stringify(parts.sort())];
}
