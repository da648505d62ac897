import { open } from 'node:fs/promises';

/** Appends lines to a file, and syncs it to disk. The file is opened again each time, so that it may be rotated. */
export async function appendLines(path: string, lines: readonly string[]): Promise<void> {
  const file = await open(path, 'a', 0o640);
  try {
    await file.appendFile(lines.map((line) => `${line}\n`).join(''));
    await file.datasync();
  } finally {
    await file.close();
  }
}
