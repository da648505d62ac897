import { dcmjsData } from './dcmjs.ts';

export interface ElementName {
  /** `ggggeeee`, in lower case. */
  readonly tag: string;
  /** As in PS3.6; undefined if PS3.6 allows several. */
  readonly vr: string | undefined;
}

/** dcmjs and DCMTK put this before the keywords of retired attributes. */
const retired = 'RETIRED_';

/** Tag and VR of a keyword of PS3.6; undefined for one that dcmjs does not know. */
export function findElement(keyword: string): ElementName | undefined {
  const { nameMap } = dcmjsData().DicomMetaDictionary;
  const name = [keyword, `${retired}${keyword}`].find((one) => Object.hasOwn(nameMap, one));
  const found = name === undefined ? undefined : nameMap[name];
  const tag = /^\(([0-9A-F]{4}),([0-9A-F]{4})\)$/i.exec(found?.tag ?? '');
  if (!found || !tag) return undefined;
  return { tag: `${tag[1]}${tag[2]}`.toLowerCase(), vr: /^[A-Z]{2}$/.test(found.vr) ? found.vr : undefined };
}

/** Keyword in PS3.6 of a tag (`ggggeeee`, in lower case); undefined for one that dcmjs does not know. */
export function findKeyword(tag: string): string | undefined {
  const { dictionary } = dcmjsData().DicomMetaDictionary;
  const name = dictionary[`(${tag.slice(0, 4)},${tag.slice(4)})`.toUpperCase()]?.name;
  return name?.startsWith(retired) ? name.slice(retired.length) : name;
}

/** Repeating and retired groups, of which PS3.6 has patterns instead of tags. */
const repeating = /^(50|60|7f)[0-9a-f]{6}$|^(002031|002804|002808)|^1000|^1010/;

/** Whether PS3.6 has a tag (`ggggeeee`, in lower case), as far as dcmjs knows. */
export function isStandardTag(tag: string): boolean {
  const { dictionary } = dcmjsData().DicomMetaDictionary;
  const name = `(${tag.slice(0, 4)},${tag.slice(4)})`.toUpperCase();
  return dictionary[name] !== undefined || repeating.test(tag);
}

/** Keyword and VR of a tag (0xGGGGEEEE); undefined for one that PS3.6 does not have, as far as dcmjs knows. */
export function describeTag(tag: number): { readonly keyword: string; readonly vr: string | undefined } | undefined {
  const hex = tag.toString(16).toUpperCase().padStart(8, '0');
  const found = dcmjsData().DicomMetaDictionary.dictionary[`(${hex.slice(0, 4)},${hex.slice(4)})`];
  if (!found || !/^[A-Z]\w*$/i.test(found.name)) return undefined;
  return { keyword: found.name, vr: /^[A-Z]{2}$/.test(found.vr) ? found.vr : undefined };
}
