import type { ManifestInstance } from '@dicom-dispatch/core';
import { findElement } from 'dicom-dimse/dataset';
import { isInside, textOf, visit, type Changes, type TagTree } from '../deidentify/tag-tree.ts';
import { canHold, decodeText, isAscii, utf8 } from '../inspect/character-sets.ts';
import { cannotChange } from './cannot-change.ts';

export const characterSetPath = '0008,0005';
/** VRs that Specific Character Set is about (PS3.5 section 6.1.2.3). */
const textVrs = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT']);

export interface NewCharacterSet {
  readonly tooLong: ReadonlySet<string>;
  readonly hasNewCharacterSet: boolean;
}

/**
 * Where a text that comes into an instance cannot be written in its Specific Character Set, the instance gets ISO_IR 192
 * (UTF-8). All its other texts are then written anew: Orthanc writes only those that it is given, and drops characters
 * that do not fit.
 *
 * @returns whether it gets another character set, and texts that are too long for Orthanc to tell: they must be plain ASCII
 * @throws DispatchError `instance-unsupported` when a text cannot be written
 */
export function raiseCharacterSet(instance: ManifestInstance, tree: TagTree, changes: Changes): NewCharacterSet {
  const tooLong = new Set<string>();
  const { replace, remove } = changes;
  const stored = (textOf(tree[characterSetPath]) ?? '').trim();
  const set = remove.has(characterSetPath) ? '' : replace.get(characterSetPath);
  const isSet = typeof set === 'string' && set !== stored;
  const texts = [...replace.values()].filter((value) => typeof value === 'string');
  if (!isSet && texts.every((text) => canHold(stored, text))) return { tooLong, hasNewCharacterSet: false };
  const characterSet = isSet ? set : utf8;
  if (!remove.has(characterSetPath)) replace.set(characterSetPath, characterSet);
  visit(tree, ({ path, tag, element }) => {
    if (replace.has(path) || remove.has(path)) return false;
    // An item may have a character set of its own (PS3.3 section C.12.1.1.2).
    if (tag === '00080005') replace.set(path, characterSet);
    const readText = textOf(element);
    // Orthanc reads texts of no character set as Latin-1: set one, and they are read as that.
    const text = stored === '' && isSet && readText !== undefined ? readAnew(characterSet, readText) : readText;
    if (text?.includes('\ufffd')) {
      cannotChange(
        instance,
        `(${path}) cannot be read in its character set ${stored}, to be written in ${characterSet}`,
      );
    }
    if (text !== undefined && !isAscii(text) && !isInside(path, changes)) replace.set(path, text);
    if (element.Type === 'TooLong' && textVrs.has(findElement(element.Name)?.vr ?? 'UT')) tooLong.add(path);
    return true;
  });
  for (const [path, value] of replace) {
    if (typeof value === 'string' && !canHold(characterSet, value)) {
      const name = characterSet === '' ? 'of ASCII, when none is given' : characterSet;
      cannotChange(instance, `(${path}) cannot be written in the character set ${name}`);
    }
  }
  return { tooLong, hasNewCharacterSet: true };
}

function readAnew(characterSet: string, text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  return (bytes.toString('latin1') === text ? decodeText(characterSet, bytes) : undefined) ?? text;
}
