import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const nonceBytes = 12;
const tagBytes = 16;

/** The key that values are encrypted with. */
export function sealKey(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'dicom-dispatch cache', 32));
}

/**
 * Encrypts with the first of the keys, by AES-256-GCM: nonce, encrypted bytes, tag. The result can only be decrypted for the
 * same address, so values cannot be exchanged.
 */
export function seal(keys: readonly Buffer[] | undefined, address: string, bytes: Uint8Array): Buffer {
  const key = keys?.[0];
  if (!key) throw new TypeError('there is no key to encrypt with');
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(address));
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** Decrypts with any of the keys. @returns undefined if it was encrypted with another key or for another address, or is damaged */
export function unseal(keys: readonly Buffer[] | undefined, address: string, sealed: Buffer): Buffer | undefined {
  if (sealed.byteLength < nonceBytes + tagBytes) return undefined;
  for (const key of keys ?? []) {
    const bytes = unsealWith(key, address, sealed);
    if (bytes) return bytes;
  }
  return undefined;
}

function unsealWith(key: Buffer, address: string, sealed: Buffer): Buffer | undefined {
  const nonce = sealed.subarray(0, nonceBytes);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
    .setAAD(Buffer.from(address))
    .setAuthTag(sealed.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
  } catch {
    return undefined;
  }
}
