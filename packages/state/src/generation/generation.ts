import { randomUUID } from 'node:crypto';
import { redisKeys } from '../keys/redis-keys.ts';
import type { RedisClient } from '../redis/redis-client.ts';
import { beatScript, lookScript, recoverScript } from './generation-scripts.ts';

/**
 * - `gone`: the data no longer exist (FLUSHALL, an empty data folder)
 * - `older`: the data are those of an earlier time (a snapshot, a lagging replica)
 * - `another`: the data are those of another generation, which was not recovered from ours
 */
export type LossKind = 'gone' | 'older' | 'another';

/** A loss of data in Redis, as recorded in Redis. */
export interface Loss {
  readonly kind: LossKind;
  /** By Redis TIME (ms since 1970). */
  readonly at: number;
  /** The process that noticed. */
  readonly by: string;
}

/** What a process remembers of Redis. */
export interface KnownGeneration {
  readonly id: string;
  readonly count: number;
}

export interface Beat {
  /** Names the process. */
  readonly process: string;
  /** Numbers of the last beat that Redis has confirmed, and of this one. */
  readonly answered: number;
  readonly number: number;
  readonly known: KnownGeneration | undefined;
  /** Data of the process, as JSON; shown while it runs. */
  readonly about: object;
}

/** How long a process that does not beat any more is shown. */
const shownMs = 20_000;

export interface BeatAnswer {
  /** Redis TIME in ms since 1970. */
  readonly now: number;
  /**
   * - `good`: the data are the remembered ones, or nothing is remembered
   * - `first`: the same, and this process has created the generation in an empty Redis
   * - `recovered`: the data were lost, and the replacement is to be used
   * - `lost`: the data were lost, see `loss`
   */
  readonly verdict: 'good' | 'first' | 'recovered' | 'lost';
  readonly found: KnownGeneration | undefined;
  readonly loss: Loss | undefined;
  /** A router has no notes of the lost data, and waits for an operator. */
  readonly asks: boolean;
}

/** Sends the heartbeat of a process, and checks whether Redis still has its data. */
export async function beatGeneration(redis: RedisClient, prefix: string, beat: Beat): Promise<BeatAnswer> {
  const keys = redisKeys(prefix);
  const { known } = beat;
  return parseAnswer(
    await beatScript.run(
      redis,
      [keys.generation, keys.beats, keys.processes, keys.process(beat.process)],
      [
        beat.process,
        beat.answered,
        beat.number,
        known?.id ?? '',
        known?.count ?? 0,
        randomUUID(),
        JSON.stringify(beat.about),
        shownMs,
      ],
    ),
  );
}

/**
 * Compares as {@link beatGeneration} does, without writing: if Redis is out of memory, or for readers.
 *
 * @param beat - what the process remembers; undefined for one that remembers nothing
 */
export async function lookAtGeneration(
  redis: RedisClient,
  prefix: string,
  beat?: Pick<Beat, 'process' | 'answered' | 'known'>,
): Promise<BeatAnswer> {
  const { generation, beats } = redisKeys(prefix);
  const { id = '', count = 0 } = beat?.known ?? {};
  const args = [id, count, beat?.process ?? '', beat?.answered ?? 0];
  return parseAnswer(await lookScript.run(redis, [generation, beats], args));
}

/**
 * Begins the generation that replaces a lost one.
 *
 * @param report - what was done, for operators; JSON
 * @returns false if the lock was lost, or there is no loss any more
 */
export async function endLoss(redis: RedisClient, prefix: string, token: string, report: object): Promise<boolean> {
  const keys = redisKeys(prefix);
  const done = await recoverScript.run(
    redis,
    [keys.generation, keys.beats, keys.recoveryLock],
    [token, randomUUID(), JSON.stringify(report)],
  );
  return done === 1;
}

function parseAnswer(answer: unknown): BeatAnswer {
  const [seconds, microseconds, verdict, id, count, lost, asks] = answer as [
    string,
    string,
    string,
    string,
    number,
    string,
    string,
  ];
  return {
    now: Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000),
    verdict: verdict === 'good' || verdict === 'first' || verdict === 'recovered' ? verdict : 'lost',
    found: id === '' ? undefined : { id, count },
    loss: lost === '' ? undefined : (JSON.parse(lost) as Loss),
    asks: asks !== '',
  };
}
