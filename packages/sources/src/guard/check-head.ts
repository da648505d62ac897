import { hash } from 'node:crypto';
import type { ExpectedBytes } from './expected-bytes.ts';
import type { FileHead } from './read-head.ts';

/**
 * - `same`: it is the instance that was asked for
 * - `doubtful`: nothing contradicts, and yet it is not proven; the digest decides
 * - otherwise what was expected and what came, in words without patient data
 */
export type HeadVerdict = 'same' | 'doubtful' | { readonly expected: string; readonly came: string };

const orthancId = /^[0-9a-f]{8}(?:-[0-9a-f]{8}){4}$/;

/** Compares what a file says of itself with what it must be. */
export function checkHead(head: FileHead, expected: ExpectedBytes): HeadVerdict {
  const { meta, dataSet } = head;
  if (dataSet.sopInstanceUid !== expected.sopInstanceUid) {
    return differs('SOP Instance UID', expected.sopInstanceUid, dataSet.sopInstanceUid);
  }
  const { sopClassUid, transferSyntaxUid } = expected;
  const knownClass = dataSet.sopClassUid ?? meta.sopClassUid;
  if (sopClassUid !== undefined && knownClass !== sopClassUid && meta.sopClassUid !== sopClassUid) {
    return differs('SOP Class UID', sopClassUid, knownClass);
  }
  const syntax = meta.transferSyntaxUid;
  if (transferSyntaxUid !== undefined && syntax !== undefined && syntax !== transferSyntaxUid) {
    return differs('transfer syntax', transferSyntaxUid, syntax);
  }
  const { studyInstanceUid, seriesInstanceUid } = dataSet;
  if (studyInstanceUid !== undefined && studyInstanceUid !== expected.studyInstanceUid) {
    return differs('Study Instance UID', expected.studyInstanceUid, studyInstanceUid);
  }
  if (seriesInstanceUid !== undefined && seriesInstanceUid !== expected.seriesInstanceUid) {
    return differs('Series Instance UID', expected.seriesInstanceUid, seriesInstanceUid);
  }
  return isOfPatient(head, expected) ? 'same' : 'doubtful';
}

/**
 * Orthanc's id of an instance is the SHA-1 of patient ID, study, series and instance: so it tells whether the patient is
 * the right one, and nobody has to know which. A patient ID that is not plain ASCII, or was not seen, is let pass.
 */
function isOfPatient({ dataSet }: FileHead, { orthancId: id, ...expected }: ExpectedBytes): boolean {
  if (id === undefined || !dataSet.isWhole) return true;
  return isOrthancId(id, dataSet.patientId?.toString('latin1') ?? '', expected);
}

/** Whether an id may be that of an instance with this patient ID; one that is not plain ASCII, or no id of Orthanc's, may. */
export function isOrthancId(
  id: string,
  patientId: string,
  uids: Pick<ExpectedBytes, 'studyInstanceUid' | 'seriesInstanceUid' | 'sopInstanceUid'>,
): boolean {
  const bare = patientId.replace(/^[\s\0]+|[\s\0]+$/g, '');
  if (!orthancId.test(id) || !/^[\x20-\x7e]*$/.test(bare)) return true;
  const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = uids;
  return id.replaceAll('-', '') === hash('sha1', `${bare}|${studyInstanceUid}|${seriesInstanceUid}|${sopInstanceUid}`);
}

function differs(what: string, expected: string, came: string | undefined): HeadVerdict {
  return { expected: `${what} ${expected}`, came: came === undefined ? `no ${what}` : `${what} ${printable(came)}` };
}

/** Foreign text is shown only when it is a UID: anything else might be a name. */
function printable(uid: string): string {
  return /^[0-9.]{1,64}$/.test(uid) ? uid : 'that is no UID';
}
