import { cp, readdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeliveryQueueAdapter } from '@dicom-dispatch/console/queues';
import { loginPage, type FaultProxy, type Faults, type Lie, type RunningServer } from '@dicom-dispatch/harness';
import type { Job } from 'bullmq';
import type { Disturbance } from './make-schedule.ts';
import type { Scene } from './start-scene.ts';

/** Disturbances that the judge must know. */
export interface Deeds {
  /** Redis lost data: arrived instances may be sent once more. */
  lostData: boolean;
  /** Files that Orthanc lacks for now: path away to path at home. */
  readonly away: Map<string, string>;
  /** Deliveries that were cancelled by removing them, as `STUDY INSTANCE UID target`. */
  readonly removed: Set<string>;
}

const linkFaults: Readonly<Record<string, Faults>> = {
  slow: { bytesPerSecond: 60_000 },
  latency: { latencyMs: 250 },
  reset: { resetAfterBytesUp: 20_000, resetAfterBytesDown: 60_000 },
  'black hole': { blackHole: true },
  refuse: { refuse: true },
};
const noFaults: Faults = {
  bytesPerSecond: undefined,
  latencyMs: undefined,
  resetAfterBytesUp: undefined,
  resetAfterBytesDown: undefined,
  blackHole: undefined,
  refuse: undefined,
};
const lies: Readonly<Record<string, Lie>> = {
  '404': { kind: 'status', status: 404 },
  '403': { kind: 'status', status: 403 },
  '429': { kind: 'status', status: 429 },
  '500': { kind: 'status', status: 500 },
  'a login page': { kind: 'text', body: loginPage },
  nothing: { kind: 'empty' },
};
export const clockOffsets: Readonly<Record<string, number>> = {
  '10 minutes ahead': 600,
  '10 minutes behind': -600,
  'a day ahead': 86_400,
  'a day behind': -86_400,
};

/** Causes one fault, waits for its duration, and reverts it if possible. */
export async function disturb(scene: Scene, deeds: Deeds, { victim, fault, forMs, of }: Disturbance): Promise<void> {
  const { orthanc, router, dispatchers, links, clocks } = scene;
  switch (victim) {
    case 'router':
      return disturbProcess(router, fault, forMs);
    case 'dispatcher 1':
      return disturbProcess(dispatchers[0], fault, forMs);
    case 'dispatcher 2':
      return disturbProcess(dispatchers[1], fault, forMs);
    case 'orthanc':
      return disturbProcess(orthanc, fault, forMs);
    case 'redis':
      return disturbRedis(scene, deeds, fault, forMs);
    case 'source link':
      return disturbLink(links.source, fault, forMs);
    case 'pacs link':
      return disturbLink(links.pacs, fault, forMs);
    case 'redis link':
      return disturbLink(links.redis, fault, forMs);
    case 'clock of the router':
    case 'clock of dispatcher 1':
    case 'clock of orthanc': {
      const clock =
        victim === 'clock of orthanc'
          ? clocks.orthanc
          : victim === 'clock of the router'
            ? clocks.router
            : clocks.dispatcher;
      await clock.set(clockOffsets[fault] ?? 0);
      await sleep(forMs + 1_000);
      return clock.set(0);
    }
    case 'source answers':
      return lieForOrthanc(scene, lies[fault] as Lie, forMs, of);
    case 'attachments':
      return hideAttachment(orthanc, deeds, of);
    case 'board':
      return pressInBoard(scene, deeds, fault, of);
    case 'disk':
      return fillDisk(scene, forMs);
    case 'pacs':
      return disturbPacs(scene, fault, forMs);
  }
  return undefined;
}

/** Reverts everything. Each process runs, and each of its clocks is right. */
export async function healAll(
  { scp, links, answers, clocks, client, ...scene }: Scene,
  { away }: Deeds,
): Promise<void> {
  await Promise.all(Object.values(links).map((link) => link.heal()));
  await Promise.all(Object.values(clocks).map((clock) => clock.set(0)));
  answers.beHonest();
  scp.answer = () => 0;
  await scp.up().catch(() => {});
  for (const [path, home] of away) await rename(path, home);
  away.clear();
  for (const server of [scene.redis, scene.orthanc, scene.router, ...scene.dispatchers]) {
    if (server.isRunning()) await server.kill('SIGCONT');
    else await server.restart();
  }
  await client.config('SET', 'maxmemory', '0');
}

/** Each server has one fault at a time: a second one waits for the end of the first. */
const busy = new WeakMap<RunningServer, Promise<void>>();

function inTurn(server: RunningServer, act: () => Promise<void>): Promise<void> {
  const step = (busy.get(server) ?? Promise.resolve()).then(act);
  busy.set(server, step);
  return step;
}

function disturbProcess(server: RunningServer, fault: string, forMs: number): Promise<void> {
  return inTurn(server, async () => {
    if (fault === 'kill') {
      await server.kill('SIGKILL');
      await sleep(Math.min(forMs, 3_000));
      await server.restart();
    } else if (fault === 'terminate') {
      await server.restart();
    } else {
      await server.kill('SIGSTOP');
      await sleep(forMs);
      await server.kill('SIGCONT');
    }
  });
}

function disturbRedis({ redis, client }: Scene, deeds: Deeds, fault: string, forMs: number): Promise<void> {
  if (fault === 'kill' || fault === 'pause') return disturbProcess(redis, fault, forMs);
  return inTurn(redis, async () => {
    if (fault === 'out of memory') {
      await client.config('SET', 'maxmemory', '1');
      await sleep(forMs);
      await client.config('SET', 'maxmemory', '0');
      return;
    }
    deeds.lostData = true;
    if (fault === 'emptied') {
      await client.flushall();
      return;
    }
    // Its files of a moment ago: like a backup, or a lagging replica.
    const data = join(redis.folder, 'appendonlydir');
    const older = join(redis.folder, 'older');
    await rm(older, { recursive: true, force: true });
    await cp(data, older, { recursive: true });
    await sleep(forMs);
    await redis.kill('SIGKILL');
    await rm(data, { recursive: true });
    await rename(older, data);
    await redis.restart();
  });
}

async function disturbLink(link: FaultProxy, fault: string, forMs: number): Promise<void> {
  if (fault === 'cut') return link.cut();
  await link.set(linkFaults[fault] ?? {});
  await sleep(forMs);
  // Swallowed data are lost: TCP would send them again, or end the connection.
  if (fault === 'black hole') link.cut();
  return link.set(noFaults);
}

/** Sends false responses in place of Orthanc, every second time for one study alone. */
async function lieForOrthanc({ answers, orthanc }: Scene, lie: Lie, forMs: number, of: number): Promise<void> {
  const studies = await orthanc.studies().catch(() => []);
  const one = of % 2 === 0 ? studies[of % Math.max(1, studies.length)] : undefined;
  answers.lie(({ path }) => (one === undefined || path.includes(one) ? lie : undefined));
  await sleep(forMs);
  answers.beHonest();
}

/** Hides the stored file of one instance, one that contains these bytes. It stays hidden until all faults are removed. */
export async function hideAttachment(
  orthanc: RunningServer,
  { away }: Deeds,
  of: number,
  contains = 'DICM',
): Promise<void> {
  const storage = join(orthanc.folder, 'storage');
  const names = (await readdir(storage, { recursive: true })).filter((name) => /\/[\da-f-]{36}$/.test(name)).sort();
  for (let at = 0; at < names.length; at += 1) {
    const home = join(storage, names[(of + at) % names.length] ?? '');
    const content = await readFile(home).catch(() => Buffer.alloc(0));
    if (content.toString('latin1', 128, 132) !== 'DICM' || !content.includes(contains)) continue;
    await rename(home, `${home}.away`);
    away.set(`${home}.away`, home);
    return;
  }
}

async function pressInBoard(scene: Scene, deeds: Deeds, fault: string, of: number): Promise<void> {
  const { operations } = scene;
  const { records } = await operations.records.deliveries({ limit: 100 });
  const record = records[of % Math.max(1, records.length)];
  if (!record) return;
  const { target, deliveryId, studyInstanceUid, studyTaskId } = record;
  const queue = operations.queues.target(target);
  const board = new DeliveryQueueAdapter(queue, operations, target);
  const job = (await board.getJob(deliveryId)) as unknown as Job | undefined;
  const acts: Readonly<Record<string, () => Promise<unknown> | undefined>> = {
    'remove a delivery': async () => {
      deeds.removed.add(`${studyInstanceUid} ${target}`);
      await job?.remove();
    },
    'remove a study task': async () => {
      const tasks = new DeliveryQueueAdapter(operations.queues.study(), operations, undefined);
      await (await tasks.getJob(studyTaskId))?.remove();
    },
    retry: () => job?.retry(),
    'promote all': () => board.promoteAll(),
    'put off': () => job?.changeDelay(5_000),
  };
  // Most of these actions are rejected, and Redis may be unavailable or full.
  await acts[fault]?.()?.catch(() => {});
}

async function disturbPacs({ scp }: Scene, fault: string, forMs: number): Promise<void> {
  if (fault === 'die at an instance') {
    const at = scp.stores.length + 3;
    scp.answer = (_uid, count) => (count === at ? 'die' : 0);
    await sleep(forMs);
    scp.answer = () => 0;
  } else {
    await scp.down();
    await sleep(forMs);
  }
  await scp.up().catch(() => {});
}

async function fillDisk({ disk }: Scene, forMs: number): Promise<void> {
  if (!disk.canFill) return;
  const { bavail, bsize } = await statfs(disk.path);
  const filler = join(disk.path, '.filler');
  await writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - 20_000))).catch(() => {});
  await sleep(forMs);
  await rm(filler, { force: true });
}
