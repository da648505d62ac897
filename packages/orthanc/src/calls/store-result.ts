import { z } from 'zod';

export interface StoreRequest {
  /** Orthanc's identifiers, of any level. */
  Resources: readonly string[];
  /** Continue after an instance that failed. */
  Permissive?: boolean;
  /** Of a job: a higher one runs first. */
  Priority?: number;
  /** Transfer syntax UID to send in (peers). */
  Transcode?: string;
  /** AE titles for a MOVE originator, storage commitment, compression, … as in Orthanc's documentation. */
  [further: string]: unknown;
}

export const storeResultSchema = z.looseObject({
  InstancesCount: z.number(),
  FailedInstancesCount: z.number(),
});

export type StoreResult = z.output<typeof storeResultSchema>;
