import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Records } from '@dicom-dispatch/state/records';
import { startRedis, waitFor } from '@dicom-dispatch/harness';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import { startDispatch } from '../e2e/support/start-dispatch.ts';
import { prefix, startFlowScene } from './flow-scene.ts';
import { productEnv, productFlags } from './product-env.ts';
import { usageOf } from './report.ts';

export interface RouterRate {
  readonly studies: number;
  readonly tasksPerSecond: number;
  /** Of the router, including its start. */
  readonly cpuMsPerTask: number;
  readonly orthancCpuMsPerTask: number;
  readonly redisCpuMsPerTask: number;
}

/** Stable studies in Orthanc's feed: how fast a router creates study tasks for them, one delivery each. */
export async function measureRouter(studies: number): Promise<RouterRate> {
  await using scene = await startFlowScene({ sink: { type: 'dummy', read: false } }, studies, {
    rules: [{ name: 'all', targets: ['sink'] }],
  });
  // Orthanc calls a study stable a second after its last instance.
  await waitFor(
    async () => {
      const changes = (await scene.orthanc.get('/changes?limit=100000')) as { Changes: { ChangeType: string }[] };
      return changes.Changes.filter(({ ChangeType: type }) => type === 'StableStudy').length >= studies;
    },
    { intervalMs: 500, message: 'all studies to be stable' },
  );
  const cpuOf = async (pid: number): Promise<number> => (await usageOf(pid)).cpuSeconds * 1_000;
  const servers = [scene.orthanc.pid(), scene.redis.pid()] as const;
  const before = await Promise.all(servers.map(cpuOf));
  const router = await scene.start('router');
  await waitFor(async () => (await scene.records.studyCount()) >= studies, {
    message: () => router.output(),
  });
  const [cpuMs, ...after] = await Promise.all([router.pid(), ...servers].map(cpuOf));
  const [orthancMs, redisMs] = after.map((ms, at) => ms - (before[at] ?? 0));
  const { records } = await scene.records.studies({ limit: studies });
  const routed = records.map(({ routedAt }) => routedAt);
  const seconds = (Math.max(...routed) - Math.min(...routed)) / 1_000;
  return {
    studies,
    tasksPerSecond: (studies - 1) / seconds,
    cpuMsPerTask: (cpuMs ?? 0) / studies,
    orthancCpuMsPerTask: (orthancMs ?? 0) / studies,
    redisCpuMsPerTask: (redisMs ?? 0) / studies,
  };
}

export interface SweepFigure {
  readonly studies: number;
  readonly seconds: number;
  /** The default pause between two pages; the measured sweep makes none. */
  readonly withPausesSeconds: number;
  readonly redisBytesPerStudy: number;
}

/**
 * A sweep over studies that were all routed before: the hourly cost of finding that nothing is missing. The source is
 * simulated and much faster than Orthanc; Redis and router are real.
 */
export async function measureSweep(studies: number): Promise<SweepFigure> {
  const changed = '20200101T000000';
  const uid = (index: number): string => `2.25.1${String(index).padStart(12, '0')}`;
  const source = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://source');
    const [since, limit] = [Number(url.searchParams.get('since') ?? 0), Number(url.searchParams.get('limit') ?? 100)];
    const answers: Record<string, () => unknown> = {
      '/system': () => ({ Version: '1.10.1', ApiVersion: 16, Name: 'stand-in', DicomAet: 'STANDIN', StableAge: 60 }),
      '/changes': () => ({ Changes: [], Done: true, Last: 0 }),
      '/studies': () =>
        Array.from({ length: Math.max(0, Math.min(limit, studies - since)) }, (_, offset) => ({
          ID: `study-${since + offset}`,
          IsStable: true,
          LastUpdate: changed,
          MainDicomTags: { StudyInstanceUID: uid(since + offset), StudyDate: '20200101', AccessionNumber: '' },
          PatientMainDicomTags: { PatientID: 'P', PatientName: 'P' },
          ParentPatient: 'patient',
          Series: ['series'],
          Type: 'Study',
        })),
    };
    const answer = answers[url.pathname];
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer?.() ?? {}));
  });
  await new Promise<void>((done) => source.listen(0, '127.0.0.1', done));
  const { port } = source.address() as AddressInfo;
  await using redis = await startRedis({ appendfsync: 'everysec' });
  const client = connectRedis(redis.url, 'bench', createLogger('bench', { level: 'error', format: 'json' }));
  try {
    const memory = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
    const before = await memory();
    const records = new Records(client, prefix);
    for (let at = 0; at < studies; at += 200)
      await Promise.all(
        Array.from({ length: Math.min(200, studies - at) }, (_, offset) =>
          records.routed(
            {
              source: 'main',
              epoch: '1',
              studyInstanceUid: uid(at + offset),
              orthancStudyId: `study-${at + offset}`,
              contentHash: `hash-${at + offset}`,
              instanceCount: 1,
              modalities: ['CT'],
              rules: ['all'],
              targets: ['sink'],
              studyTaskId: `s-${at + offset}`,
              routedAt: 1_577_836_800_000 + at + offset,
              lastUpdate: changed,
            },
            [],
          ),
        ),
      );
    const bytes = (await memory()) - before;
    await using router = await startDispatch({
      command: 'router',
      env: productEnv,
      execArgv: productFlags,
      config: {
        sources: { main: { url: `http://127.0.0.1:${port}`, startFrom: 'everything', sweep: { pause: 0 } } },
        targets: { sink: { type: 'dummy' } },
        rules: [{ name: 'all', targets: ['sink'] }],
        redis: { url: redis.url },
        logging: { level: 'warn', format: 'json' },
      },
    });
    await waitFor(async () => (await client.hget(`${prefix}:sweep:main`, 'endedAt')) !== null, {
      timeoutMs: 600_000,
      intervalMs: 200,
      message: () => router.output(),
    });
    const found = await client.hgetall(`${prefix}:sweep:main`);
    if (Number(found['routed']) !== 0) throw new Error(`the sweep routed ${found['routed']} studies`);
    const seconds = Number(found['durationMs']) / 1_000;
    // A sweep advances by half a page of 100 studies, with a pause of 50 ms after each page.
    return {
      studies,
      seconds,
      withPausesSeconds: seconds + (studies / 50) * 0.05,
      redisBytesPerStudy: bytes / studies,
    };
  } finally {
    client.disconnect();
    source.close();
    source.closeAllConnections();
  }
}
