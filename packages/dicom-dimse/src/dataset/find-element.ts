import { dcmjsData } from './dcmjs.ts';

export interface ElementName {
  /** `ggggeeee`, in lower case. */
  readonly tag: string;
  /** As PS3.6 has it; undefined where it leaves a choice. */
  readonly vr: string | undefined;
}

/** Tag and VR of a keyword of PS3.6; undefined for one that dcmjs does not know. */
export function findElement(keyword: string): ElementName | undefined {
  const { nameMap } = dcmjsData().DicomMetaDictionary;
  const found = Object.hasOwn(nameMap, keyword) ? nameMap[keyword] : undefined;
  const tag = /^\(([0-9A-F]{4}),([0-9A-F]{4})\)$/i.exec(found?.tag ?? '');
  if (!found || !tag) return undefined;
  return { tag: `${tag[1]}${tag[2]}`.toLowerCase(), vr: /^[A-Z]{2}$/.test(found.vr) ? found.vr : undefined };
}
