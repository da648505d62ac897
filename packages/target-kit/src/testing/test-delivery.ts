import { asDispatchError, DispatchError, stages, type Stage, type TargetConfig } from '@dicom-dispatch/core';
import type {
  DeliveryRun,
  InstanceBytes,
  InstanceOutcome,
  ManifestInstance,
  RunState,
  TargetHandler,
} from '../contract/index.ts';
import { memoryMailbox } from './memory-mailbox.ts';
import type { TestInstance, TestStudy } from './test-study.ts';

/** Actions of a test during an attempt. */
export interface AttemptHooks {
  readonly signal?: AbortSignal;
  /** Called before each chunk: the source throws its error, and waits for its promise. */
  onChunk?(at: ChunkPosition): void | Promise<void>;
  /**
   * Called before the last chunk, which the guard of a source holds back until it has verified all: the source throws its error.
   */
  onEnd?(at: ChunkPosition): void | Promise<void>;
  onOpen?(instance: ManifestInstance): void | Promise<void>;
  onReport?(instance: ManifestInstance, outcome: InstanceOutcome): void | Promise<void>;
  /** Replaces these parts of the run that the handler receives. */
  readonly run?: Partial<DeliveryRun<never>>;
}

export interface ChunkPosition {
  /** In order of opening, from 0. */
  readonly openIndex: number;
  readonly instance: ManifestInstance;
  readonly readBytes: number;
}

/** Result of an attempt. */
export interface Attempt {
  /** The error that `deliver` threw, with the stage to which it is attributed. */
  readonly error: DispatchError | undefined;
  readonly stages: readonly Stage[];
  /** SOP Instance UIDs in order of opening. */
  readonly opened: readonly string[];
  readonly reported: ReadonlyMap<string, InstanceOutcome>;
  readonly sentBytes: number;
}

/**
 * One delivery through its attempts, with an in-memory ledger, in the role of the dispatcher, for tests of handlers. It also
 * verifies that a handler fulfils the contract, and throws otherwise.
 */
export class TestDelivery<Config extends TargetConfig> {
  readonly handler: TargetHandler<Config>;
  readonly study: TestStudy;
  readonly deliveryId: string;
  /** Content of the ledger, with warnings. */
  readonly ledger = new Map<string, InstanceOutcome>();
  readonly state = new Map<string, unknown>();
  readonly mailbox = memoryMailbox();
  /** Values stored with the target; pass the same map to deliveries that should share it. */
  memory = new Map<string, unknown>();
  readonly logged: { readonly text: string; readonly facts: Record<string, unknown> | undefined }[] = [];
  /** Calls of handlers on a run that they had already ended: none if they fulfil the contract. */
  readonly late: string[] = [];
  /** Instances that were open at the source at the same time, at most. */
  maxOpen = 0;
  attempts = 0;
  #openNow = 0;

  constructor(handler: TargetHandler<Config>, study: TestStudy, deliveryId = 'test-delivery') {
    this.handler = handler;
    this.study = study;
    this.deliveryId = deliveryId;
  }

  get pending(): ManifestInstance[] {
    return this.study.instances.map(({ manifest }) => manifest).filter((one) => !this.ledger.has(one.sopInstanceUid));
  }

  /** Runs `deliver` once with pending instances. Never throws errors of the handler: they are in the result. */
  async attempt(config: Config, hooks: AttemptHooks = {}): Promise<Attempt> {
    this.attempts += 1;
    const seen = { stages: [] as Stage[], opened: [] as string[], sentBytes: 0 };
    const reported = new Map<string, InstanceOutcome>();
    let error: DispatchError | undefined;
    let settled = false;
    const note = (what: string): void => void (settled && this.late.push(what));
    const run: DeliveryRun<Config> = {
      config,
      targetName: 'under-test',
      deliveryId: this.deliveryId,
      attempt: this.attempts,
      priority: 'normal',
      study: this.study.tags,
      manifest: this.study.instances.map(({ manifest }) => manifest),
      pending: this.pending,
      open: (instance) => {
        note('open');
        return this.#open(instance, seen.opened, hooks, note);
      },
      stage: (stage) => {
        note('stage');
        const last = seen.stages.at(-1);
        if (last !== undefined && stages.indexOf(stage) < stages.indexOf(last)) {
          throw new Error(`the handler went from stage ${last} back to ${stage}`);
        }
        if (last !== stage) seen.stages.push(stage);
      },
      report: async (instance, outcome) => {
        note('report');
        if (this.ledger.has(instance.sopInstanceUid)) throw new Error(`${instance.sopInstanceUid} was reported twice`);
        await hooks.onReport?.(instance, outcome);
        this.ledger.set(instance.sopInstanceUid, outcome);
        reported.set(instance.sopInstanceUid, outcome);
      },
      revoke: async (instance) => {
        note('revoke');
        this.ledger.delete(instance.sopInstanceUid);
        reported.delete(instance.sopInstanceUid);
      },
      sent: (bytes) => {
        note('sent');
        seen.sentBytes += bytes;
      },
      state: keptIn(this.state),
      memory: keptIn(this.memory),
      mailbox: this.mailbox,
      log: {
        info: (text, facts) => void this.logged.push({ text, facts }),
        warn: (text, facts) => void this.logged.push({ text, facts }),
      },
      signal: hooks.signal ?? new AbortController().signal,
      ...(hooks.run as Partial<DeliveryRun<Config>>),
    };
    try {
      await this.handler.deliver(run);
    } catch (thrown) {
      error =
        thrown instanceof DispatchError
          ? asDispatchError(thrown, thrown.stageGiven ? undefined : seen.stages.at(-1))
          : undefined;
      if (!error) throw thrown;
    } finally {
      settled = true;
    }
    return { error, reported, ...seen };
  }

  async #open(
    instance: ManifestInstance,
    opened: string[],
    hooks: AttemptHooks,
    note: (what: string) => void,
  ): Promise<InstanceBytes> {
    const source = this.study.instances.find(({ manifest }) => manifest.sopInstanceUid === instance.sopInstanceUid);
    if (!source) throw new DispatchError('source-instance-gone', 'the source does not have this instance');
    const openIndex = opened.push(instance.sopInstanceUid) - 1;
    await hooks.onOpen?.(instance);
    this.#openNow += 1;
    this.maxOpen = Math.max(this.maxOpen, this.#openNow);
    const body = this.#body(source, openIndex, hooks, note);
    return { sizeBytes: instance.sizeBytes, body, ...(source.releaseChunk && { releaseChunk: source.releaseChunk }) };
  }

  /** An iterator with `destroy`, like a stream, so that it can be released before it is read. */
  #body(
    source: TestInstance,
    openIndex: number,
    hooks: AttemptHooks,
    note: (what: string) => void,
  ): AsyncIterable<Uint8Array> {
    const instance = source.manifest;
    let readBytes = 0;
    let ended = false;
    const end = (): void => {
      if (!ended) this.#openNow -= 1;
      ended = true;
    };
    async function* read(): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of source.read()) {
          await hooks.onChunk?.({ openIndex, instance, readBytes });
          readBytes += chunk.byteLength;
          if (readBytes >= instance.sizeBytes) await hooks.onEnd?.({ openIndex, instance, readBytes });
          note('read');
          yield chunk;
        }
      } finally {
        end();
      }
    }
    return Object.assign(read(), { destroy: end });
  }

  /** Instances that are open at the source now: none after the end of an attempt. */
  get openNow(): number {
    return this.#openNow;
  }
}

/** As with Redis: only JSON values are returned. */
export function keptIn(values: Map<string, unknown>): RunState {
  return {
    get: async <T>(key: string) => structuredClone(values.get(key)) as T | undefined,
    set: async (key, value) => void values.set(key, JSON.parse(JSON.stringify(value))),
    delete: async (key) => void values.delete(key),
  };
}
