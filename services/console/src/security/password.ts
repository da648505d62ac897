import { randomBytes, timingSafeEqual } from 'node:crypto';
import { deriveKey } from './derive-key.ts';

/** Cost of scrypt (RFC 7914): 32 MiB and some 60 ms for one password. */
const cost = { N: 2 ** 15, r: 8, p: 1 } as const;
const keyBytes = 32;
const maxmem = 128 * 1024 * 1024;
const pattern = /^scrypt:(\d{1,8}):(\d{1,3}):(\d{1,3}):([A-Za-z0-9_-]{16,128}):([A-Za-z0-9_-]{43})$/;
/** A longer password is rejected before it is hashed. */
const longestPassword = 1024;

/** A hash to put into the configuration: `scrypt:N:r:p:salt:key`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await deriveKey(normal(password), salt, keyBytes, { ...cost, maxmem });
  if (!key) throw new Error('the password could not be hashed');
  return `scrypt:${cost.N}:${cost.r}:${cost.p}:${salt.toString('base64url')}:${key.toString('base64url')}`;
}

/** Whether a password is the stored one, which is a hash or plain text. Compares in constant time. */
export async function checkPassword(password: string, kept: string): Promise<boolean> {
  if (password.length === 0 || password.length > longestPassword) return false;
  const match = pattern.exec(kept);
  if (!match) return sameText(normal(password), normal(kept));
  const [, n, r, p, salt = '', key = ''] = match;
  const options = { N: Number(n), r: Number(r), p: Number(p), maxmem };
  const derived = await deriveKey(normal(password), Buffer.from(salt, 'base64url'), keyBytes, options);
  return derived !== undefined && timingSafeEqual(derived, Buffer.from(key, 'base64url'));
}

/** Normalizes characters, which keyboards compose differently (NIST SP 800-63B-4, section 3.1.1.2). */
function normal(password: string): string {
  return password.normalize('NFKC');
}

/** Compares in constant time. */
export async function sameText(given: string, kept: string): Promise<boolean> {
  const salt = randomBytes(16);
  const light = { N: 1024, r: 8, p: 1 };
  const [a, b] = await Promise.all([given, kept].map((text) => deriveKey(text, salt, keyBytes, light)));
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}
