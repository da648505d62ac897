import { parseConfig } from '@dicom-dispatch/core';
import {
  startFakeClock,
  startFaultProxy,
  startLyingProxy,
  startOrthanc,
  startRedis,
  tempDisk,
  tempFolder,
  type FakeClock,
  type FaultProxy,
  type LyingProxy,
  type OrthancServer,
  type RedisServer,
} from '@dicom-dispatch/harness';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import type { Redis as RedisConnection } from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { Redis } from 'ioredis';
import { startFaultScp, type FaultScp } from '../e2e/support/fault-scp.ts';
import { startCommandHost, type CommandHost } from '../e2e/support/run-commands.ts';
import { startDispatch, type RunningDispatch } from '../e2e/support/start-dispatch.ts';
import { clocksOf, type Schedule } from './make-schedule.ts';

/** Everything that a schedule does something to. */
export interface Scene extends AsyncDisposable {
  readonly redis: RedisServer;
  readonly orthanc: OrthancServer;
  readonly scp: FaultScp;
  /** The folder of the target `disk`; on a separate disk if the tests run as root. */
  readonly disk: { readonly path: string; readonly canFill: boolean };
  readonly router: RunningDispatch;
  readonly dispatchers: readonly [RunningDispatch, RunningDispatch];
  readonly links: { readonly source: FaultProxy; readonly pacs: FaultProxy; readonly redis: FaultProxy };
  readonly answers: LyingProxy;
  readonly clocks: { readonly router: FakeClock; readonly dispatcher: FakeClock; readonly orthanc: FakeClock };
  /** An operator at a terminal. */
  readonly commands: CommandHost;
  /** The judge's own connection, which no fault affects, and what is read and done through it. */
  readonly client: Redis;
  readonly operations: PipelineContext;
}

/**
 * The whole system: a real Orthanc and Redis, a router and two dispatchers as processes whose clocks can be wrong, a DICOM
 * receiver that records every C-STORE, a folder on a disk that can fill up, and proxies on all connections between them.
 */
export async function startScene(schedule: Schedule): Promise<Scene> {
  const stack = new AsyncDisposableStack();
  try {
    // With a clock that can be wrong, each read of the clock costs a system call.
    const wrong = clocksOf(schedule);
    const clockOf = async (isWrong: boolean): Promise<FakeClock> =>
      isWrong ? stack.use(await startFakeClock()) : rightClock;
    const [router, dispatcher, source] = [
      await clockOf(wrong.router),
      await clockOf(wrong.dispatcher),
      await clockOf(wrong.orthanc),
    ];
    const redis = stack.use(await startRedis());
    // What is missing on disk must not be served from its memory.
    const extraConfig = { MaximumStorageCacheSize: 0 };
    const stableAgeSeconds = schedule.start === 'arrival' ? 4 : 1;
    const orthanc = stack.use(await startOrthanc({ env: source.env, stableAgeSeconds, extraConfig }));
    const answers = stack.use(await startLyingProxy({ url: orthanc.url }));
    const scp = stack.use(await startFaultScp());
    const links = {
      source: stack.use(await startFaultProxy({ port: answers.port })),
      pacs: stack.use(await startFaultProxy({ port: scp.port })),
      redis: stack.use(await startFaultProxy({ port: redis.port })),
    };
    const canFill = process.getuid?.() === 0;
    const disk = stack.use(canFill ? await tempDisk({ sizeBytes: 40_000_000 }) : await tempFolder('chaos-disk'));
    const config = configOf(links, scp.aet, disk.path, schedule.start);
    const routing = stack.use(await startDispatch({ command: 'router', config, env: router.env }));
    const first = stack.use(await startDispatch({ command: 'dispatcher', config, env: dispatcher.env }));
    const second = stack.use(await startDispatch({ command: 'dispatcher', config }));
    const args = { cwd: routing.folder, env: {} };
    const commands = stack.use(startCommandHost(args));
    const client = new Redis(redis.url, { maxRetriesPerRequest: null });
    client.on('error', () => {});
    stack.defer(() => client.disconnect());
    const parsed = parseConfig(config, Object.values(targetSchemas) as never);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const operations = openPipeline(parsed.config, client as RedisConnection);
    stack.defer(() => operations.close());
    const all = stack.move();
    return {
      redis,
      orthanc,
      scp,
      disk: { path: disk.path, canFill },
      router: routing,
      dispatchers: [first, second],
      links,
      answers,
      clocks: { router, dispatcher, orthanc: source },
      commands,
      client,
      operations,
      [Symbol.asyncDispose]: () => all.disposeAsync(),
    };
  } finally {
    await stack.disposeAsync();
  }
}

const rightClock: FakeClock = { env: {}, set: async () => {}, [Symbol.asyncDispose]: async () => {} };

function configOf(
  links: Scene['links'],
  calledAeTitle: string,
  path: string,
  start: Schedule['start'],
): Record<string, unknown> {
  const again = { attempts: 1000, backoff: { first: '200ms', max: '1s' }, concurrency: 2 };
  return {
    sources: {
      main: {
        url: `http://127.0.0.1:${links.source.port}`,
        pollInterval: '200ms',
        timeout: '3s',
        sweep: { every: '2s', settle: start === 'arrival' ? '6s' : '2s' },
      },
    },
    targets: {
      pacs: {
        type: 'dicom',
        host: '127.0.0.1',
        port: links.pacs.port,
        calledAeTitle,
        maxParallel: 2,
        connectTimeout: '2s',
        associationTimeout: '2s',
        timeout: '3s',
        ...again,
      },
      disk: { type: 'folder', path, minFree: 0, ...again },
    },
    rules: [{ name: 'all', start, targets: ['pacs', 'disk'] }],
    redis: { url: `redis://127.0.0.1:${links.redis.port}` },
    dispatcher: { lockTime: '3s', graceTime: '500ms' },
  };
}
