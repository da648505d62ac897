import { z } from 'zod';
import { distinguishes, parseTemplate, TemplateError, usesLevel } from './parse-template.ts';

/** The layout that contains no patient data and needs only UIDs. */
export const uidTemplate = '{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm';

/** A template of the path of an instance; it must distinguish instances. */
export const instanceTemplate = template((text) => {
  const segments = parseTemplate(text);
  if (distinguishes(segments, 'SOPInstanceUID')) return;
  throw new TemplateError(
    'the template has no {SOPInstanceUID} (or {SOPInstanceUID#16}): instances would overwrite each other',
  );
});

/** A template of the path of a file for the complete study: a marker, a manifest. */
export const studyTemplate = template((text) => {
  const segments = parseTemplate(text);
  if (usesLevel(segments, 'instance') || usesLevel(segments, 'series')) {
    throw new TemplateError('the template is for a study: tags of a series or an instance have no single value here');
  }
  if (distinguishes(segments, 'StudyInstanceUID')) return;
  throw new TemplateError(
    'the template has no {StudyInstanceUID} (or {StudyInstanceUID#16}): studies would overwrite each other',
  );
});

function template(check: (text: string) => void) {
  return z.string().superRefine((text, context) => {
    try {
      check(text);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
    }
  });
}
