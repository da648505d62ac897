/**
 * A small data set to send: encoded in the transfer syntax of its context, or how to encode it once that is known
 * (`dicom-dimse/dataset` makes such functions).
 */
export type DataSetInput = Uint8Array | ((transferSyntaxUid: string) => Uint8Array);

/** Even length is asked for by PS3.5 section 7.1; an encoder that gets it wrong is not ours to correct. */
export function encodeInput(input: DataSetInput, transferSyntaxUid: string): Buffer {
  const bytes = typeof input === 'function' ? input(transferSyntaxUid) : input;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A small data set as it came, with what is needed to read it. */
export interface EncodedDataSet {
  readonly transferSyntaxUid: string;
  readonly bytes: Buffer;
}
