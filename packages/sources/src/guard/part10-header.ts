import { encodeFileMeta } from 'dicom-dimse';
import type { ExpectedBytes } from './expected-bytes.ts';
import type { FileHead } from './read-head.ts';

/** If neither the file nor its source has a transfer syntax, it is the default one (PS3.5 section 10.1). */
const implicitVrLittleEndian = '1.2.840.10008.1.2';

/** Preamble, prefix and file meta information (PS3.10 section 7.1) for a data set without, or with a wrong one. */
export function part10Header({ meta, dataSet }: FileHead, expected: ExpectedBytes): Buffer {
  return encodeFileMeta({
    sopClassUid: dataSet.sopClassUid ?? meta.sopClassUid ?? expected.sopClassUid ?? '',
    sopInstanceUid: expected.sopInstanceUid,
    transferSyntaxUid: meta.transferSyntaxUid ?? expected.transferSyntaxUid ?? implicitVrLittleEndian,
  });
}
