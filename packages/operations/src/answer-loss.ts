import { OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';
import type { Loss } from '@dicom-dispatch/state/generation';
import { z } from 'zod';

/**
 * Says where sources begin of which nothing is known after Redis lost its data. A router takes it over within seconds.
 *
 * @param from - `now`, `everything`, a date or a time (UTC, by the clock of the source)
 * @throws OperationError `conflict` when nobody asks
 */
export async function answerLoss(context: PipelineContext, from: string, source = '*'): Promise<void> {
  const { redis, keys } = context;
  const [asks, before] = await redis.hmget(keys.generation, 'asks', 'answer');
  if (asks === null) {
    throw new OperationError(
      'conflict',
      'no router is waiting for a decision: Redis has lost no data, or recovery is in progress',
    );
  }
  const answers = before === null ? {} : (JSON.parse(before ?? '{}') as Record<string, string>);
  await redis.hset(keys.generation, 'answer', JSON.stringify({ ...answers, [source]: from }));
}

const report = z.object({
  /** By Redis TIME (ms since 1970). */
  at: z.number(),
  loss: z.enum(['gone', 'older', 'another']),
  /** By how much the notes were older than the loss; undefined: there were none. */
  notesAgeMs: z.number().optional(),
  sources: z.record(
    z.string(),
    z.object({
      how: z.enum(['notes', 'kept', 'answered', 'new']),
      seq: z.number().optional(),
      open: z.number(),
      ended: z.number(),
    }),
  ),
});

export interface LossReport {
  /** A loss that no router has recovered yet. */
  readonly lost: Loss | undefined;
  /** Sources of which an operator has to say where they begin. */
  readonly asks: readonly string[];
  /** What was done about the last loss. */
  readonly recovered: z.infer<typeof report> | undefined;
}

/** What is known of the last time that Redis lost data. */
export async function readLossReport({ redis, keys }: PipelineContext): Promise<LossReport> {
  const [lost, asks, text] = await redis.hmget(keys.generation, 'lost', 'asks', 'report');
  return {
    lost: lost ? (JSON.parse(lost) as Loss) : undefined,
    asks: asks ? (JSON.parse(asks) as string[]) : [],
    recovered: text ? report.safeParse(JSON.parse(text)).data : undefined,
  };
}
