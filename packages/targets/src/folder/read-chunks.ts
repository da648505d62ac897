import { constants, open } from 'node:fs/promises';
import type { Place } from './place.ts';

/** Flags to open a file without following a link, and without waiting for the writer of a pipe. */
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A file in chunks of 256 KiB. The time limit applies to each chunk. A chunk is overwritten by the next. */
export async function* chunksOf(place: Place, path: string): AsyncGenerator<Buffer, void, undefined> {
  const handle = await place.act(
    'Opening a file',
    () => open(path, flags),
    (late) => void late.close().catch(() => {}),
  );
  const buffer = Buffer.allocUnsafe(256 * 1024);
  try {
    for (;;) {
      const { bytesRead } = await place.act('Reading', () => handle.read(buffer, 0, buffer.length));
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

export type Likeness =
  | 'same'
  /** The existing file is the beginning of ours. */
  | 'cut'
  | 'different';

/** Compares a file of this delivery with an existing one. */
export async function compareFiles(place: Place, ours: string, there: string): Promise<Likeness> {
  const first = chunksOf(place, ours);
  const second = chunksOf(place, there);
  try {
    for (;;) {
      const [mine, other] = await Promise.all([first.next(), second.next()]);
      if (other.done) return mine.done ? 'same' : 'cut';
      if (mine.done) return 'different';
      const length = Math.min(mine.value.length, other.value.length);
      if (Buffer.compare(mine.value.subarray(0, length), other.value.subarray(0, length)) !== 0) return 'different';
      // A regular file is read in full chunks except for its end.
      if (other.value.length < mine.value.length) return (await second.next()).done ? 'cut' : 'different';
      if (other.value.length > mine.value.length) return 'different';
    }
  } finally {
    await Promise.all([first.return(), second.return()]);
  }
}
