import { durationMs, sizeBytes, targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { uidConflictOption } from '../conflict/schema.ts';
import { httpAuth, httpOptions, httpUrl } from '../http/http-options.ts';

/** A DICOMweb service (PS3.18): STOW-RS to send, QIDO-RS to verify and find, WADO-RS to retrieve. */
export const dicomwebTarget = z.strictObject({
  type: z.literal('dicomweb'),
  ...targetOptions,
  url: httpUrl.describe('base URL of the service, e.g. https://pacs.example/dicom-web'),
  stowUrl: httpUrl.optional().describe('URL for STOW-RS; default: url'),
  qidoUrl: httpUrl.optional().describe('URL for QIDO-RS; default: url'),
  wadoUrl: httpUrl.optional().describe('URL for WADO-RS; default: url'),
  studyInPath: z
    .boolean()
    .default(false)
    .describe('store to /studies/{StudyInstanceUID} instead of /studies; default: false'),
  auth: httpAuth,
  ...httpOptions,
  batch: z
    .strictObject({
      instances: z.int().min(1).max(1000).default(25).describe('maximum instances in a request; default: 25'),
      bytes: sizeBytes
        .refine((bytes) => bytes > 0, 'a batch has a size, e.g. 64MB')
        .default(64_000_000)
        .describe('maximum bytes in a request; a larger instance is sent alone; default: 64MB'),
    })
    .prefault({})
    .describe('maximum content of one request; halved if the target responds with 413'),
  maxParallel: z.int().min(1).max(16).default(3).describe('maximum parallel requests of one delivery; default: 3'),
  onConflict: uidConflictOption,
  verify: z
    .enum(['none', 'qido'])
    .default('none')
    .describe('qido = list the study at the target after sending; default: none, the responses to the requests count'),
  verifyTimeout: durationMs
    .default(30_000)
    .describe('maximum wait of verify: qido for the target to list confirmed instances; default: 30s'),
});
export type DicomwebTarget = z.output<typeof dicomwebTarget>;
