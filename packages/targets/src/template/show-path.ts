import type { ManifestInstance, StudyTags } from '@dicom-dispatch/target-kit';
import { renderTemplate } from './render-template.ts';
import type { TemplatePart, TemplateSegments } from './parse-template.ts';

/** Keywords whose values may be shown: UIDs, numbers in the study, and the modality. */
const shown = new Set([
  'StudyInstanceUID',
  'SeriesInstanceUID',
  'SOPInstanceUID',
  'SOPClassUID',
  'TransferSyntaxUID',
  'InstanceNumber',
  'SeriesNumber',
  'Modality',
]);

/** The path according to a template, for messages: patient data stay placeholders, as in `{PatientID}/1.2.3.dcm`. */
export function showPath(segments: TemplateSegments, study: StudyTags, instance: ManifestInstance | undefined): string {
  return segments.map((parts) => parts.map((part) => showPart(part, study, instance)).join('')).join('/');
}

function showPart(part: TemplatePart, study: StudyTags, instance: ManifestInstance | undefined): string {
  if (part.kind === 'text') return part.text;
  if (shown.has(part.keyword) || part.hashDigits !== undefined) return renderTemplate([[part]], study, instance);
  return `{${part.keyword}}`;
}
