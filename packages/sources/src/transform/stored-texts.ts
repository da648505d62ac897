import { characterSetOf, decodeText, describeTag, findElement } from 'dicom-dimse/dataset';
import { visit, type TagTree } from '../deidentify/tag-tree.ts';
import type { Inspector } from '../guard/guard-options.ts';
import { DataSetWalker, NoDataSet, type WalkedElement } from '../inspect/data-set-walker.ts';
import { feedDataSet } from '../inspect/feed-data-set.ts';
import { hasCharacterSet } from '../inspect/character-sets.ts';

/** A text as it is stored. */
export interface StoredText {
  /** Undefined for one that is longer than is read. */
  readonly bytes: Buffer | undefined;
  /** Applicable values of Specific Character Set (0008,0005): those of its item, or of its parents. */
  readonly terms: readonly string[];
  readonly isName: boolean;
  /** False in a sequence that the source does not parse: in UN of a defined length. */
  readonly isListed: boolean;
}

/** Reads texts of the stored instance by path: those of `named`, and all that are not plain ASCII. */
export type ReadTexts = (named: ReadonlySet<string>) => Promise<ReadonlyMap<string, StoredText>>;

/**
 * Texts of a stored instance by path: all that are not plain ASCII, and those of `named`. Orthanc omits characters that
 * it cannot read, and reads neither further values of Specific Character Set nor those of items.
 */
export interface StoredTexts {
  readonly inspector: Inspector;
  /** Whether all elements of the instance were seen, after the end. */
  isComplete(): boolean;
  readonly texts: ReadonlyMap<string, StoredText>;
}

/** @param tree - the instance in Orthanc's full form: it names what has no VR in the file */
export function collectTexts(tree: TagTree, named: ReadonlySet<string>): StoredTexts {
  const texts = new Map<string, StoredText>();
  const names = new Map<string, string>();
  visit(tree, ({ path, element }) => void names.set(path, element.Name));
  const sets = new Map<string, readonly string[]>();
  const feed = feedDataSet(new DataSetWalker(look));
  let isReadable = true;

  function look({ path, tag, vr: written, value, isSequence }: WalkedElement): void {
    const prefix = path.slice(0, -9);
    if (tag === '00080005' && value) sets.set(prefix, termsOf(value.toString('latin1')));
    if (isSequence || (value && isPlain(value) && !named.has(path))) return;
    const name = names.get(path);
    const isWithoutVr = written === undefined || written === 'UN';
    const vr = isWithoutVr ? vrOf(tag, name) : written;
    if (!hasCharacterSet(vr)) return;
    texts.set(path, {
      bytes: value && Buffer.from(value),
      terms: termsAt(sets, prefix),
      isName: vr === 'PN',
      isListed: name !== undefined || !isWithoutVr,
    });
  }

  /** The guard continues to the end of the file, so that an error of the source is reported as one. */
  function tolerant<A extends unknown[]>(act: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (!isReadable) return;
      try {
        act(...args);
      } catch (error) {
        if (!(error instanceof NoDataSet)) throw error;
        isReadable = false;
      }
    };
  }

  return {
    texts,
    inspector: { ...feed, add: tolerant(feed.add), end: tolerant(feed.end) },
    isComplete: () => isReadable,
  };
}

/** The VR of an element that is stored without one, from PS3.6; of a private one as the source names it. */
function vrOf(tag: string, name: string | undefined): string | undefined {
  return describeTag(Number.parseInt(tag, 16))?.vr ?? findElement(name ?? '')?.vr;
}

function termsAt(sets: ReadonlyMap<string, readonly string[]>, prefix: string): readonly string[] {
  for (let at = prefix; ; at = at.slice(0, Math.max(0, at.lastIndexOf('.', at.length - 2) + 1))) {
    const terms = sets.get(at);
    if (terms !== undefined || at === '') return terms ?? [];
  }
}

/** Whether a value is the same in every character set. */
export function isPlain(value: Buffer): boolean {
  return value.every((byte) => byte < 0x80 && byte !== 0x1b);
}

export function termsOf(characterSet: string): readonly string[] {
  const terms = characterSet.split('\\').map((term) => term.trim());
  return terms.every((term) => term === '') ? [] : terms;
}

/**
 * @param assumed - character set of bytes without a declared one, if they are valid
 * @returns undefined if it cannot be read completely
 */
export function readStored({ bytes, terms, isName }: StoredText, assumed: string | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  const candidates =
    terms.length > 0 || isPlain(bytes) ? [terms] : [[assumed ?? 'ISO_IR 192'], ['ISO_IR 192'], ['ISO_IR 100']];
  for (const candidate of candidates) {
    const text = decodeText(bytes, characterSetOf(candidate), isName);
    if (!text.includes('\ufffd')) return text.replace(/[ \0]+$/, '');
  }
  return undefined;
}
