import { Readable, type PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { isUid, type InstanceBytes } from '@dicom-dispatch/core';
import type { PullDestination } from '@dicom-dispatch/operations/pull';
import { ZipFile } from 'yazl';

/**
 * A ZIP file that is created while it is read, with an entry per instance, `INSTANCE.dcm`; only data in transit are held in memory.
 * An interrupted file has no central directory, so that its reader detects this.
 */
export class ZipDestination implements PullDestination {
  readonly #zip = new ZipFile();
  readonly #names = new Set<string>();
  readonly #begun = Promise.withResolvers<void>();
  readonly #brokenOff = Promise.withResolvers<never>();
  #movedBytes = 0;
  #brokenBy: Error | undefined;

  constructor() {
    this.#brokenOff.promise.catch(() => {});
    this.output.once('close', () => this.#brokenOff.reject(new Error('the download was aborted')));
  }

  /** The file. Destroyed by a reader that no longer needs it. */
  get output(): PassThrough {
    return this.#zip.outputStream as PassThrough;
  }

  /** Resolves when the first instance has arrived. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  /** Bytes of instances that were written so far. */
  get movedBytes(): number {
    return this.#movedBytes;
  }

  /** Why it was aborted by `break()`; undefined if it was not, or if its reader has disconnected. */
  get brokenBy(): Error | undefined {
    return this.#brokenBy;
  }

  /** Whether no instance was received. */
  get isEmpty(): boolean {
    return this.#names.size === 0;
  }

  /** Whether bytes wait for its reader. */
  get waitsForReader(): boolean {
    return this.output.readableLength > 0;
  }

  has(sopInstanceUid: string): boolean {
    return this.#names.has(sopInstanceUid);
  }

  /** The UID becomes the name of a file. */
  canKeep(sopInstanceUid: string): boolean {
    return isUid(sopInstanceUid);
  }

  async store(sopInstanceUid: string, { body }: InstanceBytes): Promise<void> {
    this.#names.add(sopInstanceUid);
    const counted = Readable.from(this.#count(body), { objectMode: false });
    // A partial entry cannot be removed.
    counted.once('error', (error) => this.break(error));
    this.#zip.addReadStream(counted, `${sopInstanceUid}.dcm`, { compress: false });
    this.#begun.resolve();
    await Promise.race([finished(counted), this.#brokenOff.promise]);
  }

  /** Ends the file. @param note - information for its reader, in a text file */
  finish(note?: string): void {
    if (note !== undefined) this.#zip.addBuffer(Buffer.from(`${note}\n`), 'INCOMPLETE.txt');
    this.#zip.end();
  }

  /** Aborts the file. */
  break(error: Error): void {
    this.#brokenBy ??= error;
    this.output.destroy(error);
  }

  async close(): Promise<void> {}

  async *#count(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      this.#movedBytes += chunk.length;
      yield chunk;
    }
  }
}
