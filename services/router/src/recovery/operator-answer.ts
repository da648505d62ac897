import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '@dicom-dispatch/runtime';
import { z } from 'zod';

/** Start positions of sources that an operator chose, by name; `*` is all others. */
export type AnswerState = Readonly<Record<string, string>>;

const schema = z.record(z.string(), z.string());

export async function readAnswer(redis: Redis, prefix: string): Promise<AnswerState> {
  const text = await redis.hget(redisKeys(prefix).generation, 'answer');
  return text === null ? {} : (schema.safeParse(JSON.parse(text)).data ?? {});
}

export function answerFor(answer: AnswerState, source: string): string | undefined {
  return answer[source] ?? answer['*'];
}
