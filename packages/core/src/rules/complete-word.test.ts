import { expect, it } from 'vitest';
import { completeWord } from './complete-word.ts';

it.each<[string, number, readonly string[]]>([
  ['study.StudyDescr', 10, ['StudyDescription']],
  ["'CT' in study.Modal", 5, ['ModalitiesInStudy', 'Modality']],
  ['series.exists(s, s.protocolN', 9, ['ProtocolName']],
  ['origin.re', 2, ['RemoteAET', 'RemoteIP']],
  ['stu', 3, ['study']],
  ['!gl', 2, ['glob(']],
  ['study.StudyDescription.sta', 3, ['startsWith(']],
  ['now.getH', 4, ['getHours(']],
  ['series.ex', 2, ['exists(']],
  ['', 0, []],
  ['study.StudyDescription == "study.Stu', 0, []],
  [String.raw`study.StudyDescription == 'it\'s study.Stu`, 0, []],
  ["source == 'a' && ", 0, []],
])('%j is continued', (before, length, words) => {
  const found = completeWord(before);
  expect({ length: found.length, words: found.words.slice(0, words.length) }).toEqual({ length, words });
  if (words.length === 0) expect(found.words).toEqual([]);
});

it('offers the usual attributes first, and not more than can be read', () => {
  expect(completeWord('study.').words[0]).toBe('StudyDescription');
  expect(completeWord('study.').words).toHaveLength(10);
});
