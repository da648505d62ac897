import type { FullTag } from '@dicom-dispatch/orthanc';

/** A data set as Orthanc's full form has it: `gggg,eeee` to name, type and value; items of sequences are trees again. */
export type TagTree = Readonly<Record<string, FullTag>>;

/** New values by path, and removed paths, in Orthanc's notation. */
export interface Changes {
  /** A text, or the items of a sequence by keyword. */
  readonly replace: Map<string, string | readonly Readonly<Record<string, string>>[]>;
  readonly remove: Set<string>;
}

/** Deeper items are not searched; the result is inspected. */
const deepest = 32;

export function itemsOf({ Value }: FullTag): readonly TagTree[] | undefined {
  return Array.isArray(Value) ? (Value as TagTree[]) : undefined;
}

export function textOf(tag: FullTag | undefined): string | undefined {
  return typeof tag?.Value === 'string' ? tag.Value : undefined;
}

/** `0010,0020` as `00100020`. */
export function tagNumber(key: string): string {
  return key.replace(',', '').toLowerCase();
}

export interface Visited {
  readonly path: string;
  /** `ggggeeee`. */
  readonly tag: string;
  readonly element: FullTag;
  /** Siblings of the element. */
  readonly siblings: TagTree;
  readonly depth: number;
}

/** Visits every element at every level. @param act - returns false to skip the content of a sequence */
export function visit(tree: TagTree, act: (visited: Visited) => boolean | void): void {
  visitLevel(tree, '', 0);

  function visitLevel(level: TagTree, prefix: string, depth: number): void {
    if (depth > deepest) return;
    for (const [key, element] of Object.entries(level)) {
      const path = `${prefix}${key}`;
      const goesIn = act({ path, tag: tagNumber(key), element, siblings: level, depth }) !== false;
      if (!goesIn) continue;
      for (const [index, item] of (itemsOf(element) ?? []).entries()) {
        visitLevel(item, `${path}[${index}].`, depth + 1);
      }
    }
  }
}

/** Keyword to text, of the top level. */
export function textsByKeyword(tree: TagTree): Record<string, string> {
  return Object.fromEntries(
    Object.values(tree).flatMap((tag) => {
      const text = textOf(tag);
      return text === undefined ? [] : [[tag.Name, text] as const];
    }),
  );
}

/** Whether a sequence around it is removed or emptied. */
export function isInside(path: string, { replace, remove }: Changes): boolean {
  for (let at = path.indexOf('['); at >= 0; at = path.indexOf('[', at + 1)) {
    const around = path.slice(0, at);
    if (remove.has(around) || replace.has(around)) return true;
  }
  return false;
}
