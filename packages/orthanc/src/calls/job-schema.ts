import { z } from 'zod';

/** Response of a call that starts a job. */
export const jobReferenceSchema = z.object({ ID: z.string().min(1) });

/**
 * A job of Orthanc. It is `Pending` (waits for a thread), `Running`, `Paused` (by an operator), `Retry` (waits before
 * a retry), and at the end `Success` or `Failure` (also if cancelled).
 */
export const jobSchema = z.looseObject({
  ID: z.string(),
  Type: z.string(),
  State: z.string(),
  /** 0 to 100. */
  Progress: z.number(),
  Priority: z.number().optional(),
  ErrorCode: z.number().optional(),
  ErrorDescription: z.string().optional(),
  EffectiveRuntime: z.number().optional(),
  CreationTime: z.string().optional(),
  CompletionTime: z.string().optional(),
  Content: z.record(z.string(), z.unknown()).default({}),
});

export type Job = z.output<typeof jobSchema>;
