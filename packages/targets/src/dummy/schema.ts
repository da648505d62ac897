import { durationMs, isErrorCode, targetOptions } from '@dicom-dispatch/core';
import type { ErrorCode } from '@dicom-dispatch/core';
import { z } from 'zod';

const share = z.number().min(0, 'a share is 0 to 1').max(1, 'a share is 0 to 1');

/** A target that stores nothing: for tests of rules, retries and alerts without a server. */
export const dummyTarget = z.strictObject({
  type: z.literal('dummy'),
  ...targetOptions,
  delay: durationMs.default(0).describe('delay before each instance; default: 0'),
  connectDelay: durationMs.default(0).describe('delay before the first instance; default: 0'),
  read: z.boolean().default(true).describe('read every instance from the source and discard it; default: true'),
  failureRate: share.default(0).describe('proportion of attempts that fail, 0 to 1; default: 0'),
  failStage: z
    .enum(['connect', 'transfer', 'verify', 'finalize'])
    .default('transfer')
    .describe('stage in which an attempt fails; default: transfer, after half of the instances'),
  failCode: z
    .custom<ErrorCode>((value) => isErrorCode(value), { error: 'not an error code: see docs/failure-modes.md' })
    .optional()
    .describe('error code of a failed attempt; default: the usual code of the stage'),
  quarantineRate: share
    .default(0)
    .describe('proportion of instances that are rejected permanently, 0 to 1; default: 0'),
  seed: z
    .string()
    .max(100)
    .default('dummy')
    .describe('the same seed fails the same attempts and instances; default: "dummy"'),
});
export type DummyTarget = z.output<typeof dummyTarget>;
