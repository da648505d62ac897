import { writeFile, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Records, endStates } from '@dicom-dispatch/state/records';
import {
  hashDataset,
  listReceived,
  startFaultProxy,
  startOrthanc,
  startRedis,
  tempDisk,
  tempFolder,
  waitFor,
  type FaultProxy,
  type Faults,
  type RunningServer,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { Redis } from 'ioredis';
import { startFaultScp } from '../e2e/support/fault-scp.ts';
import { startDispatch } from '../e2e/support/start-dispatch.ts';
import { judge, type Verdict } from './judge.ts';
import type { Schedule, ScheduleStep } from './make-schedule.ts';

const quiescenceMs = 150_000;
const link: Readonly<Record<string, Faults>> = {
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

/**
 * Runs one schedule through the whole system: real Orthanc and Redis, a router and two dispatchers as processes, a DICOM
 * receiver that remembers every C-STORE, and a folder on a disk that can fill. Then everything is healed, the system gets
 * time to come to rest, and receivers are compared with what was uploaded.
 */
export async function runSchedule(schedule: Schedule): Promise<Verdict> {
  await using redis = await startRedis();
  await using orthanc = await startOrthanc();
  await using sourceLink = await startFaultProxy({ port: orthanc.httpPort });
  await using scp = await startFaultScp();
  await using pacsLink = await startFaultProxy({ port: scp.port });
  const isRoot = process.getuid?.() === 0;
  await using disk = isRoot ? await tempDisk({ sizeBytes: 40_000_000 }) : await tempFolder('chaos-disk');
  const again = { attempts: 1000, backoff: { first: '200ms', max: '1s' }, concurrency: 2 };
  const config = {
    sources: {
      main: {
        url: `http://127.0.0.1:${sourceLink.port}`,
        pollInterval: '200ms',
        timeout: '3s',
        sweep: { every: '2s', settle: '2s' },
      },
    },
    targets: {
      pacs: {
        type: 'dicom',
        host: '127.0.0.1',
        port: pacsLink.port,
        calledAeTitle: scp.aet,
        associations: 2,
        connectTimeout: '2s',
        associationTimeout: '2s',
        responseTimeout: '3s',
        ...again,
      },
      disk: { type: 'folder', path: disk.path, minFree: 0, ...again },
    },
    rules: [{ name: 'all', targets: ['pacs', 'disk'] }],
    redis: { url: redis.url },
    dispatcher: { lockTime: '3s', graceTime: '500ms' },
  };
  await using router = await startDispatch({ command: 'router', config });
  await using first = await startDispatch({ command: 'dispatcher', config });
  await using second = await startDispatch({ command: 'dispatcher', config });
  const processes: Readonly<Record<string, RunningServer>> = {
    router,
    'dispatcher 1': first,
    'dispatcher 2': second,
    redis,
    orthanc,
  };
  const links: Readonly<Record<string, FaultProxy>> = { 'source link': sourceLink, 'pacs link': pacsLink };
  const uploaded = new Map<string, string>();
  const studies = new Set<string>();
  const healing: Promise<void>[] = [];
  let disturbances = 0;

  for (const { afterMs, step } of schedule.steps) {
    await sleep(afterMs);
    if (step.kind === 'upload') await upload(step);
    else {
      disturbances += 1;
      healing.push(disturb(step));
    }
  }
  await Promise.all(healing);
  await healAll();

  const client = new Redis(redis.url, { maxRetriesPerRequest: null });
  client.on('error', () => {});
  try {
    const records = new Records(client, '{dicom-dispatch}');
    let rest = '';
    const isQuiet = await waitFor(
      async () => {
        const { records: deliveries } = await records.deliveries({ limit: 1000 });
        rest = deliveries
          .filter(({ state }) => !endStates.includes(state))
          .map(({ target, state, stage, error }) => `${target} ${state} ${stage} ${error?.message ?? ''}`)
          .join('; ');
        const arrived = new Set(scp.accepted().keys());
        const filed = new Set((await listReceived(disk.path)).map(({ sopInstanceUid }) => sopInstanceUid));
        return (
          rest === '' &&
          [...uploaded.keys()].every((uid) => arrived.has(uid) && filed.has(uid)) &&
          deliveries.length > 0
        );
      },
      { timeoutMs: quiescenceMs, intervalMs: 250, message: () => `rest: ${rest}` },
    ).then(
      () => true,
      () => false,
    );
    return judge({
      seed: schedule.seed,
      disturbances,
      uploaded,
      stores: scp.stores,
      files: await listReceived(disk.path),
      deliveries: (await records.deliveries({ limit: 1000 })).records,
      isQuiet,
      rest,
      logs: () => [router, first, second].map((one) => one.output()).join('\n'),
    });
  } finally {
    client.disconnect();
  }

  async function upload(step: Extract<ScheduleStep, { kind: 'upload' }>): Promise<void> {
    const study = makeStudy({
      seed: `${schedule.seed} ${step.study}`,
      series: step.series,
      instancesPerSeries: step.instances,
      rows: 48,
      columns: 48,
    });
    studies.add(study.studyInstanceUid);
    for (const instance of study) {
      // A modality sends again what the archive did not take; Orthanc may be away for a while.
      await waitFor(() => orthanc.upload(instance.bytes).then(() => true), {
        timeoutMs: 40_000,
        intervalMs: 200,
        message: 'the upload',
      });
      uploaded.set(instance.sopInstanceUid, hashDataset(instance.bytes));
    }
  }

  async function disturb({ victim, fault, forMs }: Extract<ScheduleStep, { kind: 'fault' }>): Promise<void> {
    const server = processes[victim];
    if (server) return disturbProcess(server, fault, forMs);
    const proxy = links[victim];
    if (proxy) {
      if (fault === 'cut') return proxy.cut();
      await proxy.set(link[fault] ?? {});
      await sleep(forMs);
      return proxy.set(noFaults);
    }
    if (victim === 'disk') return fillDisk(forMs);
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

  async function fillDisk(forMs: number): Promise<void> {
    if (!isRoot) return;
    const { bavail, bsize } = await statfs(disk.path);
    const filler = join(disk.path, '.filler');
    await writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - 20_000))).catch(() => {});
    await sleep(forMs);
    await rm(filler, { force: true });
  }

  async function healAll(): Promise<void> {
    await Promise.all([sourceLink.heal(), pacsLink.heal()]);
    scp.answer = () => 0;
    await scp.up().catch(() => {});
    for (const server of Object.values(processes)) {
      if (server.isRunning()) await server.kill('SIGCONT');
      else await server.restart();
    }
  }
}

/** Each victim is disturbed by one fault at a time: a second one waits for the end of the first. */
const busy = new WeakMap<RunningServer, Promise<void>>();

function disturbProcess(server: RunningServer, fault: string, forMs: number): Promise<void> {
  const turn = (busy.get(server) ?? Promise.resolve()).then(async () => {
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
  busy.set(server, turn);
  return turn;
}
