import { createHash, type Hash } from 'node:crypto';
import { checkHead } from './check-head.ts';
import { sizeDeviation, type Deviation, type GuardOptions, type OfferedBytes } from './guard-options.ts';
import { readHead, type FileHead } from './read-head.ts';

/** Maximum number of bytes collected for a header in small pieces. Real ones have a few hundred bytes. */
const maxHeadBytes = 256 * 1024;

type Step = IteratorResult<Uint8Array, undefined>;
const done: Step = { done: true, value: undefined };

/**
 * The bytes of an instance. State `head` until the header was read and compared, then `passing`; `ended`
 * after everything was verified, or permanently `failed`: then each further call fails in the same way and never returns the
 * end.
 */
export class GuardedBody implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #options: GuardOptions;
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #sizeBytes: number | undefined;
  #state: 'head' | 'passing' | 'ended' | 'failed' = 'head';
  #failure: unknown;
  #count = 0;
  /** Checked chunks that were not requested yet. */
  #ready: Buffer[] = [];
  #hash: Hash | undefined;
  #md5: Promise<string | undefined> | undefined;
  #head: FileHead | undefined;
  #isProven = true;

  constructor(offered: OfferedBytes, options: GuardOptions) {
    this.#options = options;
    this.#iterator = offered.body[Symbol.asyncIterator]();
    this.#sizeBytes = options.expected.sizeBytes ?? offered.sizeBytes;
    if (options.digest === true) this.#beginDigest([]);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<Step> {
    const ready = this.#ready.shift();
    if (ready !== undefined) return this.#counted({ done: false, value: ready });
    if (this.#state === 'ended') return done;
    if (this.#state === 'failed') throw this.#failure;
    try {
      return this.#counted(await this.#advance());
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  #counted(step: Step): Step {
    const { tally } = this.#options;
    if (tally === undefined) return step;
    const isLast = this.#state === 'ended' && this.#ready.length === 0;
    if (step.done !== true) tally.add(step.value, isLast);
    else if (isLast) tally.end();
    return step;
  }

  async return(): Promise<Step> {
    this.#ready = [];
    if (this.#state !== 'failed') this.#state = 'ended';
    this.#leave();
    return done;
  }

  /** Fails before anything was read. */
  async refuse(deviation: Deviation): Promise<never> {
    throw await this.#fail(this.#options.wrong(deviation));
  }

  /** Reads up to the data set, before the first chunk is requested. @returns undefined for an unreadable header */
  async readHead(): Promise<FileHead | undefined> {
    try {
      const first = await this.#advance();
      if (!first.done) this.#ready.unshift(first.value as Buffer);
    } catch (error) {
      throw await this.#fail(error);
    }
    return this.#head;
  }

  /** Puts other bytes in the place of the first ones. To be called after `readHead`. */
  replaceHead(length: number, header: Buffer): void {
    let left = length;
    while (left > 0) {
      const first = this.#ready.shift();
      if (first === undefined) throw new Error('the header was already returned');
      if (first.length > left) this.#ready.unshift(first.subarray(left));
      left -= Math.min(left, first.length);
    }
    this.#ready.unshift(header);
  }

  /** The next checked chunk. One that completes the size is held back until the source has ended and all is verified. */
  async #advance(): Promise<Step> {
    const held: Buffer[] = [];
    for (;;) {
      const step = await this.#iterator.next();
      if (step.done === true) return this.#end(held);
      const chunk = bufferOf(step.value);
      if (chunk.length === 0) continue;
      this.#count += chunk.length;
      if (this.#count > (this.#sizeBytes ?? this.#options.expected.maxBytes)) this.#wrongSize();
      this.#hash?.update(chunk);
      held.push(chunk);
      if (this.#state !== 'head') this.#options.inspector?.add(chunk);
      else if (this.#tryHead(held, false)) this.#beginInspection(held);
      else continue;
      if (this.#count === this.#sizeBytes) continue;
      return this.#handOut(held);
    }
  }

  async #end(held: Buffer[]): Promise<Step> {
    const isShort = this.#sizeBytes === undefined ? this.#count === 0 : this.#count < this.#sizeBytes;
    if (isShort) this.#wrongSize();
    if (this.#state === 'head') {
      this.#tryHead(held, true);
      this.#beginInspection(held);
    }
    if (this.#hash) await this.#compareDigest(this.#hash);
    this.#options.inspector?.end();
    this.#state = 'ended';
    this.#options.ended?.();
    return held.length === 0 ? done : this.#handOut(held);
  }

  #beginInspection(held: readonly Buffer[]): void {
    const { inspector } = this.#options;
    if (inspector === undefined || this.#head === undefined) return;
    inspector.begin(this.#head);
    for (const chunk of held) inspector.add(chunk);
  }

  #handOut(chunks: Buffer[]): Step {
    const [first, ...others] = chunks;
    if (others.length > 0) this.#ready.push(...others);
    return first === undefined ? done : { done: false, value: first };
  }

  /** @returns whether the header was processed; otherwise more bytes are needed */
  #tryHead(held: readonly Buffer[], isComplete: boolean): boolean {
    const { expected } = this.#options;
    const [only] = held;
    const bytes = held.length === 1 && only !== undefined ? only : Buffer.concat(held);
    const isAll = isComplete || bytes.length >= maxHeadBytes;
    const read = readHead(bytes, isAll, expected.transferSyntaxUid);
    if (read.kind === 'more') return false;
    this.#state = 'passing';
    if (read.kind === 'read') {
      const verdict = checkHead(read.head, expected);
      if (typeof verdict === 'object') throw this.#options.wrong({ kind: 'head', ...verdict });
      this.#head = read.head;
      if (verdict === 'same') return true;
    }
    // Only the digest can decide.
    this.#isProven = false;
    const hash = this.#hash ?? this.#beginDigest(held);
    if (hash === undefined) throw this.#noInstance();
    return true;
  }

  /** @returns undefined if the source has no digest of it */
  #beginDigest(chunks: readonly Buffer[]): Hash | undefined {
    const { readMd5 } = this.#options;
    if (readMd5 === undefined) return undefined;
    this.#hash = createHash('md5');
    for (const chunk of chunks) this.#hash.update(chunk);
    this.#md5 = readMd5();
    // Waiting callers get the error.
    this.#md5.catch(() => {});
    return this.#hash;
  }

  async #compareDigest(hash: Hash): Promise<void> {
    const expected = await this.#md5;
    const came = hash.digest('hex');
    if (expected === undefined) {
      if (!this.#isProven) throw this.#noInstance();
      return;
    }
    if (expected.toLowerCase() !== came) {
      throw this.#options.wrong({ kind: 'digest', expected: `MD5 ${expected}`, came: `MD5 ${came}` });
    }
  }

  #wrongSize(): never {
    throw this.#options.wrong(sizeDeviation({ ...this.#options.expected, sizeBytes: this.#sizeBytes }, this.#count));
  }

  #noInstance(): Error {
    const { sopInstanceUid } = this.#options.expected;
    return this.#options.wrong({ kind: 'head', expected: `instance ${sopInstanceUid}`, came: 'something else' });
  }

  /** Closes the source without waiting for it: it may hang in `next`. */
  #leave(): void {
    this.#options.ended?.();
    const left = this.#iterator.return?.();
    left?.catch(() => {});
  }

  async #fail(error: unknown): Promise<unknown> {
    if (this.#state === 'failed') return this.#failure;
    this.#state = 'failed';
    this.#ready = [];
    this.#leave();
    this.#failure = await this.#options.failed(error);
    return this.#failure;
  }
}

function bufferOf(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
