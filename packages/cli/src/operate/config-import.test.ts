import { startRedis, tempFolder, type RedisServer } from '@dicom-dispatch/harness';
import { ConfigError, openRedis, type Redis } from '@dicom-dispatch/runtime';
import { openFormat } from '@dicom-dispatch/state/keys';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { backupNow, restoreNow } from './backup.ts';
import { exportNow, importNow } from './config-import.ts';
import { showHistory } from './config-versions.ts';

let server: RedisServer;
let redis: Redis;
let folder: Awaited<ReturnType<typeof tempFolder>>;
let config: string;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = await openRedis(server.url, 'test', 10_000);
});
beforeEach(async () => {
  await redis.flushall();
  folder = await tempFolder('import');
  config = await write('dispatch.yaml', `configuration: redis\nredis: { url: '${server.url}' }\n`);
  return () => folder.remove();
});
afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});

const shared = `# of all hosts
sources:
  main: { url: http://127.0.0.1:1 } # ask Anna
targets:
  a: { type: dummy }
rules:
  - { name: everything, targets: [a] }
`;
const whole = `redis:\n  url: redis://127.0.0.1:1\n${shared}`;

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(folder.path, name), text);
  return join(folder.path, name);
}

/** What an act prints. */
async function printed(act: () => Promise<unknown>): Promise<string> {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(`${line}\n`));
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  try {
    await act();
  } finally {
    log.mockRestore();
    out.mockRestore();
  }
  return lines.join('');
}

describe('config import and export', () => {
  it('bring a file to Redis without the options to reach it, and return it as it was written', async () => {
    const file = await write('whole.yaml', whole);
    const first = await printed(() => importNow(file, { config }));
    expect(first).toContain('left out, since the file of each host has it: redis');
    expect(first).toContain(`Give each host the key ${config}.key`);
    expect(await printed(() => exportNow({ config }))).toBe(shared);
    expect(await printed(() => importNow(file, { config }))).toBe('it is in use already: nothing was changed\n');
    const changed = await write('changed.yaml', shared.replace('type: dummy', 'type: dummy, attempts: 3'));
    const second = await printed(() => importNow(changed, { config, reason: 'fewer attempts' }));
    expect(second).toBe('Version 2 is in place. No service is running that could use it.\n');
    expect(await printed(() => showHistory({ config, limit: 10 }))).toMatch(/2 .*fewer attempts\s+1 .*imported from/);
  });

  it('replace an unusable one on request', async () => {
    const file = await write('whole.yaml', whole);
    await printed(() => importNow(file, { config }));
    await redis.hset('{dicom-dispatch}:configuration', 'text', 'half');
    await expect(importNow(file, { config })).rejects.toMatchObject({
      problems: [{ message: expect.stringContaining('"dispatch config import --replace FILE"') }],
    });
    await rm(`${config}.key`);
    const done = await printed(() => importNow(file, { config, replace: true }));
    expect(done).toContain('Version 2 is in place.');
    expect(done).toContain(`Give each host the key ${config}.key`);
    expect(await printed(() => exportNow({ config }))).toBe(shared);
    // Here the file can be used: no error is ignored.
    const again = await printed(() => importNow(file, { config, replace: true }));
    expect(again).toBe('it is in use already: nothing was changed\n');
  });

  it('name what is wrong where it is in the file, and change nothing', async () => {
    const file = await write('wrong.yaml', whole.replace('type: dummy', 'type: dummy, attempts: none'));
    const error = await importNow(file, { config }).catch((thrown: unknown) => thrown);
    expect((error as ConfigError).format()).toMatch(/wrong\.yaml:7:\d+: targets\.a\.attempts: /);
    await expect(printed(() => exportNow({ config }))).rejects.toThrow(ConfigError);
    await expect(importNow(file, { config: file })).rejects.toThrow('is the configuration itself');
    const missing = await importNow(join(folder.path, 'none.yaml'), { config }).catch((thrown: unknown) => thrown);
    expect((missing as ConfigError).format()).toMatch(/none\.yaml: there is no such file/);
  });
});

it('the configuration is in a backup, and restored if Redis has none', async () => {
  await printed(async () => importNow(await write('whole.yaml', whole), { config }));
  await openFormat(redis, '{dicom-dispatch}');
  const backup = join(folder.path, 'backup.gz');
  await printed(() => backupNow(backup, { config }));
  await redis.flushall();
  await printed(() => restoreNow(backup, { config }));
  expect(await printed(() => exportNow({ config }))).toBe(shared);
  expect((await readFile(`${config}.key`, 'utf8')).length).toBeGreaterThan(40);
});

it('a restore leaves a newer configuration in place with its history, unless it is to replace it', async () => {
  await printed(async () => importNow(await write('whole.yaml', whole), { config }));
  await openFormat(redis, '{dicom-dispatch}');
  const backup = join(folder.path, 'backup.gz');
  await printed(() => backupNow(backup, { config }));
  const newer = shared.replace('# of all hosts', '# newer');
  const file = await write('newer.yaml', newer);
  await printed(() => importNow(file, { config, reason: 'newer' }));
  // Simulates a lost Redis in which a service has restored its own version; then once more, after an interruption.
  const names = await redis.keys('*');
  await redis.del(names.filter((name) => !/:configuration(-version:\d+)?$/.test(name)));
  for (const isInterrupted of [false, true]) {
    if (isInterrupted) await redis.set('{dicom-dispatch}:restoring', backup);
    expect(await printed(() => restoreNow(backup, { config }))).toMatch(
      /The configuration in Redis \(version 2 of \d{4}-.*\) stays; that of the backup \(version 1 of .*\) was not restored/,
    );
    expect(await printed(() => exportNow({ config }))).toBe(newer);
    expect(await printed(() => showHistory({ config, limit: 10 }))).toMatch(/2 .*newer\s+1 .*imported from/);
  }
  const replaced = await printed(() => restoreNow(backup, { config, replace: true, yes: true }));
  expect(replaced).not.toContain('stays');
  expect(await printed(() => exportNow({ config }))).toBe(shared);
  // Its own history is included.
  expect(await printed(() => showHistory({ config, limit: 10 }))).toMatch(/^(?!.*newer)[^]*1 .*imported from/);
});
