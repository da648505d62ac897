/** Encodes a value as bytes and decodes it. `decode` throws for bytes that `encode` did not write. */
export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Buffer): T;
}

/** For values that JSON carries without loss: no Map, Date, undefined or bytes in them. */
export function jsonCodec<T>(): Codec<T> {
  return {
    encode: (value) => {
      const text = JSON.stringify(value) as string | undefined;
      if (text === undefined) throw new TypeError('the value cannot be encoded as JSON');
      return Buffer.from(text);
    },
    decode: (bytes) => JSON.parse(bytes.toString('utf8')) as T,
  };
}

export const bytesCodec: Codec<Buffer> = { encode: (value) => value, decode: (bytes) => bytes };
