import { targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { httpOptions, httpUrl, simpleAuth } from '../http/http-options.ts';
import { labelProblem } from './label.ts';

const labelTemplate = z.string().superRefine((text, context) => {
  const problem = labelProblem(text);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

/** An XNAT, reached by its REST API (`/data/services/import`). */
export const xnatTarget = z.strictObject({
  type: z.literal('xnat'),
  ...targetOptions,
  url: httpUrl.describe('URL of XNAT, e.g. https://xnat.example'),
  auth: simpleAuth,
  ...httpOptions,
  project: labelTemplate.describe('project id; a template: plain text or tags such as {StudyDescription}'),
  subject: labelTemplate.default('{PatientID}').describe('label of the subject; default: {PatientID}'),
  session: labelTemplate
    .default('{PatientID}_{StudyDate}_{StudyInstanceUID#16}')
    .describe('label of the session; default: {PatientID}_{StudyDate}_{StudyInstanceUID#16}'),
  destination: z
    .enum(['archive', 'prearchive'])
    .default('archive')
    .describe(
      'archive: archive the session when all of its instances have arrived; prearchive: leave it for review; default: archive',
    ),
  overwrite: z
    .enum(['none', 'append', 'delete'])
    .default('append')
    .describe(
      'handling of an existing session with that label in the archive: none = refuse, append = add new instances, delete = replace; default: append',
    ),
  triggerPipelines: z
    .boolean()
    .default(true)
    .describe('run the AutoRun pipeline of XNAT after archiving; default: true'),
  maxParallel: z.int().min(1).max(16).default(2).describe('maximum parallel uploads of one delivery; default: 2'),
  verify: z
    .enum(['none', 'list'])
    .default('list')
    .describe('list = count the instances of each series in XNAT before the session is archived; default: list'),
});
export type XnatTarget = z.output<typeof xnatTarget>;
