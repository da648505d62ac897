import { DispatchError, type ErrorRecord } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import type { Script } from '../redis/script.ts';
import { checkScript, failScript, probeNowScript, stateScript, succeedScript } from './circuit-scripts.ts';

/** The first pause after a target was found to be unreachable, and the longest. */
export interface CircuitPauses {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Maximum duration of a probe before another worker may try: a worker that was killed while probing never reports. */
const probeLeaseMs = 120_000;
/** How often in a row the delivery that failed last leaves the probe to another one. */
const maxYields = 3;

/** What a delivery may do now: go, probe (exclusively), wait, or (`yield`) let another one probe because it failed last. */
export type CircuitVerdict =
  | { readonly kind: 'closed' }
  | { readonly kind: 'probe' }
  | { readonly kind: 'open' | 'yield'; readonly retryInMs: number };

export interface CircuitState {
  readonly state: 'closed' | 'open' | 'probing';
  readonly openedAt: number | undefined;
  /** Failed tries since it opened. */
  readonly failures: number;
  /** By the clock of Redis. */
  readonly nextProbeAt: number | undefined;
  /** 0 if a probe is due. */
  readonly retryInMs: number;
  readonly error: ErrorRecord | undefined;
}

/**
 * The circuit of each target, shared by all workers through Redis. It opens if the target as a whole cannot be used.
 * Then one delivery at a time probes, with increasing pauses. It closes when the target confirms or rejects an
 * instance: a successful login is not sufficient, because it may come from a load balancer without available servers.
 * Every method throws DispatchError `ledger-unavailable` if Redis fails.
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

  /**
   * Call this before an attempt. The result `probe` is returned to one caller at a time, which must call `fail`,
   * `succeed` or `abandon`.
   */
  async check(target: string, deliveryId = ''): Promise<CircuitVerdict> {
    const keys = redisKeys(this.#prefix);
    const [kind, waitMs] = (await this.#run(
      checkScript,
      [keys.circuit(target), keys.circuitProbe(target), keys.index(`target:${target}:waiting`)],
      [probeLeaseMs, deliveryId, maxYields],
    )) as ['closed' | 'probe' | 'open' | 'yield', number];
    return kind === 'open' || kind === 'yield' ? { kind, retryInMs: waitMs } : { kind };
  }

  /**
   * @param deliveryId - the delivery that failed: another one probes next, and this one is woken when the circuit
   *   closes
   * @returns ms to wait, and whether this failure opened the circuit
   */
  async fail(
    target: string,
    error: ErrorRecord,
    { retryAfterMs = 0, deliveryId = '' }: { readonly retryAfterMs?: number; readonly deliveryId?: string } = {},
  ): Promise<{ waitMs: number; opened: boolean }> {
    const { firstMs, maxMs } = this.#pauses;
    const [waitMs, opened] = (await this.#run(failScript, this.#keys(target), [
      firstMs,
      maxMs,
      JSON.stringify(error),
      retryAfterMs,
      deliveryId,
    ])) as [number, number];
    return { waitMs, opened: opened === 1 };
  }

  /**
   * Allows the next delivery to probe an open circuit now, also the one that failed last.
   *
   * @returns false if it is closed
   */
  async probeNow(target: string): Promise<boolean> {
    return (await this.#run(probeNowScript, [redisKeys(this.#prefix).circuit(target)], [])) === 1;
  }

  /** Releases a probe that ended before it reached the target: the next delivery may probe immediately. */
  async abandon(target: string): Promise<void> {
    try {
      await this.#redis.del(redisKeys(this.#prefix).circuitProbe(target));
    } catch (error) {
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a circuit', { cause: error });
    }
  }

  /** @returns whether this success closed an open circuit, and the deliveries that waited for it */
  async succeed(target: string): Promise<{ readonly closed: boolean; readonly waiting: readonly string[] }> {
    const keys = [...this.#keys(target), redisKeys(this.#prefix).answered];
    const [closed, waiting] = (await this.#run(succeedScript, keys, [target])) as [number, string[]];
    return { closed: closed === 1, waiting };
  }

  /**
   * When the target last confirmed or rejected an instance, by the clock of Redis (ms since 1970); undefined if never.
   */
  async answeredAt(target: string): Promise<number | undefined> {
    try {
      const at = await this.#redis.hget(redisKeys(this.#prefix).answered, target);
      return at === null ? undefined : Number(at);
    } catch (error) {
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a circuit', { cause: error });
    }
  }

  async state(target: string): Promise<CircuitState> {
    const [flat, probing, now] = (await this.#run(stateScript, this.#keys(target), [])) as [string[], number, number];
    const fields = new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ''] as const] : [])));
    if (!fields.has('openedAt')) {
      return {
        state: 'closed',
        openedAt: undefined,
        failures: 0,
        nextProbeAt: undefined,
        retryInMs: 0,
        error: undefined,
      };
    }
    const nextProbeAt = Number(fields.get('nextProbeAt') ?? 0);
    return {
      state: probing === 1 ? 'probing' : 'open',
      openedAt: Number(fields.get('openedAt')),
      failures: Number(fields.get('failures') ?? 0),
      nextProbeAt,
      retryInMs: Math.max(0, nextProbeAt - now),
      error: JSON.parse(fields.get('error') ?? 'null') as ErrorRecord,
    };
  }

  #keys(target: string): [string, string, string] {
    const keys = redisKeys(this.#prefix);
    return [keys.circuit(target), keys.circuitProbe(target), keys.circuitWaiting(target)];
  }

  async #run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await script.run(this.#redis, keys, args);
    } catch (error) {
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a circuit', { cause: error });
    }
  }
}
