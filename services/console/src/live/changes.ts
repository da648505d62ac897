import type { Redis } from '@dicom-dispatch/runtime';

/** A study or delivery changed. */
export interface Change {
  readonly source: string;
  readonly orthancStudyId: string;
}

/** Receives changes of records through Redis, and notifies all local listeners. */
export class Changes {
  readonly #listeners = new Set<(change: Change) => void>();
  readonly #redis: Redis;
  readonly #channel: string;
  #subscriber: Redis | undefined;
  #ready: Promise<void> | undefined;

  constructor(redis: Redis, channel: string) {
    this.#redis = redis;
    this.#channel = channel;
  }

  /**
   * @returns `ready` resolves when the subscription has begun, not while Redis is unavailable; `stop` removes the listener
   */
  listen(listener: (change: Change) => void): { readonly ready: Promise<void>; stop(): void } {
    this.#listeners.add(listener);
    this.#ready ??= this.#start();
    return { ready: this.#ready, stop: () => void this.#listeners.delete(listener) };
  }

  stop(): void {
    this.#listeners.clear();
    this.#subscriber?.disconnect();
    this.#subscriber = undefined;
    this.#ready = undefined;
  }

  async #start(): Promise<void> {
    const subscriber = this.#redis.duplicate();
    this.#subscriber = subscriber;
    // The original connection reports when Redis is unavailable; this one subscribes again automatically.
    subscriber.on('error', () => {});
    subscriber.on('message', (_channel, text: string) => {
      const space = text.indexOf(' ');
      const change = { source: text.slice(0, space), orthancStudyId: text.slice(space + 1) };
      for (const listener of this.#listeners) listener(change);
    });
    await subscriber.subscribe(this.#channel).catch(() => {});
  }
}
