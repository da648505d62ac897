import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startRedis, tempFolder, type RedisServer, type TempFolder } from '@dicom-dispatch/harness';
import { Records } from '@dicom-dispatch/cache/records';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { seedRecords } from './console-seed.ts';
import { prefix } from './support/system.ts';

const main = fileURLToPath(import.meta.resolve('@dicom-dispatch/cli/main'));

let redis: RedisServer;
let folder: TempFolder;
let client: Redis;
let records: Records;
let config: string;

beforeAll(async () => {
  [redis, folder] = await Promise.all([startRedis({ appendonly: false }), tempFolder('cli')]);
  client = new Redis(redis.url, { maxRetriesPerRequest: null });
  records = new Records(client, prefix);
  await seedRecords(client, 40, ['a', 'b']);
  config = join(folder.path, 'dispatch.yaml');
  await writeFile(
    config,
    stringify({
      redis: { url: redis.url },
      sources: { main: { url: 'http://127.0.0.1:1', username: 'reader', password: '${READER}' } },
      targets: { a: { type: 'dummy' }, b: { type: 'dummy', description: 'the second' } },
      rules: [{ name: 'all', targets: ['a', 'b'] }],
    }),
  );
});
afterAll(async () => {
  client?.disconnect();
  await redis?.stop();
  await folder?.remove();
});

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The command-line tool as a process of its own. */
function dispatch(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', main, ...args],
      { env: { ...process.env, READER: 'the-secret-of-the-source' }, timeout: 60_000, maxBuffer: 8 * 1024 * 1024 },
      (_error, out, err) => resolve({ code: child.exitCode ?? 1, out, err }),
    );
    child.stdin?.end('correct horse battery\n');
  });
}

const on = (...args: string[]): Promise<Run> => dispatch(...args, '--config', config);

describe('the command line', () => {
  it('shows how things stand, for people and for programs, and says by its exit code that somebody has to look', async () => {
    const [status, json] = await Promise.all([on('status', '--check'), on('targets', '--json')]);
    expect(status.code).toBe(3);
    expect(status.out).toContain('40 studies routed, 0 dispatchers running');
    expect(status.out).toContain('! no dispatcher is running');
    expect(status.out).toContain('! no router follows the source main');
    expect(json.code).toBe(0);
    expect((JSON.parse(json.out) as { name: string; counts: { failed: number } }[]).map(({ name }) => name)).toEqual([
      'a',
      'b',
    ]);
  });

  it('finds, explains and retries a delivery', async () => {
    const failed = (await records.deliveries({ state: 'failed', limit: 1 }))[0];
    const id = failed?.deliveryId ?? '';
    const study = await on('study', id);
    expect(study.code).toBe(0);
    expect(study.out).toContain('It failed in stage transfer: the receiver is out of resources (status A700H)');
    expect(await on('retry', id)).toMatchObject({ code: 0, out: 'retry: 1 of 1 done\n' });
    expect((await records.delivery(id))?.state).toBe('waiting');
    expect((await records.events(id)).at(-1)?.text).toMatch(/^retried by .+ \(command line\)$/);
  });

  it('does nothing to many without a yes, and then to all that the filter means', async () => {
    const failed = (await records.counts('a')).failed;
    expect(failed).toBeGreaterThan(1);
    const asked = await on('retry', '--target', 'a', '--state', 'failed');
    expect(asked).toMatchObject({ code: 2, out: '' });
    expect(asked.err).toContain(`retry would reach ${failed} deliveries; say --yes to do it`);
    const done = await on('retry', '--target', 'a', '--state', 'failed', '--yes', '--json');
    expect(JSON.parse(done.out)).toEqual({ matched: failed, done: failed, skipped: 0 });
    expect((await records.counts('a')).failed).toBe(0);
    expect((await on('cancel')).code).toBe(2);
  });

  it('pauses, resumes and tests a target', async () => {
    expect((await on('target', 'pause', 'b')).out).toContain('b is paused');
    expect((await on('targets')).out).toMatch(/^b +dummy +paused/m);
    expect((await on('target', 'resume', 'b')).code).toBe(0);
    const test = await on('target', 'test', 'b');
    expect(test.code).toBe(0);
    expect(test.out).toMatch(/^connect +ok +\d/m);
    expect(await on('target', 'test', 'nowhere')).toMatchObject({ code: 1 });
    expect((await on('target', 'concurrency', 'b', '0')).code).toBe(2);
  });

  it('bundles what a support case needs, without secrets, users and UIDs', async () => {
    const { code, out } = await on('diagnose');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ overview: { studies: 40 } });
    expect(out).not.toContain('the-secret-of-the-source');
    expect(out).not.toContain('"reader"');
    expect(out).not.toContain('1.2.826.0.1.3680043');
  });

  it('completes words in three shells, and hashes a password', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, out } = await dispatch('completion', shell);
      expect(code).toBe(0);
      expect(out).toContain('concurrency');
    }
    expect((await dispatch('password')).out).toMatch(/^scrypt:32768:8:1:/);
  });

  it('says in one line that Redis is not there', async () => {
    const other = join(folder.path, 'other.yaml');
    await writeFile(
      other,
      stringify({
        redis: { url: 'redis://127.0.0.1:1' },
        sources: { main: { url: 'http://127.0.0.1:1' } },
        targets: { a: { type: 'dummy' } },
      }),
    );
    const { code, err } = await dispatch('status', '--config', other);
    expect([code, err]).toEqual([1, 'dispatch: Redis at 127.0.0.1:1 does not answer (ECONNREFUSED)\n']);
  });
});
