import type { FeedState } from '@dicom-dispatch/state/feed';
import type { KnownGeneration } from '@dicom-dispatch/state/generation';
import { endStates } from '@dicom-dispatch/state/records';
import { z } from 'zod';

/** A delivery when the notes were taken. No patient data. */
export interface DeliveryNote {
  readonly id: string;
  readonly target: string;
  readonly group: string | undefined;
  readonly state: string;
}

/** A study that was routed. */
export interface StudyNote {
  readonly lastUpdate: string | undefined;
  /** By Redis TIME. */
  readonly routedAt: number;
  /** The newest first. */
  readonly deliveries: readonly DeliveryNote[];
}

export interface SourceNotes {
  readonly feed: FeedState;
  /** By how much the source's clock was ahead of Redis. */
  readonly skewMs: number;
  /** By Orthanc id: all with an unfinished delivery, and the latest without one. */
  readonly studies: ReadonlyMap<string, StudyNote>;
  /** Everything that was routed at or after this time (Redis TIME) is among them; 0 when that is everything. */
  readonly completeFrom: number;
}

/**
 * A router's notes of the data in Redis, in memory and in a file: enough to continue after everything there was lost, without
 * sending instances again that have arrived (docs/decisions/0015-lost-redis.md).
 */
export interface Notes {
  readonly generation: KnownGeneration;
  /** By Redis TIME. */
  readonly takenAt: number;
  readonly sources: ReadonlyMap<string, SourceNotes>;
  /** Held deliveries. */
  readonly held: readonly string[];
  readonly pausedTargets: readonly string[];
}

/**
 * Unfinished deliveries: open ones, and for each target the newest that ended without success and was not resolved.
 * If they were lost with Redis, they would never be retried.
 */
export function unfinished({ deliveries }: Pick<StudyNote, 'deliveries'>): DeliveryNote[] {
  const seen = new Set<string>();
  return deliveries.filter(({ target, state }) => {
    const isNewest = !seen.has(target);
    seen.add(target);
    return isOpenState(state) || (isNewest && withoutSuccess.has(state));
  });
}

const withoutSuccess: ReadonlySet<string> = new Set(['failed', 'partial', 'source-gone']);

function isOpenState(state: string): boolean {
  return !(endStates as readonly string[]).includes(state);
}

const fingerprint = z.object({ seq: z.number(), id: z.string(), date: z.string() });
const feed = z.object({
  epoch: z.number(),
  seq: z.number(),
  fingerprint: fingerprint.optional(),
  anchors: z.array(fingerprint).optional(),
  since: z.string(),
  beganAt: z.number().optional(),
  firstSeen: z.string().optional(),
  datedUpTo: z.string().optional(),
  floor: z.number().optional(),
});
const delivery = z.tuple([z.string(), z.string(), z.string(), z.string()]);
const study = z.tuple([z.string(), z.string(), z.number(), z.array(delivery)]);
const schema = z.object({
  version: z.literal(1),
  redis: z.string(),
  generation: z.object({ id: z.string(), count: z.number() }),
  takenAt: z.number(),
  sources: z.record(
    z.string(),
    z.object({ feed, skewMs: z.number(), completeFrom: z.number(), studies: z.array(study) }),
  ),
  held: z.array(z.string()),
  pausedTargets: z.array(z.string()),
});

/** @param redis - the address of the Redis of the notes */
export function encodeNotes(notes: Notes, redis: string): string {
  const sources = Array.from(notes.sources, ([name, one]) => [
    name,
    {
      feed: one.feed,
      skewMs: one.skewMs,
      completeFrom: one.completeFrom,
      studies: Array.from(one.studies, ([id, { lastUpdate = '', routedAt, deliveries }]) => [
        id,
        lastUpdate,
        routedAt,
        deliveries.map(({ id: deliveryId, target, group = '', state }) => [deliveryId, target, group, state]),
      ]),
    },
  ]);
  const { generation, takenAt, held, pausedTargets } = notes;
  return JSON.stringify({
    version: 1,
    redis,
    generation,
    takenAt,
    sources: Object.fromEntries(sources),
    held,
    pausedTargets,
  });
}

/** @returns undefined for notes of another Redis, and for an unknown format */
export function decodeNotes(text: string, redis: string): Notes | undefined {
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success || parsed.data.redis !== redis) return undefined;
  const { generation, takenAt, held, pausedTargets, sources } = parsed.data;
  return {
    generation,
    takenAt,
    held,
    pausedTargets,
    sources: new Map(
      Object.entries(sources).map(([name, one]) => [
        name,
        {
          feed: { ...one.feed, fingerprint: one.feed.fingerprint } as FeedState,
          skewMs: one.skewMs,
          completeFrom: one.completeFrom,
          studies: new Map(
            one.studies.map(([id, lastUpdate, routedAt, deliveries]) => [
              id,
              {
                lastUpdate: lastUpdate === '' ? undefined : lastUpdate,
                routedAt,
                deliveries: deliveries.map(([deliveryId, target, group, state]) => ({
                  id: deliveryId,
                  target,
                  group: group === '' ? undefined : group,
                  state,
                })),
              },
            ]),
          ),
        },
      ]),
    ),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
