import type { Redis } from 'ioredis';
import type { DependencyState } from '../process/dependency.ts';

const answerWithinMs = 1_000;

/** Whether Redis responds within a second. */
export async function redisDependency(redis: Redis): Promise<DependencyState> {
  if (redis.status !== 'ready') return { name: 'redis', ok: false, detail: `not connected (${redis.status})` };
  const late = new Promise<string>((done) => setTimeout(() => done('no answer within 1 s'), answerWithinMs).unref());
  const answer = await Promise.race([redis.ping().catch((error: Error) => error.message), late]);
  return { name: 'redis', ok: answer === 'PONG', detail: answer === 'PONG' ? 'answers' : answer };
}
