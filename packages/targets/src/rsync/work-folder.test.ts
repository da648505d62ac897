import { mkdtemp, readdir, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { tempFolder } from '@dicom-dispatch/harness';
import { expect, test } from 'vitest';
import { rsyncTarget } from './schema.ts';
import { makeWorkFolder } from './work-folder.ts';

test('removes what earlier attempts of the delivery, and others long ago, have left, and nothing of what runs beside it', async () => {
  await using spool = await tempFolder('spool');
  const via = { type: 'daemon', module: 'data' };
  const config = rsyncTarget.parse({ type: 'rsync', host: 'h', path: '/', spool: spool.path, via });
  const old = await mkdtemp(join(spool.path, 'dicom-dispatch-rsync-'));
  await utimes(old, 0, 0);
  const killed = await makeWorkFolder(config, 'd-1');
  const other = await makeWorkFolder(config, 'd-2');
  // Audits of targets with the same name in two installations, and tests of the connection.
  const [one, two] = [await makeWorkFolder(config), await makeWorkFolder(config)];
  const again = await makeWorkFolder(config, 'd-1');
  expect(killed.path).not.toBe(again.path);
  const left = [other, one, two, again];
  expect((await readdir(spool.path)).toSorted()).toEqual(left.map(({ path }) => basename(path)).toSorted());
  for (const { remove } of left) await remove();
  expect(await readdir(spool.path)).toEqual([]);
});
