import type { ManifestInstance } from '@dicom-dispatch/core';
import { isInside, textOf, visit, type Changes, type TagTree } from '../deidentify/tag-tree.ts';
import { canHold, utf8 } from '../inspect/character-sets.ts';
import { cannotChange } from './cannot-change.ts';
import { isPlain, readStored, type ReadTexts } from './stored-texts.ts';

export const characterSetPath = '0008,0005';

export interface NewCharacterSet {
  readonly tooLong: ReadonlySet<string>;
  readonly hasNewCharacterSet: boolean;
}

/**
 * If a new text cannot be encoded in the Specific Character Set of an instance, the instance gets ISO_IR 192
 * (UTF-8). All its other texts are then encoded again: Orthanc only encodes the given ones, and drops characters
 * that do not fit.
 *
 * @returns whether it gets another character set, and texts that are too long to be read: they must be plain ASCII
 * @throws DispatchError `instance-unsupported` if a text cannot be read or written
 */
export async function raiseCharacterSet(
  instance: ManifestInstance,
  tree: TagTree,
  changes: Changes,
  readTexts: ReadTexts,
): Promise<NewCharacterSet> {
  const tooLong = new Set<string>();
  const { replace, remove } = changes;
  const stored = (textOf(tree[characterSetPath]) ?? '').trim();
  const set = remove.has(characterSetPath) ? '' : replace.get(characterSetPath);
  const isSet = typeof set === 'string' && set !== stored;
  const written = [...replace.values()].filter((value) => typeof value === 'string');
  if (!isSet && written.every((text) => canHold(stored, text))) return { tooLong, hasNewCharacterSet: false };
  const characterSet = isSet ? set : utf8;
  if (!remove.has(characterSetPath)) replace.set(characterSetPath, characterSet);
  visit(tree, ({ path, tag }) => {
    // An item may have its own character set (PS3.3 section C.12.1.1.2).
    const isOfItem = tag === '00080005' && path !== characterSetPath;
    if (isOfItem && !remove.has(path) && !isInside(path, changes)) replace.set(path, characterSet);
  });
  for (const [path, text] of await readTexts(new Set())) {
    if (replace.has(path) || remove.has(path) || isInside(path, changes)) continue;
    if (text.bytes === undefined) {
      tooLong.add(path);
      continue;
    }
    // It was read to be copied.
    if (isPlain(text.bytes)) continue;
    if (!text.isListed) cannotChange(instance, `(${path}) is in a sequence that the source cannot read`);
    const read = readStored(text, characterSet);
    if (read === undefined) {
      const of = text.terms.length === 0 ? '' : ` ${text.terms.join('\\')}`;
      cannotChange(instance, `(${path}) cannot be read in its character set${of}, to be written in ${characterSet}`);
    }
    replace.set(path, read);
  }
  for (const [path, value] of replace) {
    if (typeof value === 'string' && !canHold(characterSet, value)) {
      const name = characterSet === '' ? 'of ASCII, when none is given' : characterSet;
      cannotChange(instance, `(${path}) cannot be written in the character set ${name}`);
    }
  }
  return { tooLong, hasNewCharacterSet: true };
}
