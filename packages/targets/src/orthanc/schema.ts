import { targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { httpOptions, httpUrl, simpleAuth } from '../http/http-options.ts';

/** Another Orthanc, reached by its REST API. */
export const orthancTarget = z.strictObject({
  type: z.literal('orthanc'),
  ...targetOptions,
  url: httpUrl.describe('URL of the REST API, e.g. https://archive.example:8042'),
  auth: simpleAuth,
  ...httpOptions,
  maxParallel: z.int().min(1).max(32).default(4).describe('maximum parallel uploads of one delivery; default: 4'),
  verify: z
    .enum(['none', 'md5'])
    .default('none')
    .describe('md5 = compare the stored bytes of each instance with those sent; default: none'),
  onConflict: z
    .enum(['error', 'overwrite', 'keep'])
    .default('error')
    .describe(
      'if the target has different content under the same UIDs: error = it is kept, and the instance is quarantined (target-conflict); overwrite = it is deleted and sent again; keep = existing instances count as delivered without comparison, for targets that modify what they store; default: error',
    ),
  writeProbe: z
    .boolean()
    .default(false)
    .describe('the connection test stores a small instance and removes it; default: false'),
});
export type OrthancTarget = z.output<typeof orthancTarget>;
