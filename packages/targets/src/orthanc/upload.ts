import { createHash, type Hash } from 'node:crypto';
import { isResourceId } from '@dicom-dispatch/orthanc';
import { z } from 'zod';
import type { DeliveryRun } from '@dicom-dispatch/target-kit';
import { LateReturns, metered, type OpenedInstance } from '@dicom-dispatch/target-kit/flow';
import { instanceFailure, leavesOpen, type HttpAnswer, type HttpConnection } from '../http/index.ts';
import { foreignAnswer, orthancError, uploading } from './errors.ts';
import { readSystem } from './read-system.ts';
import type { OrthancTarget } from './schema.ts';

/** Orthanc's response to an upload. */
export const storedInstance = z.object({ ID: z.string().refine(isResourceId), Status: z.string().max(100) });

/** The sent data, and the response of Orthanc. */
export interface Uploaded {
  /** Orthanc's id at the target. */
  readonly id: string;
  readonly status: string;
  readonly sentBytes: number;
  /** MD5 of the sent data in hexadecimal; only with `verify: md5`. */
  readonly md5: string | undefined;
}

/** `POST /instances` of one instance. A second `send` opens the source again. */
export class Upload {
  readonly #run: DeliveryRun<OrthancTarget>;
  readonly #http: HttpConnection;
  readonly #opened: OpenedInstance;
  readonly #signal: AbortSignal;
  #isUsed = false;
  #isWhole = false;
  #isOpen = false;
  #sentBytes = 0;
  #md5: Hash | undefined;

  constructor(run: DeliveryRun<OrthancTarget>, http: HttpConnection, opened: OpenedInstance, signal: AbortSignal) {
    this.#run = run;
    this.#http = http;
    this.#opened = opened;
    this.#signal = signal;
  }

  /** Whether all bytes were sent, and no response shows the result: the target may have the instance. */
  get isOpen(): boolean {
    return this.#isWhole && this.#isOpen;
  }

  /** Closes the source's connection, so that the instance can be read for comparison; `send` opens the source again. */
  async release(): Promise<void> {
    this.#isUsed = true;
    await this.#opened.bytes.release();
  }

  /** @throws {DispatchError} the error that prevents the instance, or all of them, from arriving */
  async send(): Promise<Uploaded> {
    this.#isOpen = true;
    const answer = await this.#post().catch(async (thrown: unknown) => {
      throw await this.#judge(thrown);
    });
    this.#isOpen = leavesOpen(answer.status);
    if (answer.status !== 200) throw await this.#judge(await orthancError(answer, uploading));
    const parsed = storedInstance.safeParse(await answer.json(65_536).catch(() => undefined));
    if (!parsed.success) throw foreignAnswer(this.#http.host);
    const { ID: id, Status: status } = parsed.data;
    return { id, status, sentBytes: this.#sentBytes, md5: this.#md5?.digest('hex') };
  }

  #judge(thrown: unknown): Promise<unknown> {
    return instanceFailure(thrown, () => readSystem(this.#http, this.#signal), this.#signal);
  }

  #post(): Promise<HttpAnswer> {
    return this.#http.request({
      method: 'POST',
      path: '/instances',
      headers: { 'content-type': 'application/dicom' },
      body: () => this.#body(),
      bodyBytes: this.#opened.bytes.sizeBytes,
      // Content that the first try may have stored is compared.
      repeat: true,
      signal: this.#signal,
    });
  }

  async *#body(): AsyncGenerator<Uint8Array, void, undefined> {
    const { instance, bytes } = this.#opened;
    const { config } = this.#run;
    const isUsed = this.#isUsed;
    this.#isUsed = true;
    this.#sentBytes = 0;
    this.#isWhole = false;
    this.#md5 = config.verify === 'md5' ? createHash('md5') : undefined;
    // The opened bytes were used by the first try, or released.
    const again = isUsed
      ? metered(await this.#run.open(instance, { signal: this.#signal }), {
          sent: (count) => this.#run.sent(count),
          signal: this.#signal,
        })
      : undefined;
    try {
      for await (const chunk of new LateReturns().borrow(again ?? bytes)) {
        this.#sentBytes += chunk.byteLength;
        this.#md5?.update(chunk);
        yield chunk;
      }
      this.#isWhole = true;
    } finally {
      await again?.release();
    }
  }
}
