import { deliveryStates } from '@dicom-dispatch/state/records';
import { groupStrategies, priorities, stages } from '@dicom-dispatch/core';
import { healthKinds, healthSeverities, type HealthKind } from '@dicom-dispatch/operations';
import { z } from 'zod';
import { delivery, deliveryError, ruleVerdict, time } from './delivery-schemas.ts';

/** Schemas of targets, sources, dispatchers and the rest of the system. Times are ms since 1970. */

const counts = z.object(
  Object.fromEntries(deliveryStates.map((state) => [state, z.number().int()])) as Record<
    (typeof deliveryStates)[number],
    z.ZodNumber
  >,
);

export const target = z.object({
  name: z.string(),
  type: z.string(),
  description: z.string().optional(),
  enabled: z.boolean(),
  orphaned: z.boolean().describe('removed from the configuration, with waiting deliveries'),
  paused: z.boolean(),
  circuit: z.object({
    state: z.enum(['closed', 'open', 'probing']),
    openedAt: time.optional(),
    failures: z.number().int(),
    nextProbeAt: time.optional(),
    error: deliveryError.optional(),
  }),
  counts,
  oldestWaitingAt: time
    .optional()
    .describe('age of the oldest waiting delivery that may start: neither held nor outside its schedule'),
  pace: z
    .object({
      deliveriesPerMinute: z.number().describe('completed deliveries, over the last ten minutes'),
      bytesPerSecond: z.number(),
      ready: z.number().int().describe('waiting deliveries that may start'),
      keptBack: z
        .number()
        .int()
        .describe('waiting deliveries that are held, outside their schedule or need an operator'),
      isSlow: z.boolean().describe('an instance takes at least twice as long as usual'),
      expectedEndAt: time.optional().describe('expected end of the backlog at this rate'),
    })
    .describe('present rate'),
  concurrency: z.number().int(),
  deliveriesPerMinute: z.number().optional(),
  setLimits: z
    .object({
      concurrency: z.number().int().optional(),
      deliveriesPerMinute: z.number().nullable().optional().describe('null: no limit'),
    })
    .describe('what of it an operator has set, until the configuration is reloaded'),
  attempts: z.number().int(),
  place: z.string().optional().describe('its position as text'),
  moved: z
    .object({ was: z.string(), text: z.string() })
    .optional()
    .describe('set while an operator has to decide whether the new address has the same content'),
});
export type Target = z.infer<typeof target>;

export const throughputPoint = z.object({
  at: time,
  bytes: z.number(),
  delivered: z.number().int(),
  failed: z.number().int(),
});
export type Throughput = readonly z.infer<typeof throughputPoint>[];

export const errorCount = z.object({
  stage: z.string(),
  code: z.string(),
  count: z.number().int(),
  example: z.string(),
});

const durationSummary = z.object({ count: z.number().int(), medianMs: z.number(), p95Ms: z.number() });

export const targetDurations = z.object({
  recentSince: time,
  parts: z
    .array(
      z.object({
        timed: z
          .enum([...stages, 'attempt', 'instance'])
          .describe('instance: `transfer` by the instances it confirmed'),
        recent: durationSummary.optional().describe('this hour and the one before'),
        usual: durationSummary.optional().describe('the seven days before today'),
      }),
    )
    .describe('of completed deliveries; accurate to 9 %'),
  slower: z
    .object({ instanceMs: z.number(), usualMs: z.number() })
    .optional()
    .describe('set while an instance takes at least twice as long as usual'),
});

export const targetDetail = target.extend({
  errors: z.array(errorCount),
  hour: z.array(throughputPoint).describe('by the minute'),
  day: z.array(throughputPoint).describe('by the quarter of an hour'),
  week: z.array(throughputPoint).describe('by the hour'),
  durations: targetDurations,
});
export type TargetDetail = z.infer<typeof targetDetail>;

export const check = z.object({
  name: z.string(),
  result: z.enum(['passed', 'failed', 'skipped']),
  durationMs: z.number(),
  detail: z.string(),
  remedy: z.string().optional(),
});

export const source = z.object({
  name: z.string(),
  url: z.string(),
  enabled: z.boolean().describe('false: the configuration disables it, so no router follows it'),
  reachable: z.boolean(),
  detail: z.string(),
  followed: z.boolean().describe('a router follows this source'),
  leader: z.string().optional().describe('that router, HOST:PID'),
  epoch: z.number().int().optional(),
  position: z.number().int().optional(),
  newest: z.number().int().optional(),
  lag: z.number().int().optional(),
  code: z.string().optional().describe('why it cannot be queried'),
  remedy: z.string().optional(),
  triedLater: z.number().int().describe('studies that cannot be read for individual reasons'),
  putOff: z
    .array(
      z.object({
        orthancStudyId: z.string(),
        since: time,
        dueAt: time.describe('time of the next try'),
        tries: z.number().int(),
        code: z.string(),
        message: z.string(),
      }),
    )
    .describe('the first hundred that are due'),
  sweep: z
    .object({
      endedAt: time,
      studies: z.number().int(),
      routed: z.number().int(),
      durationMs: z.number(),
      unread: z.number().int(),
    })
    .optional(),
  sweepAt: z.number().int().optional(),
});
export type Source = z.infer<typeof source>;

export const rule = z.object({
  name: z.string(),
  enabled: z.boolean(),
  sources: z.array(z.string()).optional(),
  when: z.string().optional(),
  targets: z.array(z.string()),
  priority: z.enum(priorities),
});

export const worker = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.number().int(),
  startedAt: time,
  rssBytes: z.number().optional(),
  active: z.array(delivery),
});
export type Worker = z.infer<typeof worker>;

export const auditEntry = z.object({
  id: z.string(),
  at: time,
  who: z.string(),
  role: z.string(),
  action: z.string(),
  subject: z.string(),
  outcome: z.enum(['done', 'refused', 'failed']),
  detail: z.string(),
  address: z.string(),
  hash: z.string().describe('SHA-256 over the entry and the hash of the one before'),
});

export const refusedEvent = auditEntry.omit({ hash: true }).extend({
  count: z.number().int().describe('occurrences since the previous entry'),
});

export const overview = z.object({
  studies: z.number().int(),
  counts,
  openCircuits: z.array(z.string()),
  pausedTargets: z.array(z.string()),
  workers: z.number().int(),
});
export type Overview = z.infer<typeof overview>;

export const foreseenDelivery = z.object({
  to: z.string().describe('a target, or a group that chooses one of its members'),
  group: z
    .object({
      strategy: z.enum(groupStrategies),
      members: z.array(z.string()),
      chosen: z.string().optional().describe('the member that has the study already, and keeps it'),
    })
    .optional(),
  rules: z.array(z.string()),
  priority: z.enum(priorities),
  transform: z.string().optional(),
  hold: z.boolean(),
  scheduled: z.boolean().describe('it starts only while a schedule is open'),
  instances: z.number().int().optional().describe('instances that are selected'),
  omitted: z.string().optional().describe('why it would not be created'),
  priors: z
    .object({
      chosen: z.array(
        z.object({
          studyInstanceUid: z.string(),
          from: z.string().describe('source, or the target from which it would be pulled'),
          why: z.string(),
        }),
      ),
      note: z.string().optional().describe('what was not asked, and why'),
    })
    .optional()
    .describe('earlier studies that would go along, by the rules'),
});

export const dryRun = z.object({
  source: z.string(),
  studyInstanceUid: z.string(),
  orthancStudyId: z.string(),
  instanceCount: z.number().int(),
  targets: z.array(z.string()).describe('targets, and groups that choose one of their members'),
  priority: z.enum(priorities),
  deliveries: z.array(foreseenDelivery),
  waiting: z.array(z.object({ rule: z.string(), missing: z.array(z.string()) })).describe('rules that wait'),
  verdicts: z.array(ruleVerdict),
  others: z.number().int().describe('further studies that match the search'),
});
export type DryRun = z.infer<typeof dryRun>;

const typeStats = z.object({
  entries: z.number().int(),
  bytes: z.number().describe('in Redis, overhead included'),
  fileBytes: z.number().describe('in the folder'),
  hits: z.number().int(),
  misses: z.number().int(),
  hitRate: z.number(),
  evictions: z.number().int(),
  expired: z.number().int(),
});

export const cacheState = z.object({
  usedBytes: z.number().describe('total memory of Redis'),
  maxBytes: z.number().describe('limit of Redis; 0: none'),
  groups: z.array(
    z.object({ name: z.string(), entries: z.number().int(), bytes: z.number().optional(), detail: z.string() }),
  ),
  results: typeStats
    .extend({
      enabled: z.boolean(),
      maxBytes: z.number().describe('limit in Redis; 0: none'),
      persistentBytes: z.number(),
      types: z.record(z.string(), typeStats),
    })
    .optional()
    .describe('results that are computed once and used by several deliveries'),
});
export type CacheState = z.infer<typeof cacheState>;

export const finding = z.object({
  kind: z.enum(healthKinds as [HealthKind, ...HealthKind[]]),
  severity: z.enum(healthSeverities),
  subject: z.string().describe('name of a source or target; empty for the whole system'),
  since: time.optional(),
  words: z.string(),
  remedy: z.string().describe('what to do'),
  path: z.string().describe('page of the console with details'),
});
