import { parseArrival, type ArrivalMessage } from '@dicom-dispatch/pipeline';
import type { Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';

export interface StudyToHear {
  readonly source: string;
  readonly orthancStudyId: string;
}

/** Messages of routers about one study while an attempt sends it during reception. */
export interface ArrivalInbox {
  /** Messages since the last call. */
  take(): ArrivalMessage[];
  /** Whether there are unread messages, once all messages sent before this call have been received. */
  hasNews(): Promise<boolean>;
  /** Resolves on a message, or after this number of milliseconds, or when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/**
 * Listens for arrival messages. A lost message, e.g. while Redis was unavailable, only costs time: an attempt reads
 * the complete study when it begins.
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

  /** Resolves when no message is missed from now on. */
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
    // The original connection reports when Redis is unavailable.
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

/** Resolves when earlier messages have been received; immediately if the connection is unavailable. */
async function barrier(subscriber: Redis): Promise<void> {
  await subscriber.ping().catch(() => {});
}

function keyOf({ source, orthancStudyId }: StudyToHear): string {
  return `${source} ${orthancStudyId}`;
}
