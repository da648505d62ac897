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
    // What is no UID may have been read otherwise by the source.
    if (isUid(wanted) && isUid(came)) return { expected: `${what} ${wanted}`, came: `${what} ${came}` };
    isDoubtful = true;
  }
  return isDoubtful ? 'doubtful' : 'same';
}

/** What is compared, what it must be and what it is; undefined where either is not known. */
type Comparison = readonly [what: string, wanted: string | undefined, came: string | undefined];

/** Foreign text is shown only when it is a UID: anything else might be a name. */
function isUid(text: string): boolean {
  return /^[0-9.]{1,64}$/.test(text);
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
  // Of an element with VR UN Orthanc takes the padding too.
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
