import { createHash } from 'node:crypto';
import type { LedgerEntry, LedgerNote } from './ledger-types.ts';

const longestNote = 300;

/** 8 characters of base64url: 48 bits, which tell the copies of one instance apart. */
export function versionHash(version: string): string {
  return createHash('sha256').update(version).digest('base64url').slice(0, 8);
}

/**
 * The field of an instance: the length of what its UID has in common with the study's, `~`, and the rest. UIDs of one
 * study mostly share a long root, and this halves what a field takes.
 */
export function encodeField(studyInstanceUid: string, sopInstanceUid: string): string {
  let common = 0;
  while (common < sopInstanceUid.length && sopInstanceUid[common] === studyInstanceUid[common]) common += 1;
  // A shorter prefix does not pay for its own length; "~" must never be ambiguous, even in what is no UID.
  if (common < 4) return sopInstanceUid.includes('~') ? `0~${sopInstanceUid}` : sopInstanceUid;
  return `${common}~${sopInstanceUid.slice(common)}`;
}

export function decodeField(studyInstanceUid: string, field: string): string {
  const mark = field.indexOf('~');
  if (mark < 0) return field;
  return studyInstanceUid.slice(0, Number(field.slice(0, mark))) + field.slice(mark + 1);
}

/** `d|q versionHash attempt at(base 36) delivery`: at most 64 bytes, or Redis would leave its compact encoding. */
export function encodeValue(
  state: LedgerEntry['state'],
  outcome: { readonly version: string; readonly attempt: number; readonly deliveryId: string; readonly at?: number },
): string {
  const at = (outcome.at ?? Date.now()).toString(36);
  return `${state[0]} ${versionHash(outcome.version)} ${outcome.attempt} ${at} ${outcome.deliveryId.slice(0, 10)}`;
}

export function encodeNote(note: LedgerNote | undefined): string {
  return note ? `${note.code} ${note.message.slice(0, longestNote)}` : '';
}

/** @returns undefined for what no version of ours wrote: such an instance counts as not delivered, and is sent again */
export function decodeEntry(value: string, note: string | undefined): LedgerEntry | undefined {
  const [state, version, attempt, at, delivery] = value.split(' ');
  if (version === undefined || attempt === undefined || at === undefined || delivery === undefined) return undefined;
  const recorded = { versionHash: version, attempt: Number(attempt), at: Number.parseInt(at, 36), delivery };
  if (state === 'd') {
    return { state: 'delivered', ...recorded, ...(note !== undefined && { warning: decodeNote(note) }) };
  }
  if (state === 'q') return { state: 'quarantined', ...recorded, error: decodeNote(note ?? 'internal ') };
  return undefined;
}

function decodeNote(text: string): LedgerNote {
  const space = text.indexOf(' ');
  return { code: text.slice(0, space), message: text.slice(space + 1) };
}
