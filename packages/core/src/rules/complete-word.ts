import { keywords } from './keywords.ts';
import { ofOrigin } from './unknown-keyword.ts';

/** Attributes that most rules refer to: offered first. */
const usual = [
  'StudyDescription',
  'ModalitiesInStudy',
  'StationName',
  'InstitutionName',
  'InstitutionalDepartmentName',
  'BodyPartExamined',
  'AccessionNumber',
  'PatientID',
  'PatientAge',
  'PatientSex',
  'StudyDate',
  'StudyTime',
  'Modality',
  'SeriesDescription',
  'ProtocolName',
  'Manufacturer',
  'ManufacturerModelName',
  'ReferringPhysicianName',
  'RequestedProcedureDescription',
];
const names = ['study', 'series', 'origin', 'source', 'now', 'has(', 'glob(', 'date(', 'time(', 'age('];
const ofText = ['contains(', 'startsWith(', 'endsWith(', 'matches(', 'size()'];
const ofList = ['exists(', 'all(', 'filter(', 'size()'];
const ofTime = ['getHours(', 'getMinutes(', 'getDayOfWeek(', 'getFullYear(', 'getMonth(', 'getDate('];

const maxOffered = 10;

export interface Completion {
  /** Number of characters before the cursor that a word replaces. */
  readonly length: number;
  readonly words: readonly string[];
}

/**
 * Words that may continue an expression: attributes, variables and functions.
 *
 * @param before - the expression up to the cursor
 */
export function completeWord(before: string): Completion {
  const none = { length: 0, words: [] };
  if (isInText(before)) return none;
  const [, path = '', word = ''] = /((?:[A-Za-z_]\w*\.)*)([A-Za-z_]\w*)?$/.exec(before) ?? [];
  const [variable = '', ...inner] = path.split('.').slice(0, -1);
  if (variable === '') return word === '' ? none : offer(word, names);
  if (variable === 'now') return offer(word, ofTime);
  if (variable === 'origin' && inner.length === 0) return offer(word, [...ofOrigin]);
  if (variable === 'series' || inner.at(-1) === 'ModalitiesInStudy') return offer(word, ofList);
  if (inner.length > 0) return offer(word, ofText);
  return offer(word, [...usual, ...keywords]);
}

/** Words that begin with the typed one, then those that contain it. */
function offer(word: string, among: readonly string[]): Completion {
  const typed = word.toLowerCase();
  const starting = among.filter((one) => one.toLowerCase().startsWith(typed));
  const containing = typed === '' ? [] : among.filter((one) => one.toLowerCase().includes(typed));
  const words = [...new Set([...starting, ...containing])].filter((one) => one !== word);
  return { length: word.length, words: words.slice(0, maxOffered) };
}

/** Whether the end is within a quoted text. */
function isInText(before: string): boolean {
  return /['"]/.test(before.replaceAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/g, ''));
}
