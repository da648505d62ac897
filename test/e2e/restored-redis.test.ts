import { execFile } from 'node:child_process';
import { cp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { launchBrowser, redisCommand, redisProgram, waitFor } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startCommandHost, type CommandHost } from './support/run-commands.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';
import { startSystem, type System, type UploadedStudy } from './support/system.ts';
import { notesFolder, untilNoted } from './support/until-noted.ts';

/**
 * Follows the steps of docs/operations.md, "When Redis has lost data": waiting studies arrive, and studies that had arrived
 * are not resent; `status --check` reports the problem and then its end. Without a backup, but with notes:
 * lost-redis.test.ts.
 */
let system: System;
let scp: FaultScp;
let other: FaultScp;
let config: Readonly<Record<string, unknown>>;
let dispatch: RunningDispatch;
let commands: CommandHost;
let count = 0;
/** Studies whose instances must each reach both receivers exactly once. */
const once: UploadedStudy[] = [];

beforeAll(async () => {
  [system, scp, other] = await Promise.all([startSystem(), startFaultScp(), startFaultScp()]);
  config = system.config(
    { pacs: pacsTarget(scp), archive: pacsTarget(other) },
    { sources: { main: { url: system.orthanc.url, pollInterval: '200ms', sweep: { settle: '2s' } } } },
  );
  // It has to start even if Redis lacks data.
  dispatch = await startDispatch({ config, untilReady: false });
  commands = startCommandHost({ cwd: dispatch.folder, env: {} });
  await logged('following the change feed');
});
afterAll(async () => {
  await commands?.[Symbol.asyncDispose]();
  await dispatch.stop();
  for (const one of [scp, other]) await one[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

const upload = (): Promise<UploadedStudy> =>
  system.upload({ seed: `restored ${(count += 1)}`, instancesPerSeries: 2, rows: 16, columns: 16 });

/** One delivered study and one that waits for the archive; both are in the router's notes. */
async function fill(): Promise<UploadedStudy> {
  const arrived = await upload();
  for (const target of ['pacs', 'archive']) await system.untilDelivery(arrived, target, ['delivered']);
  await other.down();
  const waits = await upload();
  await system.untilDelivery(waits, 'pacs', ['delivered']);
  once.push(arrived, waits);
  await untilNoted(dispatch, waits, ['archive waiting', 'pacs delivered']);
  return waits;
}

/** Waiting studies arrive, later studies too, and nothing arrives twice. */
async function untilAllIsWell(): Promise<void> {
  await other.up();
  once.push(await upload());
  const everything = (): boolean =>
    [scp, other].every((at) => {
      const arrived = at.accepted();
      return once.every(({ datasets }) => [...datasets].every(([uid, hash]) => arrived.get(uid) === hash));
    });
  await waitFor(everything, { message: () => dispatch.output() });
  await waitFor(async () => (await status()).code === 0, { intervalMs: 500 });
  for (const at of [scp, other]) {
    const uids = at.stores.map(({ sopInstanceUid }) => sopInstanceUid);
    expect(uids.length, dispatch.output()).toBe(new Set(uids).size);
  }
}

const cli = (...args: readonly string[]) => commands.run(...args, '-c', dispatch.configFile);
const status = () => cli('status', '--check');
const logged = (text: string): Promise<unknown> =>
  waitFor(() => dispatch.output().includes(text), { message: () => dispatch.output() });

async function emptyRedisFolder(): Promise<void> {
  for (const name of await readdir(system.redis.folder)) {
    await rm(join(system.redis.folder, name), { recursive: true });
  }
}

describe('Redis is restored', () => {
  it('from its append-only folder: nothing is lost', async () => {
    await fill();
    const { folder } = system.redis;
    await system.redis.kill('SIGTERM');
    const backup = join(dispatch.folder, 'appendonlydir');
    await cp(join(folder, 'appendonlydir'), backup, { recursive: true });
    await emptyRedisFolder();
    await cp(backup, join(folder, 'appendonlydir'), { recursive: true });
    await system.redis.restart();
    await untilAllIsWell();
    expect(dispatch.output()).not.toContain('Redis has lost data');
  });

  it('from an older dump.rdb, beside appendonly yes: it is noticed, and completed from the notes', async () => {
    await system.redis.command('SAVE');
    const snapshot = join(dispatch.folder, 'dump.rdb');
    const { folder } = system.redis;
    await cp(join(folder, 'dump.rdb'), snapshot);
    await fill();
    await system.redis.kill('SIGKILL');
    await emptyRedisFolder();
    await cp(snapshot, join(folder, 'dump.rdb'));
    await startOnceFromSnapshot();
    await system.redis.restart();
    await logged('is recovered');
    expect(dispatch.output()).toContain('"loss":"older"');
    await untilAllIsWell();
  });

  it('from our own backup, made while studies arrive, into an empty Redis: completed from the notes', async () => {
    const before = await fill();
    const file = join(dispatch.folder, 'dispatch.gz');
    const backup = await cli('backup', file);
    expect([backup.code, backup.err], backup.err).toEqual([0, '']);
    await other.up();
    await system.untilDelivery(before, 'archive', ['delivered']);
    const waits = await fill();
    await Promise.all([dispatch.kill('SIGTERM'), system.redis.kill('SIGKILL')]);
    await emptyRedisFolder();
    await system.redis.restart();
    const restored = await cli('restore', file);
    expect(restored.out, restored.err).toContain('changes since');
    await dispatch.restart();
    await untilAllIsWell();
    const report = await cli('recover');
    expect(report.out).toContain('the data was from an earlier time; recovered at');
    expect(report.out).toContain('as noted');
    // To the target that had it, it is not even routed again.
    const again = await system.records.deliveriesOfUid(waits.studyInstanceUid, 'main');
    expect(again.map(({ target, state }) => `${target} ${state}`)).toEqual(['archive delivered']);
  });

  it('from our own backup, without notes: nothing is missing, and studies that arrived since are sent once more', async () => {
    const file = join(dispatch.folder, 'dispatch.gz');
    const [first = once[0]!] = once;
    const backup = await cli('backup', file);
    expect(backup.code, backup.err).toBe(0);
    const waits = await fill();
    await Promise.all([dispatch.kill('SIGKILL'), system.redis.kill('SIGKILL')]);
    await emptyRedisFolder();
    await rm(notesFolder(dispatch), { recursive: true });
    await system.redis.restart();
    const restored = await cli('restore', file);
    expect(restored.code, restored.err).toBe(0);
    await other.up();
    await dispatch.restart();
    const isThere = (): boolean => [...waits.datasets.keys()].every((uid) => other.accepted().has(uid));
    await waitFor(isThere, { message: () => dispatch.output() });
    await waitFor(async () => (await status()).code === 0, { intervalMs: 500 });
    expect((await cli('recover')).out).toContain('arrived since then are sent again');
    // Deliveries in the backup are known to be complete.
    const times = scp.stores.filter(({ sopInstanceUid }) => first.datasets.has(sopInstanceUid)).length;
    expect(times).toBe(first.datasets.size);
  });

  it('empty, and without notes: status reports this until an operator chooses where to begin', async () => {
    // Another process has seen that there were data.
    await using witness = await startDispatch({ command: 'console', config });
    await using browser = await launchBrowser();
    const page = await browser.newPage();
    await page.goto(witness.url);
    const banner = page.locator('#banner');
    await banner.waitFor({ state: 'hidden' });
    const waits = await fill();
    await Promise.all([dispatch.kill('SIGKILL'), system.redis.kill('SIGKILL')]);
    await emptyRedisFolder();
    await rm(notesFolder(dispatch), { recursive: true });
    await system.redis.restart();
    await waitFor(() => witness.output().includes('Redis has lost data'));
    await dispatch.restart();
    await logged('dispatch recover');
    const { code, out } = await status();
    expect([code, out]).toEqual([3, expect.stringContaining('dispatch recover')]);
    await banner.filter({ hasText: 'Redis lost its data' }).filter({ hasText: 'dispatch recover' }).waitFor();
    const hourAgo = new Date(Date.now() - 3_600_000).toISOString().slice(0, 16);
    const recovered = await cli('recover', '--from', hourAgo);
    expect(recovered.code, recovered.err).toBe(0);
    await other.up();
    const isThere = (): boolean => [...waits.datasets.keys()].every((uid) => other.accepted().has(uid));
    await waitFor(isThere, { message: () => dispatch.output() });
    await waitFor(async () => (await status()).code === 0, { intervalMs: 500 });
    await banner.waitFor({ state: 'hidden' });
  });
});

/** As in docs/operations.md: with `appendonly no`, so that Redis reads dump.rdb, then `CONFIG SET appendonly yes`. */
async function startOnceFromSnapshot(): Promise<void> {
  const { folder, port, url } = system.redis;
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'no', '--save', ''];
  const once = execFile(redisProgram({}), args);
  const ended = new Promise((resolve) => once.once('exit', resolve));
  const info = async (): Promise<string> => String(await redisCommand(url, 'INFO', 'persistence'));
  await waitFor(async () => /loading:0/.test(await info()));
  await redisCommand(url, 'CONFIG', 'SET', 'appendonly', 'yes');
  await waitFor(async () =>
    /aof_rewrite_in_progress:0[\s\S]*aof_rewrite_scheduled:0[\s\S]*status:ok/.test(await info()),
  );
  once.kill('SIGTERM');
  await ended;
}
