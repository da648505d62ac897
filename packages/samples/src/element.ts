import { dictionary } from './dictionary.ts';
import type { Keyword } from './dictionary.ts';

/** The value of an element: text or numbers (one or several), raw bytes (little endian), or the items of a sequence. */
export type Value = string | number | readonly string[] | readonly number[] | Uint8Array | readonly Dataset[];

/** One data element (PS3.5 section 7.1). */
export interface Element {
  /** Group in the high half, element in the low half: 0x00100010. */
  readonly tag: number;
  readonly vr: string;
  readonly value: Value;
}

/** Elements in the order of their tags. */
export type Dataset = readonly Element[];

/** Elements by keyword, as the generators of samples write them. `undefined` omits one. */
export type Attributes = { readonly [key in Keyword]?: Value | undefined };

/** An element by its keyword, or by tag and VR for private and unusual ones. */
export function element(keyword: Keyword, value: Value): Element;
export function element(tag: number, vr: string, value: Value): Element;
export function element(name: Keyword | number, vrOrValue: Value, value?: Value): Element {
  if (typeof name === 'number') return { tag: name, vr: String(vrOrValue), value: value ?? '' };
  const [tag, vr] = dictionary[name];
  return { tag, vr, value: vrOrValue };
}

/** A data set from attributes and further elements, sorted by tag; later ones take precedence. */
export function dataset(attributes: Attributes, ...further: readonly (readonly Element[])[]): Dataset {
  const byTag = new Map<number, Element>();
  for (const [keyword, value] of Object.entries(attributes) as [Keyword, Value | undefined][]) {
    if (value !== undefined) byTag.set(dictionary[keyword][0], element(keyword, value));
  }
  for (const one of further.flat()) byTag.set(one.tag, one);
  return [...byTag.values()].sort((a, b) => a.tag - b.tag);
}
