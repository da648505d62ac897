import { parseArrival, type ArrivalMessage } from '@dicom-dispatch/pipeline';
import type { Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';

export interface StudyToHear {
  readonly source: string;
  readonly orthancStudyId: string;
}

/** What routers tell of one study while an attempt sends it as it comes. */
export interface Heard {
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
  readonly #heard = new Map<string, Set<(message: ArrivalMessage) => void>>();
  #subscriber: Redis | undefined;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#channel = redisKeys(prefix).arrivalsChannel;
  }

  /** Resolves when nothing that is told from now on is missed. */
  async listen(study: StudyToHear): Promise<Heard> {
    const key = keyOf(study);
    const listeners = this.#heard.get(key) ?? new Set();
    this.#heard.set(key, listeners);
    const subscriber = this.#connect();
    const told: ArrivalMessage[] = [];
    let wake: () => void = () => {};
    const hear = (message: ArrivalMessage): void => {
      told.push(message);
      wake();
    };
    listeners.add(hear);
    await barrier(subscriber);
    return {
      take: () => told.splice(0),
      async hasNews() {
        await barrier(subscriber);
        return told.length > 0;
      },
      async wait(ms, signal) {
        if (told.length > 0 || signal.aborted) return;
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
        if (listeners.size === 0) this.#heard.delete(key);
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
    subscriber.on('message', (_channel, text: string) => this.#told(text));
    void subscriber.subscribe(this.#channel).catch(() => {});
    this.#subscriber = subscriber;
    return subscriber;
  }

  #told(text: string): void {
    if (this.#heard.size === 0) return;
    const message = parseArrival(text);
    if (message) for (const hear of this.#heard.get(keyOf(message)) ?? []) hear(message);
  }
}

/** Resolves when what was published before has come; at once where the connection is away. */
async function barrier(subscriber: Redis): Promise<void> {
  await subscriber.ping().catch(() => {});
}

function keyOf({ source, orthancStudyId }: StudyToHear): string {
  return `${source} ${orthancStudyId}`;
}
