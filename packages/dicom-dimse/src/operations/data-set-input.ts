/**
 * A small data set to send: encoded in the transfer syntax of its context, or a function that encodes it once this is known
 * (`dicom-dimse/dataset` creates such functions).
 */
export type DataSetInput = Uint8Array | ((transferSyntaxUid: string) => Uint8Array);

/** PS3.5 section 7.1 requires even length; an encoder that violates it is not corrected here. */
export function encodeInput(input: DataSetInput, transferSyntaxUid: string): Buffer {
  const bytes = typeof input === 'function' ? input(transferSyntaxUid) : input;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A received small data set, with the values needed to decode it. */
export interface EncodedDataSet {
  readonly transferSyntaxUid: string;
  readonly bytes: Buffer;
}
