import type { Redis } from '@dicom-dispatch/runtime';

/** A study or delivery changed. */
export interface Change {
  readonly source: string;
  readonly studyInstanceUid: string;
}

/** Hears of changes of records through Redis, and tells all that listen here. */
export class Changes {
  readonly #listeners = new Set<(change: Change) => void>();
  readonly #redis: Redis;
  readonly #channel: string;
  #subscriber: Redis | undefined;

  constructor(redis: Redis, channel: string) {
    this.#redis = redis;
    this.#channel = channel;
  }

  /** @returns what ends it */
  listen(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    this.#start();
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    this.#listeners.clear();
    this.#subscriber?.disconnect();
    this.#subscriber = undefined;
  }

  #start(): void {
    if (this.#subscriber) return;
    const subscriber = this.#redis.duplicate();
    this.#subscriber = subscriber;
    // The connection that it was made from tells when Redis is away; this one subscribes again by itself.
    subscriber.on('error', () => {});
    subscriber.on('message', (_channel, text: string) => {
      const space = text.indexOf(' ');
      const change = { source: text.slice(0, space), studyInstanceUid: text.slice(space + 1) };
      for (const listener of this.#listeners) listener(change);
    });
    void subscriber.subscribe(this.#channel).catch(() => {});
  }
}
