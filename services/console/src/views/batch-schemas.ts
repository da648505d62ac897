import { batchStates } from '@dicom-dispatch/state/batches';
import { z } from 'zod';
import { label, time } from './delivery-schemas.ts';

/** Schemas of batches. */

const dicomDate = z
  .string()
  .transform((text) => text.replaceAll('-', ''))
  .pipe(z.string().regex(/^\d{8}$/, 'a date such as 2026-03-01 or 20260301'));
const name = z.string().max(64);

export const batchFilter = z.object({
  source: name,
  from: dicomDate.optional().describe('StudyDate at or after'),
  until: dicomDate.optional().describe('StudyDate at or before'),
  modality: z
    .string()
    .regex(/^[A-Z0-9]{1,16}$/, 'a modality such as CT')
    .optional(),
  description: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('part of the StudyDescription; * and ? as by C-FIND; refused where patient data is not shown'),
});

/** Strict: a misspelt filter would mean all studies. */
export const batchRequest = batchFilter
  .extend({
    targets: z.array(name).min(1).max(50).optional().describe('default: as the rules define'),
    rule: name.optional().describe('by this rule only; studies that it does not match are skipped'),
    studiesPerMinute: z.number().int().min(1).max(100_000).nullable().optional().describe('null or absent: no limit'),
  })
  .strict();

export const batchPreview = z.object({
  count: z.number().int(),
  sample: z
    .array(z.object({ orthancStudyId: z.string(), label: label.optional() }))
    .describe('some of them with their labels; empty where patient data is not shown'),
});

export const batch = z.object({
  id: z.string(),
  source: z.string(),
  targets: z.array(z.string()).optional(),
  rule: z.string().optional(),
  by: z.string(),
  state: z.enum(batchStates),
  total: z.number().int(),
  routed: z.number().int(),
  skipped: z.number().int().describe('matched by no rule, or no longer in the source'),
  failed: z.number().int(),
  studiesPerMinute: z.number().int().optional(),
  createdAt: time,
  endedAt: time.optional(),
  problem: z.string().optional().describe('why a study could not be routed, the latest'),
});
export type BatchView = z.infer<typeof batch>;
