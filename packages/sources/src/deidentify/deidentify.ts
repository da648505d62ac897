import { findElement, isStandardTag } from 'dicom-dimse/dataset';
import type { Pseudonyms } from '../transform/pseudonyms.ts';
import { isPrivate, isUidOf, profileRow, type ProfileRow } from './profile-table.ts';
import { itemsOf, textOf, visit, type Changes, type TagTree, type Visited } from './tag-tree.ts';

/** Neutral values, by VR, for attributes that must have one (action D). */
const dummies: Readonly<Record<string, string>> = {
  AE: 'ANONYMIZED',
  AS: '000Y',
  CS: 'ANONYMIZED',
  DA: '19000101',
  DS: '0',
  DT: '19000101000000',
  IS: '0',
  LO: 'ANONYMIZED',
  LT: 'ANONYMIZED',
  PN: 'ANONYMIZED',
  SH: 'ANONYMIZED',
  ST: 'ANONYMIZED',
  TM: '000000',
  UC: 'ANONYMIZED',
  UR: 'urn:anonymized',
  UT: 'ANONYMIZED',
};

export interface DeidentifyOptions {
  readonly isKept: (row: ProfileRow) => boolean;
  readonly keepPrivate: boolean;
  /** For values linked by pseudonyms; undefined if there are none. */
  readonly pseudonyms: Pseudonyms | undefined;
}

/**
 * Applies the Basic Application Level Confidentiality Profile (PS3.15 section E.1) to each attribute of an
 * instance, at every level. If the profile allows a choice, an attribute that some IOD requires keeps a neutral
 * value, so that the instance stays valid. UIDs are handled by the code that replaces them.
 */
export function deidentify(tree: TagTree, options: DeidentifyOptions, changes: Changes): void {
  visit(tree, (visited) => {
    const { path, tag, element, depth } = visited;
    if (isPrivate(tag)) {
      // A kept sequence may contain attributes of the profile.
      if (options.keepPrivate) return true;
      // At the top the source's engine removes them.
      if (depth > 0) changes.remove.add(path);
      return false;
    }
    const row = profileRow(tag);
    if (!row && element.Name.startsWith('Unknown') && !isStandardTag(tag)) {
      // Neither in the Standard nor private: its content is unknown.
      changes.remove.add(path);
      return false;
    }
    if (!row && element.Value === null && findElement(element.Name)?.vr === 'SQ') {
      // A sequence received as UN: its content cannot be inspected, so it is removed.
      changes.remove.add(path);
      return false;
    }
    if (!row || options.isKept(row) || isUidOf(row) || row.action === 'XZU') return true;
    change(visited, row, options, changes);
    return false;
  });
}

function change(
  { path, tag, element, siblings }: Visited,
  row: ProfileRow,
  { pseudonyms }: DeidentifyOptions,
  { replace, remove }: Changes,
): void {
  const isSequence = row.vr === 'SQ' || itemsOf(element) !== undefined;
  const { action } = row;
  if (isSequence && action.includes('Z')) replace.set(path, []);
  else if (isSequence || action === 'X') remove.add(path);
  else if (tag === '00100020' || tag === '00100010' || tag === '00080050') {
    replace.set(path, pseudonymOf(tag, textOf(element) ?? '', textOf(siblings['0010,0020']), pseudonyms));
  } else if (action.includes('D')) {
    const dummy = dummies[row.vr];
    if (dummy === undefined) remove.add(path);
    else replace.set(path, dummy);
  } else replace.set(path, '');
}

/** Patient ID, name and accession number, linked by pseudonyms at every level. */
function pseudonymOf(
  tag: string,
  value: string,
  patientId: string | undefined,
  pseudonyms: Pseudonyms | undefined,
): string {
  const text = value.trim();
  if (!pseudonyms || text === '') return '';
  if (tag === '00080050') return pseudonyms.accessionNumber(text);
  if (tag === '00100020') return pseudonyms.patientId(text);
  return patientId?.trim() ? pseudonyms.patientId(patientId.trim()) : '';
}
