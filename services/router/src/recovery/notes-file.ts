import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { decodeNotes, encodeNotes, type Notes } from './notes.ts';

/** Location of a router's notes, and their Redis. */
export interface NotesPlace {
  readonly folder: string;
  /** First part of all keys. */
  readonly prefix: string;
  /** Address of the Redis: notes of another one are not used. */
  readonly redis: string;
}

/** A file that is written atomically and durably. */
export class NotesFile {
  readonly #path: string;
  readonly #redis: string;

  constructor({ folder, prefix, redis }: NotesPlace) {
    this.#path = join(folder, `redis-notes-${prefix.replaceAll(/[^\w.-]/g, '')}.json`);
    this.#redis = redis;
  }

  get path(): string {
    return this.#path;
  }

  /** @returns undefined if there are no usable ones */
  async read(): Promise<Notes | undefined> {
    try {
      return decodeNotes(await readFile(this.#path, 'utf8'), this.#redis);
    } catch {
      return undefined;
    }
  }

  /** @throws NodeJS.ErrnoException */
  async write(notes: Notes): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const temporary = `${this.#path}.${process.pid}.tmp`;
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(encodeNotes(notes, this.#redis));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
  }
}
