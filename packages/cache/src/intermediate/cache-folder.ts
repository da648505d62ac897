import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, crc32, createZstdCompress, createZstdDecompress } from 'node:zlib';
import type { Encoding } from './stored-value.ts';

export interface WrittenFile {
  readonly file: string;
  readonly sizeBytes: number;
  readonly storedBytes: number;
  readonly encoding: Encoding;
  readonly crc: number;
}

const idFile = 'folder-id';
const chunkBytes = 256 * 1024;
/** A file older than this that Redis does not know is an orphan: no process is about to add it to the catalog. */
const orphanAgeMs = 3_600_000;

/**
 * The folder of large results. Its id, in a separate file, distinguishes folders of several machines in Redis: a result
 * in one of them is not available to machines without access. A file gets its name only when it is complete.
 */
export class CacheFolder {
  readonly id: string;
  readonly #path: string;

  private constructor(path: string, id: string) {
    this.#path = path;
    this.id = id;
  }

  /** Opens the folder, creating it if needed. @throws the file system's error */
  static async open(path: string): Promise<CacheFolder> {
    await mkdir(join(path, 'partial'), { recursive: true, mode: 0o700 });
    const file = join(path, idFile);
    // The first of several processes wins; all read its id.
    await writeFile(file, randomUUID().slice(0, 8), { flag: 'wx', mode: 0o600 }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      },
    );
    let id = await readFile(file, 'utf8');
    for (let tries = 0; id.length < 8 && tries < 100; tries += 1) id = await readFile(file, 'utf8');
    if (!/^[0-9a-f]{8}$/.test(id)) throw new Error(`${file} holds no folder id: remove it`);
    return new CacheFolder(path, id);
  }

  /** Writes the source to its end. A failure of either side leaves nothing behind. */
  async write(source: AsyncIterable<Uint8Array>, compressed: boolean): Promise<WrittenFile> {
    const name = randomUUID();
    const partial = join(this.#path, 'partial', name);
    let sizeBytes = 0;
    let storedBytes = 0;
    let crc = 0;
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        storedBytes += chunk.byteLength;
        crc = crc32(chunk, crc);
        done(null, chunk);
      },
    });
    async function* measured(): AsyncGenerator<Uint8Array> {
      for await (const chunk of source) {
        sizeBytes += chunk.byteLength;
        // The pipeline reads ahead, and the source may reuse a chunk as soon as the next one is requested.
        yield Uint8Array.from(chunk);
      }
    }
    const target = createWriteStream(partial, { flags: 'wx', mode: 0o600 });
    try {
      const from = Readable.from(measured(), { objectMode: false });
      await (compressed
        ? pipeline(from, createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } }), counted, target)
        : pipeline(from, counted, target));
      const file = `${name.slice(0, 2)}/${name}`;
      await mkdir(join(this.#path, name.slice(0, 2)), { recursive: true, mode: 0o700 });
      await rename(partial, join(this.#path, file));
      return { file, sizeBytes, storedBytes, encoding: compressed ? 'zstd' : 'none', crc };
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  /**
   * Opens a file after verifying it completely, so that no damaged byte is ever returned: a target might keep it.
   *
   * @returns undefined if it does not exist or was changed
   */
  async open(file: string, expected: { storedBytes: number; crc: number }): Promise<FileHandle | undefined> {
    const handle = await open(join(this.#path, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (!handle) return undefined;
    try {
      let crc = 0;
      let length = 0;
      for await (const chunk of readAll(handle)) {
        length += chunk.byteLength;
        crc = crc32(chunk, crc);
      }
      if (length === expected.storedBytes && crc === expected.crc) return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
    return undefined;
  }

  async remove(file: string): Promise<void> {
    await rm(join(this.#path, file), { force: true });
  }

  /** Removes files unknown to Redis: left by a crash, or evicted by a machine without this folder. */
  async sweep(known: ReadonlySet<string>, olderThanMs = orphanAgeMs): Promise<number> {
    const before = Date.now() - olderThanMs;
    let removed = 0;
    for (const entry of await readdir(this.#path, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile() || entry.name === idFile) continue;
      const path = join(entry.parentPath, entry.name);
      if (known.has(`${entry.name.slice(0, 2)}/${entry.name}`) && !entry.parentPath.endsWith('partial')) continue;
      const found = await stat(path).catch(() => undefined);
      if (!found || found.mtimeMs > before) continue;
      await rm(path, { force: true });
      removed += 1;
    }
    return removed;
  }
}

/** The bytes of an open file, as before they were stored. Closes it at the end. */
export async function* readStored(handle: FileHandle, encoding: Encoding): AsyncGenerator<Uint8Array> {
  try {
    if (encoding === 'none') {
      yield* readAll(handle);
    } else {
      const unpacked = createZstdDecompress();
      // Errors are thrown by `unpacked`; leaving it early ends the reading too.
      void pipeline(Readable.from(readAll(handle), { objectMode: false }), unpacked).catch(() => {});
      yield* unpacked as AsyncIterable<Buffer>;
    }
  } finally {
    await handle.close();
  }
}

async function* readAll(handle: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ;) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
