import { FairQueue } from './fair-queue.ts';

/** A browser that has signed in here before as the same person has a lane of its own. */
export type Lane = 'known' | 'unknown';

const maxWaiting = 64;
const maxWaitingPerClient = 16;
/** After a wrong password the lane rests for this many times as long as the hash took: a third of a core at most. */
const restFactor = 2;

interface Task {
  readonly run: () => Promise<void>;
}

/**
 * Bounds how many passwords are hashed at a time: one in each lane, whoever asks. Hashes run in Node's thread pool, which
 * reading files and resolving names need too.
 */
export class HashGate {
  readonly #lanes: Readonly<Record<Lane, { readonly queue: FairQueue<Task>; isBusy: boolean }>> = {
    known: { queue: new FairQueue(maxWaiting, maxWaitingPerClient), isBusy: false },
    unknown: { queue: new FairQueue(maxWaiting, maxWaitingPerClient), isBusy: false },
  };

  /** @returns whether the password is right; `busy`, without having looked, when too many wait */
  async check(lane: Lane, client: string, isRight: () => Promise<boolean>): Promise<boolean | 'busy'> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const run = async (): Promise<void> => {
      const from = performance.now();
      let passed = false;
      try {
        passed = await isRight();
        resolve(passed);
      } catch (error) {
        reject(error as Error);
      }
      if (!passed && lane === 'unknown') await pause((performance.now() - from) * restFactor);
    };
    if (!this.#lanes[lane].queue.push(client, { run })) return 'busy';
    void this.#work(lane);
    return promise;
  }

  async #work(name: Lane): Promise<void> {
    const lane = this.#lanes[name];
    if (lane.isBusy) return;
    lane.isBusy = true;
    for (let task = lane.queue.shift(); task; task = lane.queue.shift()) await task.run();
    lane.isBusy = false;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}
