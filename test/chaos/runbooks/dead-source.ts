import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '@dicom-dispatch/harness';
import { copyStorage, startDepartment } from './scene.ts';

export const title = 'A source is down';

export async function walk(): Promise<string[]> {
  await using department = await startDepartment(title);
  const { book, main, pacs, backups } = department;
  const storage = join(backups.path, 'main');
  const first = await department.upload('4711');
  await department.untilAtPacs(first);

  // 1 to 3: it has its database.
  await main.kill('SIGTERM');
  await waitFor(async () => (await book.type('dispatch sources', { codes: [0, 4] })).out.includes('no'), {
    intervalMs: 1_000,
  });
  await copyStorage(storage, join(backups.path, 'older'));
  await main.restart();
  const second = await department.upload('4712');
  await department.untilAtPacs(first, second);
  await book.type('dispatch source try main', { codes: [0, 1] });

  // 4: it has an older database, and one study has not been delivered.
  await pacs.kill('SIGKILL');
  await department.upload('4713');
  await waitFor(async () => (await book.type('dispatch sources')).out.includes(' 0 '), {
    intervalMs: 1_000,
  });
  await waitFor(async () => (await department.dispatch.get('/api/deliveries?state=waiting')).body !== undefined);
  await main.kill('SIGTERM');
  await copyStorage(join(backups.path, 'older'), storage);
  await main.restart();
  await pacs.restart();
  const gone = await waitFor(
    async () => {
      const run = await book.type('dispatch deliveries --state source-gone');
      return run.out.includes('pacs') && run.out;
    },
    { intervalMs: 3_000, message: 'the delivery ends as source-gone' },
  );
  const again = await department.upload('4713');
  await department.untilAtPacs(again);
  console.log(
    `      after the study was sent again its delivery went on by itself (${gone.split('\n').length} lines before)`,
  );

  // 5: the source has lost its database permanently.
  await main.kill('SIGTERM');
  await rm(storage, { recursive: true });
  await main.restart();
  await book.type('dispatch find --target pacs --accession 4711', { prints: /4711/ });
  await book.type('dispatch pull --target pacs --accession 4711 --to-source main');
  const there = await main.sopInstanceUids();
  if (!there.includes(first)) throw new Error('what was pulled is not in the source');
  return book.untried();
}
