import { OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';
import type { Loss } from '@dicom-dispatch/state/generation';
import { z } from 'zod';

/**
 * Sets where unknown sources begin after Redis lost its data. A router applies it within seconds.
 *
 * @param from - `now`, `everything`, a date or a time (UTC, by the clock of the source)
 * @param source - default `*`: all unknown sources
 * @throws OperationError `conflict` if no source waits for this choice
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
  /** Age of the routers' notes at the loss; undefined: there were none. */
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
  /** Sources for which an operator must choose where they begin. */
  readonly asks: readonly string[];
  /** Result of the last recovery. */
  readonly recovered: z.infer<typeof report> | undefined;
}

/** Data about the last loss of Redis data. */
export async function readLossReport({ redis, keys }: PipelineContext): Promise<LossReport> {
  const [lost, asks, text] = await redis.hmget(keys.generation, 'lost', 'asks', 'report');
  return {
    lost: lost ? (JSON.parse(lost) as Loss) : undefined,
    asks: asks ? (JSON.parse(asks) as string[]) : [],
    recovered: text ? report.safeParse(JSON.parse(text)).data : undefined,
  };
}
