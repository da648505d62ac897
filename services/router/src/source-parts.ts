import { setTimeout as sleep } from 'node:timers/promises';
import { DispatchError } from '@dicom-dispatch/core';
import { RedisLost, type Logger } from '@dicom-dispatch/runtime';
import { sourceError } from '@dicom-dispatch/sources';
import type { FailingPart, SourcePart } from '@dicom-dispatch/state/feed';
import { LeaseLost } from './lease-lost.ts';

const firstPauseMs = 1_000;
const maxPauseMs = 15_000;

/** Thrown if another source turns out to use the same database, and is followed in place of this one. */
export class SameDatabase extends Error {
  override readonly name = 'SameDatabase';
  readonly other: string;

  constructor(other: string) {
    super(`on the same database as ${other}`);
    this.other = other;
  }
}

/**
 * The parts of a router's work for a source. Each continues independently of the others: a feed that cannot be read does
 * not prevent the sweep from ending.
 */
export class SourceParts {
  readonly #source: string;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #failing = new Map<SourcePart, FailingPart>();

  constructor(source: string, log: Logger, now: () => number) {
    this.#source = source;
    this.#log = log;
    this.#now = now;
  }

  get failing(): Readonly<Partial<Record<SourcePart, FailingPart>>> {
    return Object.fromEntries(this.#failing);
  }

  /** Removes all failures, e.g. because another router leads. */
  clear(): void {
    this.#failing.clear();
  }

  /** Called when a part has succeeded: its failure is over. */
  well(part: SourcePart): void {
    const failed = this.#failing.get(part);
    if (!failed) return;
    this.#failing.delete(part);
    this.#log.info({ source: this.#source, part, forMs: this.#now() - failed.since }, 'works again');
  }

  /**
   * Runs a part, and repeats it after pauses while it fails.
   *
   * @throws LeaseLost, RedisLost, SameDatabase, or the reason of `signal`
   */
  async keepGoing(part: SourcePart, signal: AbortSignal, act: () => Promise<unknown>): Promise<never> {
    let pauseMs = firstPauseMs;
    for (;;) {
      const beganAt = performance.now();
      try {
        await act();
      } catch (error) {
        if (signal.aborted || error instanceof LeaseLost || error instanceof RedisLost || error instanceof SameDatabase)
          throw error;
        // The part ran without failure for some time.
        if (performance.now() - beganAt > 10 * maxPauseMs || !this.#failing.has(part)) pauseMs = firstPauseMs;
        this.#note(part, error);
      }
      await sleep(pauseMs, undefined, { signal });
      pauseMs = Math.min(maxPauseMs, pauseMs * 1.5);
    }
  }

  /** One line when a failure begins, and none while it lasts. */
  #note(part: SourcePart, thrown: unknown): void {
    const error = sourceError(thrown, this.#source);
    const known = this.#failing.get(part);
    const isKnown = error instanceof DispatchError;
    const code = isKnown ? error.code : 'internal';
    const message = isKnown ? error.message : `unexpected ${error instanceof Error ? error.name : typeof error}`;
    this.#failing.set(part, { since: known?.since ?? this.#now(), code, message: message.slice(0, 300) });
    if (known && known.message === message) return;
    const facts = { source: this.#source, part, code, reason: message };
    if (isKnown) this.#log.error({ ...facts, remedy: error.remedy }, `${words[part]}; trying again until it succeeds`);
    else this.#log.error({ ...facts, err: thrown }, `${words[part]}; trying again until it succeeds`);
  }
}

const words: Readonly<Record<SourcePart, string>> = {
  feed: 'the source cannot be followed',
  sweep: 'the studies in the source cannot be compared with what was routed',
  waiting: 'incomplete studies cannot be checked again',
  'put-off': 'postponed studies cannot be retried',
  batches: 'studies of a batch cannot be routed',
  'take-back': 'studies that left the source cannot be checked',
  forgetting: 'records of old studies cannot be removed',
};
