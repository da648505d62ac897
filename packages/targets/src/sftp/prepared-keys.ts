import { createSecretKey } from 'node:crypto';
import type { EventEmitter } from 'node:events';

/** What ssh2 keeps for one direction, where Node's own crypto does the work; names of version 1.17. */
interface Keys {
  _encKey?: unknown;
  _decipherKey?: unknown;
  _macKey?: unknown;
}

/**
 * ssh2 makes a cipher object for each packet (AES-GCM takes a new nonce each time) and hands it the bytes of the key,
 * which Node 24 examines for some 50 µs before it takes them; a KeyObject it takes at once. So the keys of each exchange
 * are made into such. Where ssh2 has no such key (another cipher, its native addon) nothing is changed.
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
