import { OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';

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
    throw new OperationError('conflict', 'no router asks where to begin: Redis has what it had, or is being recovered');
  }
  const answers = before === null ? {} : (JSON.parse(before ?? '{}') as Record<string, string>);
  await redis.hset(keys.generation, 'answer', JSON.stringify({ ...answers, [source]: from }));
}
