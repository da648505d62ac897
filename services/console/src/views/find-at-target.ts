import { findStudies } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import { resolveTarget } from '@dicom-dispatch/targets';
import { z } from 'zod';
import { personName } from '../source/source-lookup.ts';
import { label } from './delivery-schemas.ts';
import type { ViewContext } from './view-context.ts';

const date = z
  .string()
  .transform((text) => text.replaceAll('-', ''))
  .pipe(z.string().regex(/^\d{8}$/, 'a date such as 2026-03-01 or 20260301'));
const text = z.string().min(1).max(64);

/** Search keys for a target; at least one of accession number, patient, date and UID. */
export const targetSearch = z.object({
  target: z.string().max(64),
  accession: text.optional().describe('accession number; * and ? as by C-FIND'),
  patient: text.optional().describe('Patient ID; * and ? as by C-FIND'),
  from: date.optional().describe('StudyDate at or after'),
  until: date.optional().describe('StudyDate at or before'),
  study: z
    .string()
    .regex(/^[0-9.]{1,64}$/, 'a UID has digits and dots, 64 at most')
    .optional()
    .describe('Study Instance UID'),
});

export const foundAtTarget = z.object({
  studies: z.array(
    z.object({
      studyInstanceUid: z.string(),
      instanceCount: z.number().int().optional(),
      seriesCount: z.number().int(),
      modalities: z.array(z.string()),
      label: label.optional(),
    }),
  ),
  more: z.boolean().describe('the target has more results than are shown: refine the search'),
});

const maxShown = 50;
const withinMs = 10_000;

/**
 * Searches a target.
 *
 * @throws OperationError `not-found` for an unknown target; `invalid` for a target without search, a search without keys, and
 *   wildcards if patient data are not shown; DispatchError
 */
export async function findAtTarget(
  { config, lookup }: ViewContext,
  { target, accession, patient, from, until, study }: z.output<typeof targetSearch>,
): Promise<z.infer<typeof foundAtTarget>> {
  if ([accession, patient, from, until, study].every((one) => one === undefined)) {
    throw new OperationError('invalid', 'enter an accession number, a Patient ID, a date or a UID');
  }
  // A match of a part of a number would reveal the number.
  if (!lookup.showsPatientData && /[*?\\]/.test(`${accession ?? ''}${patient ?? ''}`)) {
    throw new OperationError(
      'invalid',
      'wildcards are not allowed while console.patientData is false: enter the complete value',
    );
  }
  const query = {
    ...(accession !== undefined && { accessionNumber: accession }),
    ...(patient !== undefined && { patientId: patient }),
    ...(study !== undefined && { studyInstanceUid: study }),
    ...((from !== undefined || until !== undefined) && { studyDate: `${from ?? ''}-${until ?? ''}` }),
  };
  const studies: z.infer<typeof foundAtTarget>['studies'] = [];
  for await (const found of findStudies({ config }, target, query, AbortSignal.timeout(withinMs))) {
    if (studies.length === maxShown) return { studies, more: true };
    const { tags } = found;
    studies.push({
      studyInstanceUid: found.studyInstanceUid,
      ...(found.instanceCount !== undefined && { instanceCount: found.instanceCount }),
      seriesCount: found.series.length,
      modalities: [...new Set(found.series.flatMap((one) => one.tags['Modality'] ?? []))],
      ...(lookup.showsPatientData && {
        label: {
          patientName: personName(tags['PatientName'] ?? ''),
          patientId: tags['PatientID'] ?? '',
          accessionNumber: tags['AccessionNumber'] ?? '',
          description: tags['StudyDescription'] ?? '',
          studyDate: tags['StudyDate'] ?? '',
        },
      }),
    });
  }
  return { studies, more: false };
}

/** Targets that support search. */
export async function askableTargets({ config }: Pick<ViewContext, 'config'>): Promise<string[]> {
  const flags = await Promise.all(
    Object.entries(config().targets).map(async ([name, configured]) => {
      const { handler } = await resolveTarget(name, configured);
      return handler.pull ? [name] : [];
    }),
  );
  return flags.flat();
}
