import { hash as hashOnce } from 'node:crypto';
import type { InstanceName, InstanceVersion, LedgerEntry, LedgerNote, Recorded } from './ledger-types.ts';

const longestNote = 300;

/** An invalid UID may be longer than the 64 characters of a valid one; beyond this length it is replaced by its hash. */
const longestUid = 128;

/**
 * 8 characters of base64url, 48 bits, which identify a copy of an instance: hash of its series and its version. In older
 * entries it is a hash of the version alone.
 */
export function versionHash(version: string, seriesInstanceUid?: string): string {
  const text = seriesInstanceUid === undefined ? version : `${seriesInstanceUid}\n${version}`;
  return hashOnce('sha256', text, 'base64url').slice(0, 8);
}

type Copy = Omit<InstanceVersion, 'sopInstanceUid'>;

/** The hash of the version, together with `fileUuid` if it is given. */
export function copyHash({ version, fileUuid, seriesInstanceUid }: Copy): string {
  return versionHash(fileUuid === undefined ? version : `${version} ${fileUuid}`, seriesInstanceUid);
}

/** Whether a `versionHash` is of this version of an instance, and not of another copy. */
export function isVersion(hash: string, instance: Copy): boolean {
  return hash === versionHash(instance.version, instance.seriesInstanceUid) || hash === copyHash(instance);
}

/**
 * The field of an instance: its SOP Instance UID. If a study has this UID in several series, the length of the series'
 * UID and both UIDs, after an `@`.
 */
export function encodeField(studyInstanceUid: string, instance: InstanceName): string {
  const { sopInstanceUid, seriesInstanceUid = '', sharesSopInstanceUid } = instance;
  const uid = encodeUid(studyInstanceUid, sopInstanceUid);
  if (sharesSopInstanceUid !== true) return uid;
  const series = encodeUid(studyInstanceUid, seriesInstanceUid);
  return `@${series.length}:${series}${uid}`;
}

/** The name that `instanceKey` gives to the instance of a field. */
export function decodeField(studyInstanceUid: string, field: string): string {
  const parts = /^@(\d+):(.*)$/s.exec(field);
  if (!parts) return decodeUid(studyInstanceUid, field);
  const [, length = '', text = ''] = parts;
  const series = text.slice(0, Number(length));
  const uid = text.slice(Number(length));
  return `${decodeUid(studyInstanceUid, uid)}@${decodeUid(studyInstanceUid, series)}`;
}

/**
 * The length of the prefix shared with the Study Instance UID, `~`, and the rest. UIDs of one study mostly share a long
 * root, so this halves the size of a field.
 */
function encodeUid(studyInstanceUid: string, text: string): string {
  const uid = text.length > longestUid ? `#${hashOnce('sha256', text, 'base64url')}` : text;
  let common = 0;
  while (common < uid.length && uid[common] === studyInstanceUid[common]) common += 1;
  // A shorter prefix does not save space; the markers must never be ambiguous, even in an invalid UID.
  if (common < 4) return /[~@]/.test(uid) ? `0~${uid}` : uid;
  return `${common}~${uid.slice(common)}`;
}

function decodeUid(studyInstanceUid: string, text: string): string {
  const mark = text.indexOf('~');
  if (mark < 0) return text;
  return studyInstanceUid.slice(0, Number(text.slice(0, mark))) + text.slice(mark + 1);
}

/** `d|q versionHash attempt at(base 36) delivery`: at most 64 bytes, or Redis would leave its compact encoding. */
export function encodeValue(
  state: LedgerEntry['state'],
  outcome: InstanceVersion & { readonly attempt: number; readonly deliveryId: string; readonly at?: number },
): string {
  const { attempt, at = Date.now(), deliveryId } = outcome;
  const hash = copyHash(outcome);
  return valueOf(state, { versionHash: hash, attempt, at, delivery: deliveryId.slice(0, 10) });
}

/** The value of a delivered instance for a known hash of its version. */
export function encodeStored(entry: Recorded): string {
  return valueOf('delivered', entry);
}

function valueOf(state: LedgerEntry['state'], { versionHash: hash, attempt, at, delivery }: Recorded): string {
  return `${state[0]} ${hash} ${attempt} ${at.toString(36)} ${delivery}`;
}

export function encodeNote(note: LedgerNote | undefined): string {
  return note ? `${note.code} ${note.message.slice(0, longestNote)}` : '';
}

/** @returns undefined for an unknown format: such an instance counts as not delivered, and is sent again */
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
