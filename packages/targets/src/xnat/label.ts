import type { StudyTags } from '@dicom-dispatch/target-kit';
import { parseTemplate, shortHash, TemplateError, type TemplateSegments } from '../template/index.ts';

/** Labels of subjects and sessions have at most this number of ASCII letters, digits, underscores and hyphens. */
const maxCharacters = 64;
const hashDigits = 10;

/** The error in a label template; undefined if it is valid. */
export function labelProblem(text: string): string | undefined {
  let segments: TemplateSegments;
  try {
    segments = parseTemplate(text);
  } catch (error) {
    if (error instanceof TemplateError) return error.message;
    throw error;
  }
  if (segments.length > 1) return 'a label has no slash';
  const notOfStudy = segments.flat().find((part) => part.kind === 'tag' && part.level !== 'study');
  return notOfStudy?.kind === 'tag'
    ? `{${notOfStudy.keyword}} is not a tag of the study: instances of one study would have different labels`
    : undefined;
}

/**
 * The label of a study according to a template. Characters that XNAT does not allow are replaced with the nearest ones (`Müller`
 * becomes `Muller`, `A^B` becomes `A_B`). A label that was changed or cut ends in a hash of the original, to stay distinct.
 */
export function renderLabel(template: string, study: StudyTags): string {
  const original = parseTemplate(template)
    .flat()
    .map((part) => {
      if (part.kind === 'text') return part.text;
      const value = valueOf(part.keyword, study);
      if (value === '') return part.missing ?? 'unknown';
      return part.hashDigits === undefined ? value : shortHash(value, part.hashDigits);
    })
    .join('');
  const plain = original
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^A-Za-z0-9_-]+/g, '_')
    .replaceAll(/^[_-]+|[_-]+$/g, '');
  if (plain === original && plain.length <= maxCharacters) return plain;
  const kept = plain.slice(0, maxCharacters - hashDigits - 1) || 'unknown';
  return `${kept}_${shortHash(original, hashDigits)}`;
}

function valueOf(keyword: string, study: StudyTags): string {
  return keyword === 'StudyInstanceUID' ? study.studyInstanceUid : (study.study[keyword] ?? '').trim();
}

/** Whether a template has no tags: the same label for every study. */
export function isFixed(template: string): boolean {
  return !template.includes('{');
}
