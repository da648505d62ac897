import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Logger } from '../logging/create-logger.ts';
import type { Redis } from '../redis/connect-redis.ts';
import { reloadCall, reloadKeys, type ReloadAnswer } from './reload-messages.ts';

export interface ReloadSteps {
  check(id: string, candidate: boolean): Promise<ReloadAnswer>;
  apply(id: string): Promise<ReloadAnswer>;
  forget(id: string): void;
  /** A message may have been missed: sent while Redis was unreachable, or before this process listened. */
  missed(): void;
}

const keepAnswersSeconds = 600;

/**
 * Responds to reload messages over Redis, and detects those sent during an outage.
 *
 * @param givenUpMs - after this time, a change that was being applied has ended
 * @param isInRedis - whether the configuration is in Redis: then it is read again after each reconnection
 */
export function listenForReloads(
  redis: Redis,
  prefix: string,
  log: Logger,
  steps: ReloadSteps,
  givenUpMs: number,
  isInRedis = false,
): { readonly stop: () => void } {
  const keys = reloadKeys(prefix);
  const { configurationLock } = redisKeys(prefix);
  let later: NodeJS.Timeout | undefined;
  const subscriber = redis.duplicate();
  let seen: string | null | undefined;
  // The original connection reports when Redis is unavailable.
  subscriber.on('error', () => {});
  subscriber.on('message', (_channel, text: string) => void handle(text).catch(report));
  subscriber.on('ready', () => void lookForMissed().catch(report));
  // No messages were received so far: the configuration read at the start may be outdated.
  void subscriber.subscribe(keys.channel).then(
    () => missed(),
    () => {},
  );
  return {
    stop() {
      clearTimeout(later);
      subscriber.disconnect();
    },
  };

  /**
   * A change that was being applied before this process listened may become the file after it was read here, and its process
   * may crash before the announcement: the file is checked once more when the change must have ended.
   */
  async function missed(): Promise<void> {
    const isChanging = await redis.exists(configurationLock).catch(() => 1);
    steps.missed();
    if (isChanging === 0) return;
    clearTimeout(later);
    later = setTimeout(() => steps.missed(), givenUpMs).unref();
  }

  async function handle(text: string): Promise<void> {
    const call = reloadCall.parse(JSON.parse(text));
    if (call.step === 'forget') {
      steps.forget(call.id);
      return;
    }
    const answer =
      call.step === 'check' ? await steps.check(call.id, call.candidate === true) : await steps.apply(call.id);
    if (call.step === 'apply') seen = await redis.get(keys.count);
    const key = keys.answers(call);
    await redis.multi().hset(key, answer.process, JSON.stringify(answer)).expire(key, keepAnswersSeconds).exec();
  }

  async function lookForMissed(): Promise<void> {
    const now = await redis.get(keys.count);
    const isFirst = seen === undefined;
    const isMissed = !isFirst && now !== seen;
    seen = now;
    if (isMissed || (!isFirst && isInRedis) || (!isFirst && (await redis.exists(configurationLock)) === 1))
      await missed();
  }

  function report(error: unknown): void {
    log.warn({ err: error }, 'a reload request could not be answered');
  }
}
