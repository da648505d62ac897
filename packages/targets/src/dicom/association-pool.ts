import { setTimeout as sleep } from 'node:timers/promises';
import { asDispatchError, DispatchError } from '@dicom-dispatch/core';
import { isDimseError, type Association, type ConnectOptions } from 'dicom-dimse';
import type { RunLog } from '@dicom-dispatch/target-kit';
import { dicomError } from './errors.ts';
import { receiverAt, type Receiver } from './receiver.ts';

/** Maximum wait for a further association. */
const maxConnectWaitMs = 1_000;
const minConnectWaitMs = 100;
/** If the receiver ends this number of consecutive associations without confirming an instance, there is no progress. */
const maxFruitless = 3;
/** A receiver that accepts one association at a time may need some time to detect the end of the last one. */
const reopenPausesMs = [200, 500, 1_000];

/**
 * The associations of one delivery. The first is required; further ones are opened when a lane requests them. If the receiver accepts
 * no more, or does not respond to their requests (because it serves associations sequentially), the lanes share the existing ones.
 * An association that the receiver ends is opened again, as long as instances are confirmed meanwhile.
 */
export class AssociationPool {
  readonly #options: ConnectOptions;
  readonly #receiver: Receiver;
  readonly #log: RunLog;
  readonly #associations = new Map<number, Association>();
  readonly #opening = new Map<number, Promise<Association>>();
  /** Numbers of associations that are still being opened after the maximum wait. */
  readonly #late = new Set<number>();
  readonly #closing = new AbortController();
  readonly #used = new WeakSet<Association>();
  readonly #confirmed = new WeakMap<Association, number>();
  #confirmedInAll = 0;
  #barrenInRow = 0;
  #lastLoss: DispatchError | undefined;
  /** Why a further association was not established. */
  #refusal: string | undefined;
  #connectWaitMs = maxConnectWaitMs;
  #openMs = 0;

  private constructor(options: ConnectOptions, log: RunLog) {
    this.#options = options;
    this.#log = log;
    this.#receiver = receiverAt(options);
  }

  /** @throws DispatchError of stage `connect`; `target-busy` if all accepted associations are used by other deliveries */
  static async open(options: ConnectOptions, log: RunLog): Promise<AssociationPool> {
    const pool = new AssociationPool(options, log);
    const start = performance.now();
    await pool.#openFirst();
    pool.#openMs = performance.now() - start;
    pool.#connectWaitMs = Math.min(maxConnectWaitMs, Math.max(minConnectWaitMs, 3 * pool.#openMs));
    return pool;
  }

  /** Milliseconds that it took to open the first association. */
  get openMs(): number {
    return this.#openMs;
  }

  /** The association with this number, counted from 0, or another one if it does not exist; opened again if it ended. */
  async get(number: number): Promise<Association> {
    return this.#alive(number) ?? (number === 0 ? undefined : await this.#further(number)) ?? this.#any();
  }

  /** Releases all associations and opens a new one. */
  async fresh(): Promise<Association> {
    await this.#endAll((association) => association.release());
    return this.#again();
  }

  /** Notes that an instance is sent on this association. */
  use(association: Association): void {
    this.#used.add(association);
  }

  /** Notes that an instance was confirmed on this association. */
  confirmed(association: Association): void {
    this.#confirmed.set(association, (this.#confirmed.get(association) ?? 0) + 1);
    this.#confirmedInAll += 1;
    this.#barrenInRow = 0;
    if (this.#refusal !== undefined) this.#learn(this.#refusal);
    this.#refusal = undefined;
  }

  /** Releases all; with `isAbort` immediately. */
  async close(isAbort: boolean): Promise<void> {
    // Their requests got no response while other associations of this delivery were served.
    if (this.#late.size > 0 && this.#confirmedInAll > 0) this.#learn('not answered');
    this.#closing.abort();
    await Promise.allSettled(this.#opening.values());
    await this.#endAll(async (association) => (isAbort ? association.abort() : association.release()));
  }

  async #endAll(end: (association: Association) => Promise<void>): Promise<void> {
    await Promise.all(Array.from(this.#associations.values(), end));
    this.#associations.clear();
  }

  #alive(number: number): Association | undefined {
    const association = this.#associations.get(number);
    return association?.hasEnded === false ? association : undefined;
  }

  async #any(): Promise<Association> {
    for (const [number] of this.#associations) {
      const association = this.#alive(number);
      if (association) return association;
    }
    if (this.#isStuck) throw this.#lastLoss;
    const opening = this.#opening.get(0) ?? this.#again();
    this.#opening.set(0, opening);
    return opening.finally(() => this.#opening.delete(0));
  }

  /** Whether the receiver ends associations without confirming anything. */
  get #isStuck(): boolean {
    return this.#lastLoss !== undefined && (this.#confirmedInAll === 0 || this.#barrenInRow >= maxFruitless);
  }

  /** Opens the first association again. @throws DispatchError if that fails; with the code of the last loss, if there was one */
  async #again(): Promise<Association> {
    for (const pauseMs of [...reopenPausesMs, undefined]) {
      try {
        return await this.#open(0);
      } catch (thrown) {
        const error = asDispatchError(thrown);
        if (error.disposition === 'halt' || this.#isClosing) throw thrown;
        if (pauseMs !== undefined && !isTimeout(error)) {
          await sleep(pauseMs, undefined, { signal: this.#closing.signal }).catch(() => {});
          continue;
        }
        if (!this.#lastLoss) throw thrown;
        const { code, message } = this.#lastLoss;
        throw new DispatchError(code, `${message}; no new association: ${error.message}`, { cause: this.#lastLoss });
      }
    }
    throw new Error('unreachable');
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted || this.#options.signal?.aborted === true;
  }

  /** The association with this number; undefined as long as the receiver does not accept it. */
  async #further(number: number): Promise<Association | undefined> {
    const isNew = !this.#opening.has(number);
    if (isNew && (this.#receiver.isFull || this.#isStuck)) return undefined;
    if (isNew) {
      const opening = this.#open(number);
      this.#opening.set(number, opening);
      const settled = (): void => {
        this.#opening.delete(number);
        this.#late.delete(number);
      };
      opening.then(settled, (error: unknown) => {
        settled();
        if (!this.#isClosing) this.#refused(asDispatchError(error).code);
      });
      const over = new AbortController();
      const waitSignal = sleep(this.#connectWaitMs, 'late', { signal: over.signal }).catch(() => undefined);
      const first = await Promise.race([opening.catch(() => undefined), waitSignal]);
      over.abort();
      if (first === 'late') this.#late.add(number);
    }
    return this.#alive(number);
  }

  async #openFirst(): Promise<void> {
    const { signal = this.#closing.signal, associationTimeoutMs = 30_000 } = this.#options;
    const waitSignal = AbortSignal.any([signal, AbortSignal.timeout(associationTimeoutMs)]);
    try {
      await this.#open(0, waitSignal);
    } catch (thrown) {
      const error = asDispatchError(thrown);
      const isLimit = error.disposition === 'wait' || error.code === 'target-busy';
      if (!isLimit || this.#receiver.open === 0) throw thrown;
      this.#learn(error.code);
      const max = this.#receiver.open;
      throw new DispatchError(
        'target-busy',
        `the receiver accepts no more than ${max} association${max === 1 ? '' : 's'} at the same time: ${error.message}`,
        {
          stage: 'connect',
          cause: thrown,
          remedy: 'The instances are sent later. Set concurrency to the number that the receiver accepts.',
        },
      );
    }
  }

  /** A rejection shows a limit of the receiver. Any other failure may be caused by the network, until an instance is confirmed. */
  #refused(code: string): void {
    if (code === 'target-busy') this.#learn(code);
    else this.#refusal = code;
  }

  #learn(reason: string): void {
    if (!this.#receiver.refused()) return;
    this.#log.info('receiver accepts fewer associations', { associations: this.#receiver.max, reason });
  }

  /** @throws DispatchError of stage `connect` */
  async #open(number: number, waitSignal?: AbortSignal): Promise<Association> {
    const { signal } = this.#options;
    const closing = this.#closing.signal;
    const options = {
      ...this.#options,
      ...this.#timeouts(),
      signal: signal ? AbortSignal.any([signal, closing]) : closing,
    };
    const association = await this.#receiver.connect(options, waitSignal).catch((error: unknown) => {
      throw dicomError(error, 'connect');
    });
    this.#associations.set(number, association);
    void association.ended.then((error) => this.#ended(association, error));
    return association;
  }

  /** Shorter timeouts for a receiver that has not responded in time before. */
  #timeouts(): Partial<ConnectOptions> {
    const { responseTimeoutMs = 0, associationTimeoutMs, connectTimeoutMs } = this.#options;
    if (this.#lastLoss?.code !== 'target-timeout' || responseTimeoutMs <= 0) return {};
    return {
      associationTimeoutMs: Math.min(responseTimeoutMs, associationTimeoutMs ?? responseTimeoutMs),
      connectTimeoutMs: Math.min(responseTimeoutMs, connectTimeoutMs ?? responseTimeoutMs),
    };
  }

  #ended(association: Association, error: Error | undefined): void {
    // An association that we ended ourselves proves nothing about the receiver.
    if (error === undefined || isDimseError(error, 'association-ended', 'cancelled')) return;
    // It was idle for too long, because the source was slow: it is opened again when an instance is ready.
    if (!this.#used.has(association)) return;
    this.#lastLoss = dicomError(error) as DispatchError;
    if (!this.#confirmed.has(association)) this.#barrenInRow += 1;
  }
}

function isTimeout({ cause }: DispatchError): boolean {
  return isDimseError(cause, 'association-timeout', 'connect-timeout');
}
