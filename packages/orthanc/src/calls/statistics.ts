import { z } from 'zod';

import type { CallContext, Level } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';

/** Orthanc writes sizes as text, since they may pass 2^32. */
const size = z.union([
  z.number(),
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number),
]);

const statisticsSchema = z.object({
  CountPatients: z.number(),
  CountStudies: z.number(),
  CountSeries: z.number(),
  CountInstances: z.number(),
  /** Bytes on disk. */
  TotalDiskSize: size,
  TotalUncompressedSize: size,
});

export type Statistics = z.output<typeof statisticsSchema>;

const resourceStatisticsSchema = z.object({
  CountStudies: z.number().optional(),
  CountSeries: z.number().optional(),
  CountInstances: z.number().optional(),
  /** Bytes on disk, all attachments together. */
  DiskSize: size,
  UncompressedSize: size,
  /** Of the DICOM files alone. */
  DicomDiskSize: size.optional(),
  DicomUncompressedSize: size.optional(),
});

export type ResourceStatistics = z.output<typeof resourceStatisticsSchema>;

/** Size of the server's content. */
export function readStatistics(context: CallContext, options: CallOptions | undefined): Promise<Statistics> {
  return context.transport.json(statisticsSchema, { method: 'GET', target: target('/statistics'), options });
}

export function createStatisticsCalls(context: CallContext, level: Level) {
  return {
    /** Number of resources below the resource, and their size. */
    async statistics(id: string, options?: CallOptions): Promise<ResourceStatistics> {
      const where = target(path`/${level}/${id}/statistics`);
      return context.transport.json(resourceStatisticsSchema, { method: 'GET', target: where, options });
    },
  };
}
