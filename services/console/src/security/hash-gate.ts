import { FairQueue } from './fair-queue.ts';

/** A browser in which the same user has signed in before has a separate lane. */
export type Lane = 'known' | 'unknown';

const maxWaiting = 64;
const maxWaitingPerClient = 16;
/** After a wrong password its client waits for this multiple of the duration of the hash, and all clients for the duration. */
const restFactor = 9;
const maxRestMs = 2_000;
const maxRestOfAllMs = 100;

interface Task {
  readonly run: () => Promise<boolean>;
}

/**
 * Limits the number of passwords that are hashed at a time: one per lane. Clients wait after a wrong password, and requests of
 * others are served first: in each lane, one client uses about a tenth of a core, and all clients use about a half.
 */
export class HashGate {
  readonly #lanes: Readonly<Record<Lane, LaneState>> = { known: new LaneState(), unknown: new LaneState() };

  /** @returns whether the password is right; `busy`, without a check, if too many wait */
  async check(lane: Lane, client: string, isRight: () => Promise<boolean>): Promise<boolean | 'busy'> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const run = async (): Promise<boolean> => {
      try {
        const passed = await isRight();
        resolve(passed);
        return passed;
      } catch (error) {
        reject(error as Error);
        return false;
      }
    };
    const state = this.#lanes[lane];
    if (!state.queue.push(client, { client, run })) return 'busy';
    void state.work();
    return promise;
  }
}

class LaneState {
  readonly queue = new FairQueue<Task & { readonly client: string }>(maxWaiting, maxWaitingPerClient);
  readonly #restUntil = new Map<string, number>();
  #isBusy = false;
  #wake: () => void = () => {};

  /** Call this after a request was added. */
  async work(): Promise<void> {
    this.#wake();
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (this.queue.size > 0) {
      const now = performance.now();
      for (const [client, until] of this.#restUntil) if (until <= now) this.#restUntil.delete(client);
      const task = this.queue.shift((client) => !this.#restUntil.has(client));
      if (task) await this.#run(task);
      else await this.#nextMayGo(Math.min(...this.#restUntil.values()) - now);
    }
    this.#isBusy = false;
  }

  async #run({ client, run }: Task & { readonly client: string }): Promise<void> {
    const from = performance.now();
    if (await run()) return;
    const tookMs = performance.now() - from;
    this.#restUntil.set(client, performance.now() + Math.min(maxRestMs, tookMs * restFactor));
    await pause(Math.min(maxRestOfAllMs, tookMs));
  }

  /** Until a client has waited long enough, or another one arrives. */
  async #nextMayGo(ms: number): Promise<void> {
    await Promise.race([pause(ms), new Promise<void>((resolve) => (this.#wake = resolve))]);
    this.#wake = () => {};
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, Math.max(1, ms)).unref());
}
