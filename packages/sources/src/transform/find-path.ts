import type { TransformConfig } from '@dicom-dispatch/core';
import { findElement, findKeyword } from 'dicom-dimse/dataset';
import type { TagTree } from '../deidentify/tag-tree.ts';

/**
 * The top-level path of a tag that a transform names, `gggg,eeee`: from its number, from the instance, or
 * from the dictionary. Undefined for an unknown keyword.
 */
export function findPath(tree: TagTree, name: string): string | undefined {
  const number = /^([0-9a-f]{4}),?([0-9a-f]{4})$/i.exec(name);
  if (number) return `${number[1]},${number[2]}`.toLowerCase();
  const well = wellKnown[name];
  if (well !== undefined) return well;
  for (const [key, element] of Object.entries(tree)) if (element.Name === name) return key.toLowerCase();
  const found = findElement(name)?.tag;
  return found && `${found.slice(0, 4)},${found.slice(4)}`;
}

/** Paths that every transform uses: the dictionary needs memory. */
const wellKnown: Readonly<Record<string, string>> = {
  AccessionNumber: '0008,0050',
  SOPInstanceUID: '0008,0018',
  PatientName: '0010,0010',
  PatientID: '0010,0020',
  StudyInstanceUID: '0020,000d',
  SeriesInstanceUID: '0020,000e',
};

/** VRs of the paths of `wellKnown`. */
export const wellKnownVrs: Readonly<Record<string, string>> = {
  '0008,0018': 'UI',
  '0008,0050': 'SH',
  '0010,0010': 'PN',
  '0010,0020': 'LO',
  '0020,000d': 'UI',
  '0020,000e': 'UI',
};

/** A transform with keywords instead of numbers: tags of a study have keywords. */
export function withKeywords(transform: TransformConfig): TransformConfig {
  const { set, copy, remove, keep } = transform;
  return {
    ...transform,
    set: Object.fromEntries(Object.entries(set).map(([name, value]) => [keyword(name), value])),
    copy: Object.fromEntries(Object.entries(copy).map(([to, from]) => [keyword(to), keyword(from)])),
    remove: remove.map(keyword),
    keep: keep.map(keyword),
  };
}

function keyword(name: string): string {
  const tag = name.replace(',', '').toLowerCase();
  return (/^[0-9a-f]{8}$/.test(tag) ? findKeyword(tag) : undefined) ?? name;
}
