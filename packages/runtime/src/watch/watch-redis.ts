import { skewWords, wordsOf, type RedisStanding } from './redis-standing.ts';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  beatGeneration,
  lookAtGeneration,
  type BeatAnswer,
  type KnownGeneration,
  type Loss,
} from '@dicom-dispatch/state/generation';
import { currentFormat, redisKeys } from '@dicom-dispatch/state/keys';
import { withDeadline } from '@dicom-dispatch/state/redis';
import type { Redis } from 'ioredis';
import type { Logger } from '../logging/create-logger.ts';
import type { DependencyState } from '../process/dependency.ts';
import { joinCalls } from '../redis/join-calls.ts';
import { LocalClock } from './local-clock.ts';
import { RedisClock, skewLimitMs } from './redis-clock.ts';
import type { DueCertificate } from './watch-certificates.ts';

const beatMs = 1_000;
/** After this time without a response Redis counts as away. */
const answerWithinMs = 3_000;
const maxJumps = 5;
/** Responses of Redis, also from within a script, if it rejects writes. */
const refusals = /\b(OOM|READONLY|MISCONF|NOPERM|NOREPLICAS|LOADING|CLUSTERDOWN|MASTERDOWN|TRYAGAIN)\b/;

/** A clock that was set, as a process noticed it. */
export interface ClockJump {
  readonly clock: 'local' | 'redis';
  readonly ms: number;
  /** By Redis TIME. */
  readonly at: number;
}

/** What a process reports about itself with its heartbeat. */
export interface ProcessNotes {
  readonly certificates?: readonly DueCertificate[];
  /** It could not apply the newest configuration since then (ms since 1970), and uses the previous one. */
  readonly configurationRefusedAt?: number | undefined;
  /** Its file has another configuration since then, which was not loaded (ms since 1970). */
  readonly configurationDiffersAt?: number | undefined;
  /** Its notes of the data in Redis cannot be written to its disk since then (ms since 1970). */
  readonly notesUnwritableAt?: number | undefined;
}

/** Data of a process in Redis. */
export interface AboutProcess extends ProcessNotes {
  readonly services: readonly string[];
  readonly host: string;
  readonly pid: number;
  /** By Redis TIME. */
  readonly startedAt: number;
  /** By how much its local clock is ahead of Redis. */
  readonly skewMs: number;
  readonly jumps: readonly ClockJump[];
  /** Data format in Redis that it supports: a newer version does not migrate the data while it runs. */
  readonly format: number;
}

export interface RedisListener {
  /** Redis has lost data: stop everything that depends on them. */
  lost?(loss: Loss): void;
  /** A router has recovered as much as possible: continue. */
  recovered?(): void;
}

export interface WatchOptions {
  readonly redis: Redis;
  readonly prefix: string;
  /** Services of this process, as shown to users. */
  readonly services: readonly string[];
  readonly log: Logger;
  /** What a previous process of this service knew of Redis. */
  readonly known?: KnownGeneration | undefined;
}

/** Thrown instead of writing into a Redis that has lost data. */
export class RedisLost extends Error {
  override readonly name = 'RedisLost';
}

/** Sends the heartbeat of this process once a second; detects loss of data in Redis, and wrong clocks. */
export class RedisWatch {
  readonly clock = new RedisClock();
  readonly process: string = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
  readonly #options: WatchOptions;
  readonly #listeners = new Set<RedisListener>();
  readonly #stopping = new AbortController();
  readonly #local = new LocalClock();
  readonly #first = Promise.withResolvers<void>();
  /** One call to Redis for all confirmations of one iteration of the event loop. */
  readonly #lookJoined = joinCalls(async (all: readonly undefined[]) => {
    const answer = await this.#look();
    return all.map(() => answer);
  });
  #standing: RedisStanding = { kind: 'starting' };
  #known: KnownGeneration | undefined;
  #answered = 0;
  #number = 0;
  #startedAt: number | undefined;
  #isSkewed = false;
  #jumps: ClockJump[] = [];
  #notes: ProcessNotes = {};

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#known = options.known;
    void this.#run();
  }

  get standing(): RedisStanding {
    return this.#standing;
  }

  /** The generation that this process relies on. */
  get known(): KnownGeneration | undefined {
    return this.#known;
  }

  /** Resolves once Redis has responded, with any result. */
  get first(): Promise<void> {
    return this.#first.promise;
  }

  get skewMs(): number {
    return this.clock.isSet ? this.#local.now() - this.clock.now() : 0;
  }

  get jumps(): readonly ClockJump[] {
    return this.#jumps;
  }

  /** Adds to the data of this process, from its next heartbeat on. */
  note(notes: ProcessNotes): void {
    this.#notes = { ...this.#notes, ...notes };
  }

  /** @returns a function that ends it */
  listen(listener: RedisListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Checks now whether Redis still has its data. Data that were read before, and are confirmed by this, were not
   * lost.
   *
   * @throws RedisLost
   */
  async confirm(): Promise<void> {
    const known = this.#known;
    if (known) {
      const { verdict, found } = await this.#lookJoined(undefined);
      if (verdict === 'good' && found?.id === known.id) return;
    }
    throw new RedisLost('Redis has lost data');
  }

  /** Resolves when Redis has its data, immediately or after a recovery. */
  async untilGood(signal: AbortSignal): Promise<void> {
    while (this.#standing.kind === 'starting' || this.#standing.kind === 'lost') {
      await sleep(100, undefined, { signal });
    }
  }

  dependencies(): DependencyState[] {
    const standing = this.#standing;
    const skewMs = this.skewMs;
    const isSkewed = Math.abs(skewMs) > skewLimitMs;
    // A console shows the problem; if it were unready, nobody would see it.
    const isNeeded = this.#options.services.some((service) => service !== 'console');
    return [
      {
        name: 'redis data',
        ok: standing.kind !== 'lost' && standing.kind !== 'refuses',
        detail: wordsOf(standing),
        isNeeded,
      },
      // Due times use the clock of Redis: a wrong local clock stops nothing.
      { name: 'clock', ok: !isSkewed, detail: isSkewed ? skewWords(skewMs) : 'agrees with Redis', isNeeded: false },
    ];
  }

  /** Ends it; a Redis that does not respond is not waited for. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const { redis, prefix } = this.#options;
    if (redis.status !== 'ready') return;
    const keys = redisKeys(prefix);
    const left = redis.multi().del(keys.process(this.process)).zrem(keys.processes, this.process);
    await withDeadline(left.hdel(keys.beats, this.process).exec(), 1_000).catch(() => {});
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#beat().catch((error: unknown) =>
        this.#options.log.error({ err: error }, 'Redis could not be watched'),
      );
      await sleep(beatMs, undefined, { signal }).catch(() => {});
    }
    this.#first.resolve();
  }

  async #beat(): Promise<void> {
    const { redis } = this.#options;
    this.#lookAtLocalClock();
    if (redis.status !== 'ready') return this.#isAway();
    const sentAt = performance.now();
    const late = setTimeout(() => this.#isAway(), answerWithinMs);
    try {
      const answer = await this.#ask();
      this.#lookAtRedisClock(answer.now, sentAt);
      this.#take(answer);
      this.#first.resolve();
    } catch (error) {
      if (redis.status === 'ready') await this.#refuses(error as Error);
      else this.#isAway();
    } finally {
      clearTimeout(late);
    }
  }

  async #ask(): Promise<BeatAnswer> {
    const { redis, prefix } = this.#options;
    // A heartbeat with a lost response may have been counted: Redis then has any number since the last confirmed one.
    this.#number += 1;
    const number = this.#number;
    const answer = await beatGeneration(redis, prefix, {
      process: this.process,
      answered: this.#answered,
      number,
      known: this.#known,
      about: this.#about(),
    });
    this.#answered = answer.verdict === 'lost' ? 0 : number;
    return answer;
  }

  #look(): Promise<BeatAnswer> {
    const { redis, prefix } = this.#options;
    const [known, answered] = [this.#known, this.#answered];
    return lookAtGeneration(redis, prefix, { process: this.process, answered, known });
  }

  #take(answer: BeatAnswer): void {
    const { log } = this.#options;
    this.#startedAt ??= answer.now;
    const before = this.#standing.kind;
    if (answer.verdict === 'lost') {
      const loss = answer.loss ?? { kind: kindOf(answer, this.#known), at: answer.now, by: this.process };
      this.#standing = { kind: 'lost', loss, asks: answer.asks };
      if (before === 'lost') return;
      log.error(
        { loss: loss.kind, noticedBy: loss.by, generation: this.#known?.id },
        'Redis has lost data: no instance is sent or confirmed until a router has recovered the data',
      );
      for (const listener of this.#listeners) listener.lost?.(loss);
      return;
    }
    const isAnother = this.#known !== undefined && this.#known.id !== answer.found?.id;
    this.#known = answer.found;
    this.#standing = { kind: 'good' };
    if (before === 'away' || before === 'refuses') log.info('Redis accepts writes again');
    if (before !== 'lost' && !isAnother) return;
    if (before !== 'lost') {
      const loss: Loss = { kind: 'another', at: answer.now, by: this.process };
      for (const listener of this.#listeners) listener.lost?.(loss);
    }
    log.warn({ generation: this.#known?.id }, 'Redis is recovered: work continues');
    for (const listener of this.#listeners) listener.recovered?.();
  }

  #isAway(): void {
    const { kind } = this.#standing;
    // Lost data stay lost, whether Redis responds or not.
    if (kind === 'starting' || kind === 'lost' || kind === 'away') return;
    this.#standing = { kind: 'away', since: this.clock.now() };
  }

  async #refuses(error: Error): Promise<void> {
    const sentAt = performance.now();
    const answer = await this.#look();
    this.#lookAtRedisClock(answer.now, sentAt);
    if (answer.verdict === 'lost') this.#take(answer);
    this.#first.resolve();
    if (this.#standing.kind === 'lost') return;
    const reason = refusals.exec(error.message)?.[1];
    const before = this.#standing;
    const since = before.kind === 'refuses' ? before.since : this.clock.now();
    this.#standing = { kind: 'refuses', since, reason: reason ?? error.message.slice(0, 100) };
    if (before.kind === 'refuses') return;
    this.#options.log.error({ reason: error.message.slice(0, 200) }, 'Redis rejects writes');
  }

  #lookAtRedisClock(redisMs: number, sentAt: number): void {
    const jumpMs = this.clock.sample({ redisMs, sentAt, receivedAt: performance.now() });
    if (Math.abs(jumpMs) > skewLimitMs) {
      this.#options.log.warn({ jumpMs: Math.round(jumpMs) }, 'the clock of Redis has jumped');
      this.#noteJump('redis', jumpMs);
    }
    const skewMs = this.skewMs;
    const isSkewed = Math.abs(skewMs) > skewLimitMs;
    if (isSkewed === this.#isSkewed) return;
    this.#isSkewed = isSkewed;
    const facts = { skewMs: Math.round(skewMs) };
    if (isSkewed)
      this.#options.log.warn(facts, 'the local clock and the clock of Redis differ: due times use the clock of Redis');
    else this.#options.log.info(facts, 'the local clock agrees with the clock of Redis again');
  }

  #lookAtLocalClock(): void {
    const jumpMs = this.#local.look();
    if (Math.abs(jumpMs) <= skewLimitMs) return;
    this.#options.log.warn({ jumpMs: Math.round(jumpMs) }, 'the local clock has jumped, or the machine was suspended');
    this.#noteJump('local', jumpMs);
  }

  #noteJump(clock: ClockJump['clock'], ms: number): void {
    this.#jumps = [...this.#jumps.slice(1 - maxJumps), { clock, ms: Math.round(ms), at: this.clock.now() }];
  }

  #about(): AboutProcess {
    const hourAgo = this.clock.now() - 3_600_000;
    this.#jumps = this.#jumps.filter(({ at }) => at > hourAgo);
    return {
      services: this.#options.services,
      host: hostname(),
      pid: process.pid,
      startedAt: this.#startedAt ?? this.clock.now(),
      skewMs: Math.round(this.skewMs),
      jumps: this.#jumps,
      format: currentFormat,
      ...this.#notes,
    };
  }
}

/** The kind of a loss that Redis could not record. */
function kindOf({ found }: BeatAnswer, known: KnownGeneration | undefined): Loss['kind'] {
  if (!found) return 'gone';
  return found.id === known?.id ? 'older' : 'another';
}
