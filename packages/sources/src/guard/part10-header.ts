import { encodeFileMeta } from 'dicom-dimse';
import type { ExpectedBytes } from './expected-bytes.ts';
import type { FileHead } from './read-head.ts';

/** Where a file says nothing of its syntax and its source neither, it is the default one (PS3.5 section 10.1). */
const implicitVrLittleEndian = '1.2.840.10008.1.2';

/** Preamble, prefix and file meta (PS3.10 section 7.1) for a data set that has none, or a wrong one. */
export function part10Header({ meta, dataSet }: FileHead, expected: ExpectedBytes): Buffer {
  return encodeFileMeta({
    sopClassUid: dataSet.sopClassUid ?? meta.sopClassUid ?? expected.sopClassUid ?? '',
    sopInstanceUid: expected.sopInstanceUid,
    transferSyntaxUid: meta.transferSyntaxUid ?? expected.transferSyntaxUid ?? implicitVrLittleEndian,
  });
}
