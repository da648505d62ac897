import { hash } from 'node:crypto';
import type { ExpectedBytes } from './expected-bytes.ts';
import type { FileHead } from './read-head.ts';

/**
 * - `same`: it is the requested instance
 * - `doubtful`: no contradiction, but no proof; the digest decides
 * - otherwise the expected and the received value, as text without patient data
 */
export type HeadVerdict = 'same' | 'doubtful' | { readonly expected: string; readonly came: string };

/** Five groups of eight hexadecimal digits, with hyphens between them. */
const idLength = 44;

/** Compares the values of a file with the expected ones. */
export function checkHead(head: FileHead, expected: ExpectedBytes): HeadVerdict {
  const { meta, dataSet } = head;
  const { sopClassUid, transferSyntaxUid } = expected;
  const knownClass = meta.sopClassUid === sopClassUid ? sopClassUid : (dataSet.sopClassUid ?? meta.sopClassUid);
  const comparisons: readonly Comparison[] = [
    ['SOP Instance UID', expected.sopInstanceUid, dataSet.sopInstanceUid],
    ['SOP Class UID', sopClassUid, sopClassUid === undefined ? undefined : (knownClass ?? '')],
    ['transfer syntax', transferSyntaxUid, meta.transferSyntaxUid],
    ['Study Instance UID', expected.studyInstanceUid, dataSet.studyInstanceUid],
    ['Series Instance UID', expected.seriesInstanceUid, dataSet.seriesInstanceUid],
  ];
  let isDoubtful = !isOfPatient(head, expected);
  for (const [what, wanted, came] of comparisons) {
    if (wanted === undefined || came === undefined || wanted === came) continue;
    // The source may have read an invalid UID differently.
    if (isUid(wanted) && isUid(came)) return { expected: `${what} ${wanted}`, came: `${what} ${came}` };
    isDoubtful = true;
  }
  return isDoubtful ? 'doubtful' : 'same';
}

/** The compared property, its expected and its actual value; undefined if either is unknown. */
type Comparison = readonly [what: string, wanted: string | undefined, came: string | undefined];

/** Foreign text is shown only if it is a UID: anything else might be a name. */
function isUid(text: string): boolean {
  return /^[0-9.]{1,64}$/.test(text);
}

/**
 * Orthanc's id of an instance is the SHA-1 of patient ID, study, series and instance. It shows whether the patient is
 * the right one, without knowing which. A patient ID that is not plain ASCII, or was not read, is accepted.
 */
function isOfPatient({ dataSet }: FileHead, { orthancId: id, ...expected }: ExpectedBytes): boolean {
  if (id === undefined || !dataSet.isWhole) return true;
  return isOrthancId(id, dataSet.patientId?.toString('latin1') ?? '', expected);
}

/**
 * Whether an id may be that of an instance with this patient ID; one that is not plain ASCII, or no id of Orthanc's, may.
 * Without regular expressions: this is done for every instance that is sent.
 */
export function isOrthancId(
  id: string,
  patientId: string,
  uids: Pick<ExpectedBytes, 'studyInstanceUid' | 'seriesInstanceUid' | 'sopInstanceUid'>,
): boolean {
  if (id.length !== idLength || id.charAt(8) !== '-') return true;
  const bare = bareAscii(patientId);
  if (bare === undefined) return true;
  // For an element with VR UN Orthanc includes the padding.
  return isHashOf(id, bare, uids) || (bare !== patientId && isHashOf(id, patientId, uids));
}

function isHashOf(
  id: string,
  patientId: string,
  uids: Pick<ExpectedBytes, 'studyInstanceUid' | 'seriesInstanceUid' | 'sopInstanceUid'>,
): boolean {
  const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = uids;
  const digest = hash('sha1', `${patientId}|${studyInstanceUid}|${seriesInstanceUid}|${sopInstanceUid}`);
  for (let part = 0; part < 5; part += 1) {
    if (!id.startsWith(digest.slice(part * 8, part * 8 + 8), part * 9)) return false;
  }
  return true;
}

/** Without surrounding white space and NUL, as in Orthanc; undefined if it is not plain ASCII. */
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
