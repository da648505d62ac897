import { createHmac } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * Keyed pseudonyms (HMAC-SHA-256): the same input and key give the same pseudonym, and
 * without the key the link cannot be determined.
 */
export class Pseudonyms {
  readonly #key: string;
  readonly #prefix: string;

  constructor(key: string, prefix: string) {
    this.#key = key;
    this.#prefix = prefix;
  }

  /** Patient ID (VR LO) of 16 characters after the prefix. */
  patientId(original: string): string {
    return this.#prefix + letters(this.#digest('patient', original.trim()), 16);
  }

  /** Accession number (VR SH, at most 16 characters). */
  accessionNumber(original: string): string {
    return `A${letters(this.#digest('accession', original.trim()), 14)}`;
  }

  /** A UID derived from a UUID (PS3.5 section B.2); a UID of the Standard itself is kept. */
  uid(original: string): string {
    if (original === '' || original.startsWith('1.2.840.10008.')) return original;
    const bytes = this.#digest('uid', original).subarray(0, 16);
    // Version 8 and variant of RFC 9562: custom generation.
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
    return `2.25.${BigInt(`0x${bytes.toString('hex')}`)}`;
  }

  /** Distinguishes two keys and reveals nothing about them. */
  fingerprint(): string {
    return this.#digest('fingerprint', this.#prefix).toString('hex').slice(0, 12);
  }

  #digest(kind: string, text: string): Buffer {
    return createHmac('sha256', this.#key).update(`${kind}\0${text}`).digest();
  }
}

/** Five bits a letter. */
function letters(bytes: Buffer, count: number): string {
  return Array.from({ length: count }, (_, index) => alphabet[bytes.readUInt8(index) & 31]).join('');
}
