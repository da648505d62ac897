import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startRsyncd } from './rsyncd.ts';
import { tempFolder } from './temp-folder.ts';

const run = promisify(execFile);

test('accepts files from clients with the password', async () => {
  await using server = await startRsyncd({ users: { alice: 'secret' } });
  await using folder = await tempFolder();
  await writeFile(join(folder.path, 'a'), 'content');
  const sync = (password: string): Promise<unknown> =>
    run('rsync', ['-a', `${folder.path}/`, server.url.replace('//', '//alice@')], {
      env: { ...process.env, RSYNC_PASSWORD: password },
    });
  await expect(sync('wrong')).rejects.toThrow('auth failed');
  await sync('secret');
  expect(await readFile(join(server.filesFolder, 'a'), 'utf8')).toBe('content');
});

test('accepts none if it is read only', async () => {
  await using server = await startRsyncd({ readOnly: true });
  await using folder = await tempFolder();
  await expect(run('rsync', ['-a', `${folder.path}/`, server.url])).rejects.toThrow('read only');
});
