import { join } from 'node:path';
import { waitFor } from '@dicom-dispatch/harness';
import { startDepartment } from './scene.ts';

export const title = 'Redis is full';

export async function walk(): Promise<string[]> {
  await using department = await startDepartment(title);
  const { book, redis, backups } = department;
  const first = await department.upload('1');
  await department.untilAtPacs(first);
  await redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
  await waitFor(async () => /rejects writes[^]*maxmemory/.test((await book.type('dispatch status')).out), {
    intervalMs: 1_000,
  });
  const second = await department.upload('2');
  // A backup needs no writes.
  await book.type('dispatch backup /backup/full.gz', { instead: { '/backup': backups.path } });
  await redis.command('CONFIG', 'SET', 'maxmemory', '8gb');
  await department.untilAtPacs(first, second);
  await book.type('dispatch cache clear');
  await book.type('dispatch forget --until 365d --dry-run');
  await book.type('dispatch status', { prints: /pacs/ });
  console.log(`      backup: ${join(backups.path, 'full.gz')}`);
  return book.untried();
}
