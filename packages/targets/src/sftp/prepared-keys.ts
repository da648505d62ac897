import { createSecretKey } from 'node:crypto';
import type { EventEmitter } from 'node:events';

/** ssh2's data for one direction if Node's crypto is used; names of version 1.17. */
interface Keys {
  _encKey?: unknown;
  _decipherKey?: unknown;
  _macKey?: unknown;
}

/**
 * Converts the keys of each key exchange to KeyObjects. ssh2 creates a cipher object for each packet (AES-GCM needs a new nonce each
 * time) from the bytes of the key, which Node 24 examines for about 50 µs; it accepts a KeyObject immediately. If ssh2 has no such
 * key (another cipher, its native addon) nothing is changed.
 */
export function prepareKeys(ssh: EventEmitter): void {
  ssh.on('handshake', () => {
    const { _protocol: protocol } = ssh as { _protocol?: { readonly _cipher?: Keys; readonly _decipher?: Keys } };
    for (const keys of [protocol?._cipher, protocol?._decipher]) {
      for (const name of ['_encKey', '_decipherKey', '_macKey'] as const) {
        const key = keys?.[name];
        if (keys && Buffer.isBuffer(key)) keys[name] = createSecretKey(key);
      }
    }
  });
}
