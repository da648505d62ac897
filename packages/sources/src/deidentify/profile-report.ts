import { givesNewUids, type TransformConfig } from '@dicom-dispatch/core';
import { findPath } from '../transform/find-path.ts';
import { isUidOf, profileRow, profileTable, type ProfileRow } from './profile-table.ts';

/** A concept of CID 7050 (PS3.16), for (0012,0064). */
export interface MethodCode {
  readonly value: string;
  readonly meaning: string;
}

/** How a transform implements PS3.15 annex E. */
export interface ProfileReport {
  /** Whether the Basic Profile is met, with the options of `options`. */
  readonly isMet: boolean;
  readonly options: readonly MethodCode[];
  /** Why it is not met, as text. */
  readonly exceptions: readonly string[];
  /** Options of which only some attributes are kept. */
  readonly partly: readonly string[];
}

export const profileEdition = '2024e';
const basicProfile: MethodCode = { value: '113100', meaning: 'Basic Application Confidentiality Profile' };

/** Options that keep attributes, by their letter in the table. */
const keeping: Readonly<Record<string, MethodCode>> = {
  d: { value: '113106', meaning: 'Retain Longitudinal Temporal Information Full Dates Option' },
  p: { value: '113108', meaning: 'Retain Patient Characteristics Option' },
  v: { value: '113109', meaning: 'Retain Device Identity Option' },
  u: { value: '113110', meaning: 'Retain UIDs Option' },
  i: { value: '113112', meaning: 'Retain Institution Identity Option' },
};

/** Options of the profile that no transform implements: their content is unchanged, or removed completely. */
export const optionsNotDone = [
  'Clean Pixel Data',
  'Clean Recognizable Visual Features',
  'Clean Graphics',
  'Clean Structured Content',
  'Clean Descriptors',
  'Retain Longitudinal Temporal Information With Modified Dates',
  'Retain Safe Private',
] as const;

/** Whether an attribute is kept although the profile would change it. */
export function keptRows(transform: TransformConfig): (row: ProfileRow) => boolean {
  const kept = new Set(transform.keep.map(tagOf));
  return ({ tag }) => kept.has(tag);
}

const tagByKeyword = new Map(Array.from(profileTable.values(), ({ keyword, tag }) => [keyword, tag]));

/** `ggggeeee` of an attribute that a transform names by its keyword or its number. */
function tagOf(name: string): string {
  return tagByKeyword.get(name) ?? (findPath({}, name) ?? name).replace(',', '');
}

/** Which options of PS3.15 annex E a transform meets; undefined for one that does not de-identify. */
export function profileReport(transform: TransformConfig): ProfileReport | undefined {
  if (!transform.anonymise) return undefined;
  const isKept = keptRows(transform);
  const rows = [...profileTable.values()];
  const kept = rows.filter((row) => isKept(row) || (isUidOf(row) && !givesNewUids(transform)));
  const letters = new Set<string>();
  const exceptions: string[] = [];
  for (const row of kept) {
    const letter = isUidOf(row) ? 'u' : Array.from(row.keptBy).find((one) => keeping[one] !== undefined);
    if (letter === undefined) exceptions.push(`${row.keyword} is kept`);
    else letters.add(letter);
  }
  if (transform.anonymise.keepPrivateTags && !transform.removePrivateTags) {
    exceptions.push('private attributes are kept, safe or not');
  }
  for (const [to, from] of Object.entries(transform.copy)) {
    const row = profileRow(tagOf(from));
    if (row) exceptions.push(`${row.keyword} is copied to ${to}`);
  }
  const options = [...letters].sort().flatMap((letter) => keeping[letter] ?? []);
  const partly = [...letters].sort().flatMap((letter) => {
    const all = rows.filter((row) => (letter === 'u' ? isUidOf(row) : row.keptBy.includes(letter)));
    return all.every((row) => kept.includes(row)) ? [] : [keeping[letter]?.meaning ?? letter];
  });
  return { isMet: exceptions.length === 0, options, exceptions, partly };
}

/** The report in one line, for people. */
export function describeReport({ isMet, options, exceptions, partly }: ProfileReport): string {
  const profile = `PS3.15 ${profileEdition} Basic Application Level Confidentiality Profile`;
  const names = options.map(({ meaning }) => (partly.includes(meaning) ? `${meaning} (in part)` : meaning));
  return [
    isMet ? `${profile} met for attributes` : `${profile} not met: ${exceptions.join(', ')}`,
    ...(names.length > 0 ? [`with ${names.join(', ')}`] : []),
    `not done: ${optionsNotDone.join(', ')}`,
  ].join('; ');
}

/** Values of (0012,0063) and (0012,0064) for a transform (PS3.3 section C.7.1.1). */
export function methodOf({ isMet, options }: ProfileReport): { text: string; codes: readonly MethodCode[] } {
  const basic = `PS3.15 ${profileEdition} Basic Profile`;
  return {
    text: `dicom-dispatch\\${isMet ? basic : `${basic} with exceptions`}`,
    // Codes would claim conformance that is not met.
    codes: isMet ? [basicProfile, ...options] : [],
  };
}
