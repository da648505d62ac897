import { durationMs, sizeBytes, targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { httpAuth, httpOptions, httpUrl } from '../http/http-options.ts';

/** A DICOMweb service (PS3.18): STOW-RS to send, QIDO-RS to verify and find, WADO-RS to retrieve. */
export const dicomwebTarget = z.strictObject({
  type: z.literal('dicomweb'),
  ...targetOptions,
  url: httpUrl.describe('address of the service, e.g. https://pacs.example/dicom-web'),
  stowUrl: httpUrl.optional().describe('address for storing when it is another one; default url'),
  qidoUrl: httpUrl.optional().describe('address for searching when it is another one; default url'),
  wadoUrl: httpUrl.optional().describe('address for retrieving when it is another one; default url'),
  studyInPath: z
    .boolean()
    .default(false)
    .describe('store to /studies/{StudyInstanceUID} instead of /studies; default false'),
  auth: httpAuth,
  ...httpOptions,
  batch: z
    .strictObject({
      instances: z.int().min(1).max(1000).default(25).describe('most instances in a request; default 25'),
      bytes: sizeBytes
        .refine((bytes) => bytes > 0, 'a batch has a size, e.g. 64MB')
        .default(64_000_000)
        .describe('most bytes in a request; a larger instance goes alone; default 64MB'),
    })
    .prefault({})
    .describe('what goes in one request; halved when the target answers 413'),
  maxParallel: z.int().min(1).max(16).default(3).describe('requests of one delivery at the same time; default 3'),
  verify: z
    .enum(['none', 'qido'])
    .default('none')
    .describe('qido lists the study at the target after sending; default none: the answers to the requests count'),
  verifyTimeout: durationMs
    .default(30_000)
    .describe('longest wait of verify: qido until the target lists what it has just confirmed; default 30s'),
});
export type DicomwebTarget = z.output<typeof dicomwebTarget>;
