import { redisKeys } from '../keys/redis-keys.ts';
import { DispatchError, type ErrorRecord } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import type { Script } from '../redis/script.ts';
import { checkScript, failScript, succeedScript } from './circuit-scripts.ts';

/** The first pause after a target was found to be out of reach, and the longest. */
export interface CircuitPauses {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** How long a probe may take until another worker may try: a worker that was killed while probing never says. */
const probeLeaseMs = 120_000;

/** What a delivery may do now: go, probe (it alone goes), or wait. */
export type CircuitVerdict =
  | { readonly kind: 'closed' }
  | { readonly kind: 'probe' }
  | { readonly kind: 'open'; readonly retryInMs: number };

export interface CircuitState {
  readonly state: 'closed' | 'open' | 'probing';
  readonly openedAt: number | undefined;
  /** Failed tries since it opened. */
  readonly failures: number;
  readonly nextProbeAt: number | undefined;
  readonly error: ErrorRecord | undefined;
}

/**
 * The circuit of each target, shared by all workers through Redis. It opens when the target as a whole cannot be used;
 * then one delivery at a time probes, after longer and longer pauses, and the first that gets through closes it.
 */
export class Circuits {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #pauses: CircuitPauses;

  constructor(redis: Redis, prefix: string, pauses: CircuitPauses = { firstMs: 2_000, maxMs: 60_000 }) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#pauses = pauses;
  }

  /** Asked before an attempt. The answer `probe` is given to one caller at a time, who must report `fail`, `succeed` or `abandon`. */
  async check(target: string): Promise<CircuitVerdict> {
    const [kind, waitMs] = (await this.#run(checkScript, target, Date.now(), probeLeaseMs)) as [string, number];
    if (kind === 'open') return { kind, retryInMs: waitMs };
    return { kind: kind === 'probe' ? 'probe' : 'closed' };
  }

  /** @returns how long to wait, and whether this failure opened the circuit */
  async fail(target: string, error: ErrorRecord, retryAfterMs = 0): Promise<{ waitMs: number; opened: boolean }> {
    const [waitMs, opened] = (await this.#run(
      failScript,
      target,
      Date.now(),
      this.#pauses.firstMs,
      this.#pauses.maxMs,
      JSON.stringify(error),
      retryAfterMs,
    )) as [number, number];
    return { waitMs, opened: opened === 1 };
  }

  /** A probe that ended before it got to the target: the next delivery may probe at once. */
  async abandon(target: string): Promise<void> {
    try {
      await this.#redis.del(`${this.#key(target)}:probe`);
    } catch (error) {
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a circuit', { cause: error });
    }
  }

  /** @returns whether this success closed an open circuit */
  async succeed(target: string): Promise<boolean> {
    return (await this.#run(succeedScript, target)) === 1;
  }

  async state(target: string): Promise<CircuitState> {
    const [fields, probing] = await Promise.all([
      this.#redis.hgetall(this.#key(target)),
      this.#redis.exists(`${this.#key(target)}:probe`),
    ]);
    if (fields['openedAt'] === undefined) {
      return { state: 'closed', openedAt: undefined, failures: 0, nextProbeAt: undefined, error: undefined };
    }
    return {
      state: probing === 1 ? 'probing' : 'open',
      openedAt: Number(fields['openedAt']),
      failures: Number(fields['failures']),
      nextProbeAt: Number(fields['nextProbeAt']),
      error: JSON.parse(fields['error'] ?? 'null') as ErrorRecord,
    };
  }

  #key(target: string): string {
    return redisKeys(this.#prefix).circuit(target);
  }

  async #run(script: Script, target: string, ...args: (string | number)[]): Promise<unknown> {
    try {
      return await script.run(this.#redis, [this.#key(target), `${this.#key(target)}:probe`], args);
    } catch (error) {
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a circuit', { cause: error });
    }
  }
}
