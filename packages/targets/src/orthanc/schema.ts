import { targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { httpOptions, httpUrl, simpleAuth } from '../http/http-options.ts';

/** Another Orthanc, reached by its REST API. */
export const orthancTarget = z.strictObject({
  type: z.literal('orthanc'),
  ...targetOptions,
  url: httpUrl.describe('address of the REST API, e.g. https://archive.example:8042'),
  auth: simpleAuth,
  ...httpOptions,
  maxParallel: z.int().min(1).max(32).default(4).describe('uploads of one delivery at the same time; default 4'),
  verify: z
    .enum(['none', 'md5'])
    .default('none')
    .describe('md5 compares what the target has stored with what was sent, instance by instance; default none'),
  onConflict: z
    .enum(['error', 'overwrite', 'keep'])
    .default('error')
    .describe(
      'when the target has other content under the same UIDs: error = it is left as it is, and the instance is quarantined (target-conflict); overwrite = it is deleted and sent anew; keep = what is there counts as delivered, not compared, for targets that change what they store; default error',
    ),
  writeProbe: z
    .boolean()
    .default(false)
    .describe('let the connection test store a small instance and remove it again; default false'),
});
export type OrthancTarget = z.output<typeof orthancTarget>;
