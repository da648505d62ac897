import { parseArrival, type ArrivalMessage } from '@dicom-dispatch/pipeline';
import type { Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';

export interface StudyToHear {
  readonly source: string;
  readonly orthancStudyId: string;
}

/** What routers tell of one study while an attempt sends it as it comes. */
export interface ArrivalInbox {
  /** What was told since the last call. */
  take(): ArrivalMessage[];
  /** Whether there is anything that was not taken, once all has come that was told before this call. */
  hasNews(): Promise<boolean>;
  /** Resolves when something is told, or after so many milliseconds, or when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/**
 * Listens for what arrives. A message that is lost, e.g. while Redis was away, costs time and nothing else: an attempt reads
 * the whole study when it begins.
 */
export class ArrivalListener {
  readonly #redis: Redis;
  readonly #channel: string;
  readonly #inbox = new Map<string, Set<(message: ArrivalMessage) => void>>();
  #subscriber: Redis | undefined;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#channel = redisKeys(prefix).arrivalsChannel;
  }

  /** Resolves when nothing that is told from now on is missed. */
  async listen(study: StudyToHear): Promise<ArrivalInbox> {
    const key = keyOf(study);
    const listeners = this.#inbox.get(key) ?? new Set();
    this.#inbox.set(key, listeners);
    const subscriber = this.#connect();
    const messages: ArrivalMessage[] = [];
    let wake: () => void = () => {};
    const hear = (message: ArrivalMessage): void => {
      messages.push(message);
      wake();
    };
    listeners.add(hear);
    await barrier(subscriber);
    return {
      take: () => messages.splice(0),
      async hasNews() {
        await barrier(subscriber);
        return messages.length > 0;
      },
      async wait(ms, signal) {
        if (messages.length > 0 || signal.aborted) return;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(done, ms);
          function done(): void {
            clearTimeout(timer);
            signal.removeEventListener('abort', done);
            wake = () => {};
            resolve();
          }
          wake = done;
          signal.addEventListener('abort', done, { once: true });
        });
      },
      close: () => {
        listeners.delete(hear);
        if (listeners.size === 0) this.#inbox.delete(key);
      },
    };
  }

  stop(): void {
    this.#subscriber?.disconnect();
  }

  #connect(): Redis {
    if (this.#subscriber) return this.#subscriber;
    const subscriber = this.#redis.duplicate();
    // The connection that it was made from reports when Redis is away.
    subscriber.on('error', () => {});
    subscriber.on('message', (_channel, text: string) => this.#messages(text));
    void subscriber.subscribe(this.#channel).catch(() => {});
    this.#subscriber = subscriber;
    return subscriber;
  }

  #messages(text: string): void {
    if (this.#inbox.size === 0) return;
    const message = parseArrival(text);
    if (message) for (const hear of this.#inbox.get(keyOf(message)) ?? []) hear(message);
  }
}

/** Resolves when what was published before has come; at once where the connection is away. */
async function barrier(subscriber: Redis): Promise<void> {
  await subscriber.ping().catch(() => {});
}

function keyOf({ source, orthancStudyId }: StudyToHear): string {
  return `${source} ${orthancStudyId}`;
}
