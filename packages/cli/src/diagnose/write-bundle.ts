import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { packTar } from 'modern-tar';

const compress = promisify(gzip);

/** Writes files into a tar.gz that only this user may read, all in one folder. */
export async function writeBundle(
  path: string,
  folder: string,
  files: ReadonlyMap<string, string>,
): Promise<{ sizeBytes: number }> {
  const at = new Date();
  const archive = await packTar(
    [...files].map(([name, body]) => ({
      header: {
        name: `${folder}/${name}`,
        type: 'file' as const,
        mode: 0o600,
        mtime: at,
        size: Buffer.byteLength(body),
      },
      body,
    })),
  );
  const bytes = await compress(archive);
  await writeFile(path, bytes, { mode: 0o600 });
  return { sizeBytes: bytes.length };
}
