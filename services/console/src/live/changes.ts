import type { Redis } from '@dicom-dispatch/runtime';

/** A study or delivery changed. */
export interface Change {
  readonly source: string;
  readonly orthancStudyId: string;
}

/** Hears of changes of records through Redis, and tells all that listen here. */
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

  /** @returns what ends it, and when nothing is missed any more: while Redis is away that takes as long as it takes */
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
    // The connection that it was made from tells when Redis is away; this one subscribes again by itself.
    subscriber.on('error', () => {});
    subscriber.on('message', (_channel, text: string) => {
      const space = text.indexOf(' ');
      const change = { source: text.slice(0, space), orthancStudyId: text.slice(space + 1) };
      for (const listener of this.#listeners) listener(change);
    });
    await subscriber.subscribe(this.#channel).catch(() => {});
  }
}
