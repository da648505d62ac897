import { DispatchError, isCompressed, type ManifestInstance } from '@dicom-dispatch/core';
import { describeTag } from 'dicom-dimse/dataset';
import { isPrivate, isUidOf, profileRow, type ProfileRow } from '../deidentify/profile-table.ts';
import type { Inspector } from '../guard/guard-options.ts';
import { decodeText, hasCharacterSet, isReadable } from './character-sets.ts';
import { holdsText } from './compare-value.ts';
import { DataSetWalker, NoDataSet, type WalkedElement } from './data-set-walker.ts';
import { feedDataSet } from './feed-data-set.ts';
import { findInFileHead } from './file-head.ts';

/** Required properties of a changed instance. Paths in Orthanc's notation, tags by their numbers. */
export interface ExpectedChanges {
  /** Path to its expected text. */
  readonly texts: ReadonlyMap<string, string>;
  /** Paths whose values, if texts, must be ASCII. */
  readonly ascii: ReadonlySet<string>;
  /** Whether it gets another character set: then all its texts must be in it. */
  readonly hasNewCharacterSet: boolean;
  /** Paths without an element. */
  readonly removed: ReadonlySet<string>;
  /** Whether private attributes are removed, at every level. */
  readonly isWithoutPrivate: boolean;
  /** If it is de-identified: kept attributes, and whether UIDs are new ones. */
  readonly profile: { readonly isKept: (row: ProfileRow) => boolean; readonly hasNewUids: boolean } | undefined;
  /** Whether it has pixel data; undefined if unknown. */
  readonly hasPixels: boolean | undefined;
  /** The transfer syntax in which the source has it. */
  readonly storedSyntaxUid: string | undefined;
}

/** Required properties of an instance of which only the transfer syntax changes. */
export function wholeDataSet({ transferSyntaxUid }: ManifestInstance): ExpectedChanges {
  return {
    texts: new Map(),
    ascii: new Set(),
    hasNewCharacterSet: false,
    removed: new Set(),
    isWithoutPrivate: false,
    profile: undefined,
    hasPixels: isCompressed(transferSyntaxUid) || undefined,
    storedSyntaxUid: transferSyntaxUid,
  };
}

/** Standard UIDs identify nobody. */
const standardUid = /^1\.2\.840\.10008\./;

/**
 * Inspects a changed instance while it passes: whether it is a complete data set, whether all requested changes were made,
 * and for a de-identified one whether anything is left that the profile removes. So nothing depends on the correctness of an
 * engine.
 */
export function inspectTransform(
  expected: ExpectedChanges,
  /** The error for an incomplete data set. */
  broken: (what: string) => Error,
): Inspector {
  const missing = new Map(expected.texts);
  const emptied: string[] = [];
  let characterSet = '';
  let hasPixels = false;
  /** Those of the instance itself, not of an icon in it. */
  let hasOwnPixels = false;
  let syntax: string | undefined;
  const feed = feedDataSet(new DataSetWalker(look), expected.profile && lookAtHead);

  function look(element: WalkedElement): void {
    const { path, tag, value } = element;
    if (tag === '00080005' && path === '0008,0005') characterSet = value?.toString('latin1').trim() ?? '';
    if (tag.startsWith('7fe0')) hasPixels = true;
    if (path === '7fe0,0010') hasOwnPixels = true;
    const inEmptied = emptied.find((one) => path.startsWith(one));
    if (inEmptied !== undefined) throw left(inEmptied.slice(0, -1));
    const wanted = expected.texts.get(path);
    if (wanted !== undefined) return compare(element, wanted);
    if (expected.ascii.has(path) && mayBeText(element) && !isPlain(value)) throw otherCharacters(path);
    if (expected.hasNewCharacterSet && !isInCharacterSet(element, characterSet)) throw otherCharacters(path);
    if (expected.removed.has(path) && !isEmpty(element)) throw left(path);
    if (element.isOpaque === true && mustSeeInto(element)) throw left(path);
    if (isPrivate(tag)) {
      if (expected.isWithoutPrivate) throw left(path);
      return;
    }
    if (!expected.profile) return;
    const row = profileRow(tag);
    if (row && !expected.profile.isKept(row)) lookAtIdentifying(element, row);
    // A name, in any attribute.
    if (!row && element.vr === 'PN' && !isEmpty(element)) throw left(path);
  }

  /** The content of a kept private attribute is kept as well. */
  function mustSeeInto({ path }: WalkedElement): boolean {
    if (expected.isWithoutPrivate) return true;
    return expected.profile !== undefined && !path.split('.').some((step) => isPrivate(step.replace(',', '')));
  }

  function lookAtHead(bytes: Buffer): void {
    const found = findInFileHead(bytes);
    if (found !== undefined) throw left(found);
  }

  function lookAtIdentifying(element: WalkedElement, row: ProfileRow): void {
    if (isUidOf(row)) {
      if (!expected.profile?.hasNewUids || isEmpty(element)) return;
      const uids = element.value?.toString('latin1').split('\\') ?? [''];
      if (!uids.every((uid) => standardUid.test(uid))) throw left(element.path);
      return;
    }
    // Their content is inspected.
    if (row.action === 'XZU') return;
    if (!isEmpty(element)) throw left(element.path);
  }

  /** A sequence of undefined length is empty when no element follows inside of it. */
  function isEmpty({ isSequence, length, path }: WalkedElement): boolean {
    if (isSequence && length === 0xffffffff) {
      emptied.push(`${path}[`);
      return true;
    }
    return length === 0;
  }

  function compare({ path, vr, value }: WalkedElement, wanted: string): void {
    missing.delete(path);
    if (value !== undefined && holdsText(value, vr, characterSet, wanted) === false) throw notDone(path);
  }

  return {
    begin(head) {
      syntax = head.meta.transferSyntaxUid;
      feed.begin(head);
    },
    add(chunk) {
      walk(() => feed.add(chunk));
    },
    end() {
      walk(() => feed.end());
      for (const [path, text] of missing) if (text !== '') throw notDone(path);
      if (expected.hasPixels === true && !hasPixels) throw broken('its pixel data is missing');
      if (!hasOwnPixels && syntax !== expected.storedSyntaxUid && isCompressed(syntax)) throw withoutPixels(syntax);
    },
  };

  function walk(act: () => void): void {
    try {
      act();
    } catch (error) {
      throw error instanceof NoDataSet ? broken(error.message) : error;
    }
  }
}

/** VRs that are no text (PS3.5 section 6.2): their bytes are no characters. */
const noText = new Set([
  'AT',
  'FD',
  'FL',
  'OB',
  'OD',
  'OF',
  'OL',
  'OV',
  'OW',
  'SL',
  'SQ',
  'SS',
  'SV',
  'UL',
  'US',
  'UV',
]);

function mayBeText({ vr, isSequence }: WalkedElement): boolean {
  return !isSequence && (vr === undefined || !noText.has(vr));
}

/**
 * Whether a value is a text of the character set, or not a text. Of an element that PS3.6 does not have, without a VR, and in an
 * unsupported character set, it counts as one.
 */
function isInCharacterSet({ tag, vr, value, isSequence }: WalkedElement, characterSet: string): boolean {
  if (isSequence || value === undefined || value.every((byte) => byte < 0x80)) return true;
  const isWithoutVr = vr === undefined || vr === 'UN';
  if (!hasCharacterSet(isWithoutVr ? describeTag(Number.parseInt(tag, 16))?.vr : vr)) return true;
  return characterSet !== '' && (!isReadable(characterSet) || decodeText(characterSet, value) !== undefined);
}

/** Whether a value is the same in every character set: no byte above 7FH, no escape. */
function isPlain(value: Buffer | undefined): boolean {
  return value !== undefined && value.every((byte) => byte < 0x80 && byte !== 0x1b);
}

function otherCharacters(path: string): DispatchError {
  return new DispatchError(
    'transform-incomplete',
    `the source cannot encode the text (${path}) in the new character set of the instance`,
    { remedy: 'Exclude such instances from the transform, or use texts that their character set can encode.' },
  );
}

/** @param path - of the finding; the transform removes attributes of the top level only */
function left(path: string): DispatchError {
  const top = /^(?!0002)[0-9a-f]{4},[0-9a-f]{4}/.exec(path)?.[0];
  const exclude = 'xclude such instances from the transform.';
  return new DispatchError('transform-incomplete', `the source did not remove (${path}) from an instance`, {
    remedy: top === undefined ? `E${exclude}` : `Add ${top} to the remove list of the transform, or e${exclude}`,
  });
}

function notDone(path: string): DispatchError {
  return new DispatchError('transform-incomplete', `the source did not write (${path}) as the transform defines`);
}

/** An engine labels it as compressed nevertheless: receivers reject it. */
function withoutPixels(syntax: string | undefined): DispatchError {
  return new DispatchError(
    'instance-unsupported',
    `the instance has no pixel data: it cannot be transcoded to ${syntax}`,
    {
      stage: 'transfer',
      remedy: 'Exclude such instances from the transform, or at the target.',
    },
  );
}
