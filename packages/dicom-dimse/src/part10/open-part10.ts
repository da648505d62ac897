import { openSource } from './byte-source.ts';
import type { ByteCursor, ByteSource } from './byte-source.ts';
import { parseFileMeta } from './file-meta.ts';
import type { FileMeta, KnownFile } from './file-meta.ts';
import { parseTolerantly } from './tolerant-meta.ts';

/** A Part 10 file read up to its data set. */
export interface OpenedPart10 {
  readonly meta: FileMeta;
  /** The first bytes of the data set; may be empty. */
  readonly head: Buffer;
  /** What follows `head`. */
  readonly rest: ByteCursor;
  /** The chunks that were read. `head` is in the last one, unless there were several: then it is a copy. */
  readonly taken: readonly Buffer[];
}

export interface OpenPart10Options {
  /** Set to accept files that PS3.10 does not allow: see {@link KnownFile}. */
  readonly known?: KnownFile | undefined;
}

/**
 * Reads the file meta information from a source; returns without a promise if the source can.
 *
 * @throws DimseError `source-not-dicom`, `source-failed`. The source is then closed.
 */
export function openPart10(source: ByteSource, options: OpenPart10Options = {}): OpenedPart10 | Promise<OpenedPart10> {
  const cursor = openSource(source);
  return cursor.isSync ? openSync(cursor, options) : openAsync(cursor, options);
}

function openSync(cursor: ByteCursor, options: OpenPart10Options): OpenedPart10 {
  const gathering = new Gathering(options.known);
  try {
    for (;;) {
      const opened = gathering.add(cursor.next() as Buffer | undefined, cursor);
      if (opened !== undefined) return opened;
    }
  } catch (error) {
    cursor.close();
    throw error;
  }
}

async function openAsync(cursor: ByteCursor, options: OpenPart10Options): Promise<OpenedPart10> {
  const gathering = new Gathering(options.known);
  try {
    for (;;) {
      const opened = gathering.add(await cursor.next(), cursor);
      if (opened !== undefined) return opened;
    }
  } catch (error) {
    cursor.close();
    throw error;
  }
}

/** The part of the file meta information read so far. Almost always the first chunk contains all of it. */
class Gathering {
  readonly #known: KnownFile | undefined;
  #chunks: Buffer[] = [];
  readonly #taken: Buffer[] = [];
  #length = 0;
  #neededBytes = 0;

  constructor(known: KnownFile | undefined) {
    this.#known = known;
  }

  add(chunk: Buffer | undefined, rest: ByteCursor): OpenedPart10 | undefined {
    if (chunk !== undefined) {
      this.#chunks.push(chunk);
      this.#taken.push(chunk);
      this.#length += chunk.length;
      if (this.#length < this.#neededBytes) return undefined;
    }
    const [first] = this.#chunks;
    const bytes = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks, this.#length);
    const isComplete = chunk === undefined;
    const known = this.#known;
    const step = known === undefined ? parseFileMeta(bytes, isComplete) : parseTolerantly(bytes, isComplete, known);
    if (step.meta !== undefined) {
      return { meta: step.meta, head: bytes.subarray(step.dataSetOffset), rest, taken: this.#taken };
    }
    this.#chunks = [bytes];
    this.#neededBytes = step.neededBytes;
    return undefined;
  }
}
