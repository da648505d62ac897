import { z } from 'zod';
import type { PipelineContext } from '@dicom-dispatch/pipeline';

const beat = z.object({
  host: z.string(),
  pid: z.number(),
  startedAt: z.number(),
  active: z.array(z.string()),
  rssBytes: z.number().optional(),
});

/** A living dispatcher. */
export interface WorkerState extends z.infer<typeof beat> {
  readonly id: string;
}

/** The dispatchers with a recent heartbeat, by name. */
export async function listWorkers(context: PipelineContext): Promise<WorkerState[]> {
  const { redis, keys } = context;
  const ids = await redis.zrange(keys.workers, '0', '-1');
  if (ids.length === 0) return [];
  const texts = await redis.mget(ids.map((id) => keys.worker(id)));
  return ids
    .flatMap((id, at): WorkerState[] => {
      const text = texts[at];
      const parsed = text ? beat.safeParse(JSON.parse(text)) : undefined;
      return parsed?.success ? [{ id, ...parsed.data }] : [];
    })
    .sort((one, other) => one.id.localeCompare(other.id));
}
