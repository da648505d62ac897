import { DispatchError } from '@dicom-dispatch/core';
import type { Dispatcher } from 'undici';
import { throwIfCancelled } from '@dicom-dispatch/target-kit/flow';
import { decompress } from './decompress.ts';
import { networkError } from '@dicom-dispatch/target-kit/checks';
import type { ProgressTimeout } from './progress-timeout.ts';
import { retryAfterMs } from './retry-after.ts';

const discardMs = 2_000;

/** A response whose body has not been read yet. Read it with one of its methods, or discard it. */
export class HttpAnswer {
  readonly status: number;
  readonly #data: Dispatcher.ResponseData;
  readonly #host: string;
  readonly #progressTimeout: ProgressTimeout;
  readonly #signals: { readonly run: AbortSignal; readonly silent: AbortSignal };

  constructor(
    data: Dispatcher.ResponseData,
    host: string,
    progressTimeout: ProgressTimeout,
    signals: { readonly run: AbortSignal; readonly silent: AbortSignal },
  ) {
    this.status = data.statusCode;
    this.#data = data;
    this.#host = host;
    this.#progressTimeout = progressTimeout;
    this.#signals = signals;
  }

  header(name: string): string | undefined {
    const value = this.#data.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  /** All values of a repeatable header. */
  headers(name: string): readonly string[] {
    const value = this.#data.headers[name];
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
  }

  /** Media type in lower case, without its parameters; empty if there is none. */
  get mediaType(): string {
    return (this.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  }

  /** The wait that the target requests with `Retry-After`; undefined without one. */
  get retryAfterMs(): number | undefined {
    return retryAfterMs(this.header('retry-after'));
  }

  /**
   * The body as it arrives; the timeout counts only while a chunk is being waited for.
   *
   * @throws {DispatchError} while reading: lost, stalled, slow; `target-error` if it is longer than allowed, or compressed
   */
  async *chunks(maxBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
    if ((this.header('content-encoding') ?? 'identity').toLowerCase() !== 'identity') {
      await this.discard();
      throw new DispatchError('target-error', `an answer of ${this.#host} is compressed, which was not requested`);
    }
    yield* this.#chunks(maxBytes);
  }

  async *#chunks(maxBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
    const { body } = this.#data;
    let length = 0;
    try {
      this.#progressTimeout.start();
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        this.#progressTimeout.moved(chunk.byteLength);
        this.#signals.silent.throwIfAborted();
        length += chunk.byteLength;
        if (length > maxBytes) {
          throw new DispatchError('target-error', `an answer of ${this.#host} is longer than ${maxBytes} bytes`);
        }
        yield chunk;
        this.#progressTimeout.start();
      }
    } catch (thrown) {
      throwIfCancelled(this.#signals.run);
      this.#signals.silent.throwIfAborted();
      throw networkError(thrown, this.#host);
    } finally {
      this.#progressTimeout.pause();
      // After a body that was not read completely the socket cannot be reused.
      body.on('error', () => {}).destroy();
    }
  }

  /** The complete body, decompressed. @throws {DispatchError} as `chunks`, but not for a compressed body that can be decompressed */
  async bytes(maxBytes: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const chunk of this.#chunks(maxBytes)) parts.push(chunk);
    return decompress(Buffer.concat(parts), this.header('content-encoding'), { host: this.#host, maxBytes });
  }

  async text(maxBytes: number): Promise<string> {
    return (await this.bytes(maxBytes)).toString('utf8');
  }

  /** @throws {DispatchError} as `bytes`; `target-error` if the body is not JSON */
  async json(maxBytes: number): Promise<unknown> {
    const text = await this.text(maxBytes);
    try {
      return JSON.parse(text);
    } catch {
      // The error of JSON.parse quotes the text, which may name a patient.
      throw new DispatchError('target-error', `an answer of ${this.#host} is not JSON`);
    }
  }

  /** Reads and drops a short body, so that the socket can be used again. After a long body the socket is closed. */
  async discard(): Promise<void> {
    const { body } = this.#data;
    body.on('error', () => {});
    // A slow body is not waited for: a new socket is faster.
    const signal = AbortSignal.any([this.#signals.run, AbortSignal.timeout(discardMs)]);
    await body.dump({ limit: 128 * 1024, signal }).catch(() => body.destroy());
  }
}
