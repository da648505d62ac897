import { joinCalls, queueOptions, withScripts, type Redis } from '@dicom-dispatch/runtime';
import { FlowProducer, type FlowJob } from 'bullmq';

/** Maximum numbers of flows and of jobs in one transaction: Redis processes nothing else meanwhile. */
const maxJoinedFlows = 16;
const maxJoinedJobs = 64;

/**
 * Adds flows to the queues. Those of one iteration of the event loop are added in one transaction: a transaction for each would
 * take more CPU time than the jobs. Each flow succeeds or fails alone.
 */
export class JoinedFlows {
  readonly #redis: Redis;
  readonly #producer: CheckedFlows;
  readonly #add = joinCalls((flows: readonly FlowJob[]) => this.#addAll(flows));

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#producer = new CheckedFlows(queueOptions(redis, prefix));
    // The connection reports when Redis is unavailable.
    this.#producer.on('error', () => {});
  }

  /** Resolves when Redis has stored all jobs of the flow. Adding it again changes nothing while its jobs exist. */
  async add(flow: FlowJob): Promise<void> {
    const failure = await this.#add(flow);
    if (failure) throw failure.error;
  }

  async close(): Promise<void> {
    await this.#producer.close();
  }

  async #addAll(flows: readonly FlowJob[]): Promise<Failure[]> {
    return (await Promise.all(partsOf(flows).map((part) => this.#addTogether(part)))).flat();
  }

  async #addTogether(flows: readonly FlowJob[]): Promise<Failure[]> {
    try {
      return await withScripts(this.#redis, async () => {
        const failures = await this.#producer.addChecked(flows);
        const missingScript = failures.find((failure) => failure?.error.message.startsWith('NOSCRIPT'));
        if (missingScript) throw missingScript.error;
        return failures;
      });
    } catch (error) {
      if (flows.length === 1) return [{ error: error as Error }];
      // The cause may be one of them.
      return (await Promise.all(flows.map((flow) => this.#addTogether([flow])))).flat();
    }
  }
}

/** Divides flows among transactions, in their order. A flow is not divided, although it alone may have more jobs. */
function partsOf(flows: readonly FlowJob[]): FlowJob[][] {
  const parts: FlowJob[][] = [];
  let jobs = 0;
  for (const flow of flows) {
    const own = 1 + (flow.children?.length ?? 0);
    const part = parts.at(-1);
    if (part && part.length < maxJoinedFlows && jobs + own <= maxJoinedJobs) {
      part.push(flow);
      jobs += own;
    } else {
      parts.push([flow]);
      jobs = own;
    }
  }
  return parts;
}

type Failure = { readonly error: Error } | undefined;

class CheckedFlows extends FlowProducer {
  /**
   * Adds flows in one transaction.
   *
   * @returns the first error of each flow; `addBulk` of BullMQ reports none
   * @throws if the transaction as a whole fails
   */
  async addChecked(flows: readonly FlowJob[]): Promise<Failure[]> {
    await this.waitUntilReady();
    const each = await Promise.all(
      flows.map(async (flow) => {
        const entries: Parameters<FlowProducer['addNodes']>[0] = [];
        await this.addNodes(entries, [flow]);
        return entries;
      }),
    );
    const results = await this.backend.addFlow(each.flat());
    let from = 0;
    return each.map((entries) => {
      const own = results.slice(from, (from += entries.length));
      if (own.length < entries.length) return { error: new Error('Redis has not stored a flow') };
      const failed = own.find(([error]) => error !== null);
      if (failed?.[0]) return { error: failed[0] };
      // A job of a delivery that exists already, for another task, is left as it is.
      const code = own[0]?.[1];
      if (typeof code !== 'number' || code >= 0) return undefined;
      return { error: new Error(`BullMQ refuses a study task (${code})`) };
    });
  }
}
