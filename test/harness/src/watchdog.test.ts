import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { commandOf, descendants } from './process-tree.ts';
import { startRedis } from './redis.ts';
import { startServer } from './start-server.ts';
import { tempFolder } from './temp-folder.ts';
import { waitFor } from './wait-for.ts';
import { whatIsLeft } from './watchdog.ts';

const harness = new URL('./index.ts', import.meta.url).href;

test('a test runner that is killed leaves no server and no folder', async () => {
  const script = `
    const { startRedis, startStorescp, startSshd, tempDisk } = await import(${JSON.stringify(harness)});
    const servers = [await startRedis(), await startStorescp(), await startSshd()];
    await servers[0].kill('SIGSTOP');
    const disk = await tempDisk({ sizeBytes: 65536 });
    const folders = [...servers.map((server) => server.folder), disk.path];
    console.log(JSON.stringify({ pids: servers.map((server) => server.pid()), folders }));
    setInterval(() => undefined, 1000);
  `;
  const runner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  runner.stdout.on('data', (bytes: Buffer) => {
    printed += bytes.toString();
  });
  await waitFor(() => printed.includes('\n'));
  const { pids, folders } = JSON.parse(printed) as { pids: number[]; folders: string[] };
  expect(pids.map((pid) => commandOf(pid))).not.toContain(undefined);
  expect(folders.every((folder) => existsSync(folder))).toBe(true);
  runner.kill('SIGKILL');
  await waitFor(() => pids.every((pid) => commandOf(pid) === undefined));
  await waitFor(() => folders.every((folder) => !existsSync(folder)));
});

test('a server that is stopped leaves nothing', async () => {
  const redis = await startRedis();
  expect(whatIsLeft()).toHaveLength(2);
  expect(descendants(process.pid)).toContain(redis.pid());
  await redis.stop();
  await redis.stop();
  expect(whatIsLeft()).toEqual([]);
  expect(existsSync(redis.folder)).toBe(false);
  await expect(redis.restart()).rejects.toThrow('start another');
});

test('replaces a port that was taken meanwhile', async () => {
  const thieves: ReturnType<typeof createServer>[] = [];
  await using server = await startServer({
    name: 'redis',
    prepare: async (folder, [port]) => {
      if (thieves.length === 0) {
        const thief = createServer();
        thieves.push(thief);
        await new Promise<void>((resolve) => {
          thief.listen(port, '127.0.0.1', resolve);
        });
      }
      return { command: 'redis-server', args: ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder] };
    },
  });
  thieves[0]!.close();
  expect(server.isRunning()).toBe(true);
  expect(whatIsLeft()).toHaveLength(2);
});

test('a server that cannot start reports why and leaves nothing', async () => {
  await expect(startRedis({ args: ['--no-such-setting', 'x'] })).rejects.toThrow('no-such-setting');
  const missing = startServer({ name: 'missing', prepare: () => ({ command: 'no-such-program', args: [] }) });
  await expect(missing).rejects.toThrow('is its package installed');
  expect(whatIsLeft()).toEqual([]);
});

test('a temporary folder is removed with its content', async () => {
  let path: string;
  {
    await using folder = await tempFolder();
    path = folder.path;
    expect(existsSync(path)).toBe(true);
  }
  expect(existsSync(path)).toBe(false);
});
