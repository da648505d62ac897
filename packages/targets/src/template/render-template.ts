import type { ManifestInstance, StudyTags } from '@dicom-dispatch/target-kit';
import { cleanSegment, cleanValue } from './clean.ts';
import { fitDistinct, shortHash } from './fit-bytes.ts';
import type { Placeholder, TemplatePart, TemplateSegments } from './parse-template.ts';

export interface RenderLimits {
  /** Maximum bytes of the whole path in UTF-8; longer values are cut further until it fits. */
  readonly maxPathBytes: number;
  /** Maximum bytes of one segment in UTF-8: 255 on most file systems, less the length that temporary names add. */
  readonly maxSegmentBytes: number;
}

/** For file systems; an S3 key has 1,024 bytes including its prefix. */
export const defaultLimits: RenderLimits = { maxPathBytes: 1000, maxSegmentBytes: 200 };

/** Components of digits with single dots between them, at most 64 characters (PS3.5 section 9.1). */
const uid = /^(?=.{1,64}$)\d+(?:\.\d+)*$/;

/**
 * The path of an instance according to a template: relative, segments joined by `/`, none of them empty, hidden, `..` or longer
 * than the limits. A value that had to be cut ends in a hash of the complete cleaned value, an invalid UID in a hash of the
 * original, so that UIDs that become equal by cleaning stay distinct. Instances with different UIDs never get the same path if the
 * UID is a separate segment, or is separated from other values by a character that is neither a digit nor a dot (see
 * `Places.divide` for the rest).
 */
export function renderTemplate(
  segments: TemplateSegments,
  study: StudyTags,
  instance: ManifestInstance | undefined,
  limits: RenderLimits = defaultLimits,
): string {
  let path = '';
  for (const maxValueBytes of [96, 64, 32, 20]) {
    path = segments
      .map((parts) => renderSegment(parts, { study, instance, maxValueBytes, maxSegmentBytes: limits.maxSegmentBytes }))
      .join('/');
    if (Buffer.byteLength(path) <= limits.maxPathBytes) return path;
  }
  // Only for a template with many long literals: the rest of the path is distinguished by its hash.
  return cutPath(path, limits);
}

interface SegmentContext {
  readonly study: StudyTags;
  readonly instance: ManifestInstance | undefined;
  readonly maxValueBytes: number;
  readonly maxSegmentBytes: number;
}

function renderSegment(parts: readonly TemplatePart[], context: SegmentContext): string {
  const text = parts.map((part) => (part.kind === 'text' ? part.text : renderTag(part, context))).join('');
  const clean = cleanSegment(text) || 'unknown';
  if (Buffer.byteLength(clean) <= context.maxSegmentBytes) return clean;
  const extension = /\.[A-Za-z0-9]{1,8}$/.exec(clean)?.[0] ?? '';
  const stem = clean.slice(0, clean.length - extension.length);
  return `${fitDistinct(stem, context.maxSegmentBytes - extension.length, 16)}${extension}`;
}

function renderTag(part: Placeholder, { study, instance, maxValueBytes }: SegmentContext): string {
  const value = valueOf(part, study, instance);
  if (part.keyword.endsWith('InstanceUID')) return renderUid(part, value ?? '', instance);
  if (value === undefined || value === '') return part.missing ?? 'unknown';
  if (part.hashDigits !== undefined) return shortHash(value, part.hashDigits);
  return fitDistinct(cleanValue(value), maxValueBytes, 8) || (part.missing ?? 'unknown');
}

/** A valid UID is never cut or changed, so that the path stays unique. An invalid one is distinguished by a hash. */
function renderUid(part: Placeholder, value: string, instance: ManifestInstance | undefined): string {
  // Without a UID the instance is identified by its id in the source.
  const distinct = value === '' ? `invalid UID: ${instance?.sourceId ?? ''}` : value;
  if (part.hashDigits !== undefined) return shortHash(distinct, part.hashDigits);
  if (uid.test(value)) return value;
  const readable = value === '' ? (part.missing ?? 'unknown') : fitDistinct(cleanValue(value), 40, 16);
  return `${readable}~${shortHash(distinct, 16)}`;
}

function valueOf(
  { keyword, level }: Placeholder,
  study: StudyTags,
  instance: ManifestInstance | undefined,
): string | undefined {
  if (keyword === 'StudyInstanceUID') return study.studyInstanceUid;
  if (level === 'study') return study.study[keyword];
  if (!instance) return undefined;
  switch (keyword) {
    case 'SOPInstanceUID':
      return instance.sopInstanceUid;
    case 'SOPClassUID':
      return instance.sopClassUid;
    case 'TransferSyntaxUID':
      return instance.transferSyntaxUid;
    case 'InstanceNumber':
      return instance.instanceNumber?.toString();
    case 'SeriesInstanceUID':
      return instance.seriesInstanceUid;
    default:
      return study.series.get(instance.seriesInstanceUid)?.[keyword];
  }
}

function cutPath(path: string, { maxPathBytes, maxSegmentBytes }: RenderLimits): string {
  const extension = /\.[A-Za-z0-9]{1,8}$/.exec(path)?.[0] ?? '';
  const last = `${shortHash(path, 32)}${extension}`;
  const kept: string[] = [];
  let bytes = last.length;
  for (const segment of path.split('/').slice(0, -1)) {
    bytes += Buffer.byteLength(segment) + 1;
    if (bytes > Math.max(maxPathBytes, maxSegmentBytes)) break;
    kept.push(segment);
  }
  return [...kept, last].join('/');
}
