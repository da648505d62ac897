import { open } from 'node:fs/promises';
import type { Scrubber } from './scrubber.ts';

const maxBytes = 8 * 1024 * 1024;

/** The last lines of a log, at most its last 8 MiB, scrubbed; JSON lines also by their keys. @throws NodeJS.ErrnoException */
export async function readLogTail(file: string, lines: number, scrubber: Scrubber): Promise<string> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, maxBytes);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    const all = buffer.toString('utf8', 0, bytesRead).split('\n');
    // The first line is truncated if the file is longer.
    const whole = size > length ? all.slice(1) : all;
    const last = whole.filter((line) => line.trim() !== '').slice(-lines);
    return last.map((line) => `${scrubLine(line, scrubber)}\n`).join('');
  } finally {
    await handle.close();
  }
}

function scrubLine(line: string, scrubber: Scrubber): string {
  try {
    return JSON.stringify(scrubber.value(JSON.parse(line)));
  } catch {
    return scrubber.text(line);
  }
}
