import { scryptSync, type ScryptOptions } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

/** Request to the thread that hashes passwords. */
export interface DeriveRequest {
  readonly id: number;
  readonly password: string;
  readonly salt: Uint8Array;
  readonly keyBytes: number;
  readonly options: ScryptOptions;
}

export interface DeriveAnswer {
  readonly id: number;
  /** Undefined if the parameters cannot be used. */
  readonly key: Uint8Array | undefined;
}

parentPort?.on('message', ({ id, password, salt, keyBytes, options }: DeriveRequest) => {
  let key: Uint8Array | undefined;
  try {
    key = scryptSync(password, salt, keyBytes, options);
  } catch {
    // A hash in the configuration with parameters that scrypt does not support: no password matches.
  }
  // eslint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows, this is a thread
  parentPort?.postMessage({ id, key } satisfies DeriveAnswer);
});
