import { levelOf, templateKeywords, type TemplateLevel } from './keywords.ts';

/** A placeholder `{Keyword}`, `{Keyword|text if missing}` or `{Keyword#16}` (this number of digits of its SHA-256). */
export interface Placeholder {
  readonly kind: 'tag';
  readonly keyword: string;
  readonly level: TemplateLevel;
  readonly missing: string | undefined;
  readonly hashDigits: number | undefined;
}

export type TemplatePart = Placeholder | { readonly kind: 'text'; readonly text: string };
/** Segments of a path, each of parts. */
export type TemplateSegments = readonly (readonly TemplatePart[])[];

export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  readonly code = 'template-invalid';
}

const placeholder = /\{([^{}]*)\}/g;
const inside = /^([A-Za-z]+)(?:#(\d{1,3}))?(?:\|([^|#]*))?$/;
const literal = /^[\p{L}\p{M}\p{N} ._~^+=@,()[\]-]*$/u;

/**
 * Parses a path template, such as `{PatientID}/{StudyDate}_{AccessionNumber}/{SOPInstanceUID}.dcm`.
 *
 * @throws {TemplateError} with a message that names the invalid part
 */
export function parseTemplate(text: string): TemplateSegments {
  if (text === '') throw new TemplateError('the template is empty');
  if (text.length > 1000) throw new TemplateError('the template has more than 1000 characters');
  const segments = text.split('/').map((segment) => parseSegment(segment, text));
  if (segments.length > 16) throw new TemplateError('the template has more than 16 segments');
  return segments;
}

function parseSegment(segment: string, whole: string): TemplatePart[] {
  if (segment === '') {
    throw new TemplateError(`the template "${whole}" begins or ends with a slash, or has two in a row`);
  }
  if (/^[.\-~ ]/.test(segment) || /[. ]$/.test(segment)) {
    throw new TemplateError(
      `the segment "${segment}" begins with a dot, hyphen, tilde or space, or ends with a dot or space`,
    );
  }
  const parts: TemplatePart[] = [];
  let position = 0;
  for (const match of segment.matchAll(placeholder)) {
    pushText(parts, segment.slice(position, match.index), segment);
    parts.push(parsePlaceholder(match[1] ?? '', match[0]));
    position = match.index + match[0].length;
  }
  pushText(parts, segment.slice(position), segment);
  return parts;
}

function pushText(parts: TemplatePart[], text: string, segment: string): void {
  if (text === '') return;
  if (!literal.test(text)) {
    throw new TemplateError(
      `"${segment}" has a character that some file systems reject, or an unmatched brace: use letters, digits, spaces and . _ - ~ ^ + = @ , ( ) [ ]`,
    );
  }
  parts.push({ kind: 'text', text });
}

function parsePlaceholder(content: string, whole: string): Placeholder {
  const match = inside.exec(content);
  const keyword = match?.[1];
  if (!match || keyword === undefined) {
    throw new TemplateError(
      `${whole} is not a placeholder: write {Keyword}, {Keyword|text if missing} or {Keyword#16}`,
    );
  }
  const level = levelOf(keyword);
  if (!level)
    throw new TemplateError(
      `${whole} is not a tag that templates support: ${Object.values(templateKeywords).flat().join(', ')}`,
    );
  const hashDigits = match[2] === undefined ? undefined : Number(match[2]);
  if (hashDigits !== undefined && (hashDigits < 4 || hashDigits > 64)) {
    throw new TemplateError(`${whole} requests ${hashDigits} digits of a hash: 4 to 64 are possible`);
  }
  const missing = match[3];
  if (missing !== undefined && !literal.test(missing)) {
    throw new TemplateError(`the text for a missing value in ${whole} has a character that some file systems reject`);
  }
  return { kind: 'tag', keyword, level, missing, hashDigits };
}

/** Whether the template distinguishes by this UID: completely, or by at least 16 digits (64 bits) of its hash. */
export function distinguishes(segments: TemplateSegments, keyword: string): boolean {
  return segments
    .flat()
    .some((part) => part.kind === 'tag' && part.keyword === keyword && (part.hashDigits ?? 64) >= 16);
}

export function usesLevel(segments: TemplateSegments, level: TemplateLevel): boolean {
  return segments.flat().some((part) => part.kind === 'tag' && part.level === level);
}
