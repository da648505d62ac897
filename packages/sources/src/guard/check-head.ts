import { hash } from 'node:crypto';
import type { ExpectedBytes } from './expected-bytes.ts';
import type { FileHead } from './read-head.ts';

/**
 * - `same`: it is the instance that was asked for
 * - `doubtful`: nothing contradicts, and yet it is not proven; the digest decides
 * - otherwise what was expected and what came, in words without patient data
 */
export type HeadVerdict = 'same' | 'doubtful' | { readonly expected: string; readonly came: string };

/** Five groups of eight hexadecimal digits, with hyphens between them. */
const idLength = 44;

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

/**
 * Whether an id may be that of an instance with this patient ID; one that is not plain ASCII, or no id of Orthanc's, may.
 * Without regular expressions: this is done for every instance that leaves.
 */
export function isOrthancId(
  id: string,
  patientId: string,
  uids: Pick<ExpectedBytes, 'studyInstanceUid' | 'seriesInstanceUid' | 'sopInstanceUid'>,
): boolean {
  if (id.length !== idLength || id.charAt(8) !== '-') return true;
  const bare = bareAscii(patientId);
  if (bare === undefined) return true;
  const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = uids;
  const digest = hash('sha1', `${bare}|${studyInstanceUid}|${seriesInstanceUid}|${sopInstanceUid}`);
  for (let part = 0; part < 5; part += 1) {
    if (!id.startsWith(digest.slice(part * 8, part * 8 + 8), part * 9)) return false;
  }
  return true;
}

/** Without white space and NUL around it, as Orthanc takes it; undefined when it is not plain ASCII. */
function bareAscii(text: string): string | undefined {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e) return undefined;
  }
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0 || (code >= 0x09 && code <= 0x0d);
}

function differs(what: string, expected: string, came: string | undefined): HeadVerdict {
  return { expected: `${what} ${expected}`, came: came === undefined ? `no ${what}` : `${what} ${printable(came)}` };
}

/** Foreign text is shown only when it is a UID: anything else might be a name. */
function printable(uid: string): string {
  return /^[0-9.]{1,64}$/.test(uid) ? uid : 'that is no UID';
}
