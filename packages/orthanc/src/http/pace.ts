import { OrthancError } from '../orthanc-error.ts';
import type { CallName } from '../translate-error.ts';

export interface PaceOptions {
  /** Minimum bytes per second; 0 = no limit. */
  readonly minBytesPerSecond: number;
  /** Averaging period, in milliseconds. */
  readonly windowMs: number;
}

/**
 * The rate of one body, counted only while we wait for the server: without a minimum rate, a server that sends a byte within
 * each timeout would never time out.
 */
export class Pace {
  readonly #options: PaceOptions;
  #waitedMs = 0;
  #bytes = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /**
   * Counts one step of the server.
   *
   * @returns true when it was too slow over the last window
   */
  isTooSlow(waitedMs: number, bytes: number): boolean {
    const { minBytesPerSecond, windowMs } = this.#options;
    this.#waitedMs += waitedMs;
    this.#bytes += bytes;
    if (this.#waitedMs < windowMs) return false;
    const isSlow = this.#bytes * 1000 < minBytesPerSecond * this.#waitedMs;
    this.#waitedMs = 0;
    this.#bytes = 0;
    return isSlow;
  }
}

/** A body that the server sends; fails as `timeout` if it is too slow. */
export async function* pacedDown(
  body: AsyncIterable<Uint8Array>,
  options: PaceOptions,
  call: CallName,
): AsyncGenerator<Uint8Array, undefined> {
  const pace = new Pace(options);
  let since = performance.now();
  for await (const chunk of body) {
    if (pace.isTooSlow(performance.now() - since, chunk.length)) throw tooSlow(call, options);
    yield chunk;
    since = performance.now();
  }
}

/** A body that the server receives; fails as `timeout` if it is too slow. */
export async function* pacedUp(
  body: AsyncIterable<Uint8Array>,
  options: PaceOptions,
  call: CallName,
): AsyncGenerator<Uint8Array, undefined> {
  const pace = new Pace(options);
  for await (const chunk of body) {
    const since = performance.now();
    yield chunk;
    if (pace.isTooSlow(performance.now() - since, chunk.length)) throw tooSlow(call, options);
  }
}

export function tooSlow(call: CallName, { minBytesPerSecond }: PaceOptions): OrthancError {
  const text = `less than ${minBytesPerSecond} bytes a second; check the network, or lower minBytesPerSecond`;
  return new OrthancError('timeout', `${call.method} ${call.path}: ${text}`, call);
}
