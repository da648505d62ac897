import type { ManifestInstance } from '@dicom-dispatch/core';
import type { Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { z } from 'zod';

const instance = z.object({
  sopInstanceUid: z.string(),
  seriesInstanceUid: z.string(),
  studyInstanceUid: z.string(),
  sopClassUid: z.string().optional(),
  transferSyntaxUid: z.string().optional(),
  instanceNumber: z.number().optional(),
  sizeBytes: z.number(),
  fileUuid: z.string().optional(),
  sourceId: z.string(),
  version: z.string(),
});

const arrivalMessage = z.object({
  source: z.string(),
  orthancStudyId: z.string(),
  /** Start of the deliveries that the message is for; `stable` is for all. */
  from: z.enum(['arrival', 'series', 'stable']),
  instances: z.array(instance),
});

/**
 * Message of a router to dispatchers about a study that is still being received. It only saves time: an attempt
 * reads the complete instance set when it begins.
 *
 * - `arrival`: instances that have arrived
 * - `series`: all instances of a stable series
 * - `stable`: the study is complete; no instances
 */
export interface ArrivalMessage {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly from: 'arrival' | 'series' | 'stable';
  readonly instances: readonly ManifestInstance[];
}

export async function publishArrival(redis: Redis, prefix: string, message: ArrivalMessage): Promise<void> {
  await redis.publish(redisKeys(prefix).arrivalsChannel, JSON.stringify(message));
}

/** @returns undefined for what another version, or another program, may have published */
export function parseArrival(text: string): ArrivalMessage | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = arrivalMessage.safeParse(json);
  return parsed.success ? (parsed.data as ArrivalMessage) : undefined;
}
