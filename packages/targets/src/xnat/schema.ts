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
  url: httpUrl.describe('address of the XNAT, e.g. https://xnat.example'),
  auth: simpleAuth,
  ...httpOptions,
  project: labelTemplate.describe('id of the project, usually a plain text; tags as in {StudyDescription}'),
  subject: labelTemplate.default('{PatientID}').describe('label of the subject; default {PatientID}'),
  session: labelTemplate
    .default('{PatientID}_{StudyDate}_{StudyInstanceUID#16}')
    .describe('label of the session; default {PatientID}_{StudyDate}_{StudyInstanceUID#16}'),
  destination: z
    .enum(['archive', 'prearchive'])
    .default('archive')
    .describe(
      'archive: files the session when all of it has arrived; prearchive: leaves it for review; default archive',
    ),
  overwrite: z
    .enum(['none', 'append', 'delete'])
    .default('append')
    .describe(
      'what happens to a session of that label in the archive: none refuses, append adds what is new, delete replaces; default append',
    ),
  triggerPipelines: z
    .boolean()
    .default(true)
    .describe('let XNAT run its AutoRun pipeline after archiving; default true'),
  maxParallel: z.int().min(1).max(16).default(2).describe('uploads of one delivery at the same time; default 2'),
  verify: z
    .enum(['none', 'list'])
    .default('list')
    .describe('list: counts what XNAT has of each series before the session is filed; default list'),
});
export type XnatTarget = z.output<typeof xnatTarget>;
