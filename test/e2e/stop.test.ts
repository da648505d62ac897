import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  httpRequest,
  leasePort,
  startOrthanc,
  startRedis,
  tempFolder,
  waitFor,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { findEmbeddedRedis } from '@dicom-dispatch/runtime';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { commandLine } from './support/programs.ts';
import { compileCache } from './support/run-commands.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';

/** Services stop on request, even if something hangs. The timeout of the test is the limit. */

let orthanc: OrthancServer;
let scp: FaultScp;

beforeAll(async () => {
  [orthanc, scp] = await Promise.all([startOrthanc(), startFaultScp()]);
});
afterAll(async () => {
  await Promise.all([orthanc?.stop(), scp?.down()]);
});

function config(): Record<string, unknown> {
  return {
    sources: { main: { url: orthanc.url, pollInterval: '200ms' } },
    targets: { pacs: pacsTarget(scp) },
    rules: [{ name: 'all', targets: ['pacs'] }],
    dispatcher: { graceTime: '300ms' },
  };
}

async function untilEnded(dispatch: RunningDispatch): Promise<void> {
  await waitFor(() => !dispatch.isRunning(), {
    message: () => `the end of the process; it printed:\n${dispatch.output()}`,
  });
}

/** Starts `up` in a separate folder without waiting for it. */
async function spawnUp(folder: string, port: number) {
  const listen = `127.0.0.1:${port}`;
  await writeFile(join(folder, 'dispatch.yaml'), stringify({ ...config(), console: { listen } }));
  const child = spawn(process.execPath, [commandLine, 'up'], {
    cwd: folder,
    env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  return {
    kill: () => child.kill('SIGTERM'),
    output: () => output,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function untilNoRedis(folder: string): Promise<void> {
  await waitFor(async () => (await findEmbeddedRedis(join(folder, 'data'))) === undefined, {
    message: 'the end of its Redis',
  });
}

describe('a system that is stopped', () => {
  it('ends if its Redis is stopped at the same moment, as by a service manager', async () => {
    await using dispatch = await startDispatch({ config: config() });
    await waitFor(() => dispatch.output().includes('router started'), { message: () => dispatch.output() });
    // To the process and all its children.
    void dispatch.kill('SIGTERM');
    await untilEnded(dispatch);
  });

  it('ends if nothing responds any more, and reports what it waited for', async () => {
    await using redis = await startRedis();
    await using dispatch = await startDispatch({ config: { ...config(), redis: { url: redis.url } } });
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const { promise: answer, resolve: release } = Promise.withResolvers<number>();
    scp.answer = () => {
      ask();
      return answer;
    };
    for (const { bytes } of makeStudy({ seed: 'stop', instancesPerSeries: 3 })) await orthanc.upload(bytes);
    await asked;
    const open = [
      'GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n',
      'POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n',
    ];
    const connections = open.map((text) => {
      const connection = connect(dispatch.ports[0]!, '127.0.0.1').on('error', () => {});
      connection.write(text);
      return connection;
    });
    await once(connections[0]!, 'data');
    await Promise.all([redis.kill('SIGSTOP'), orthanc.kill('SIGSTOP')]);
    try {
      process.kill(dispatch.pid(), 'SIGTERM');
      await untilEnded(dispatch);
      expect(dispatch.output()).toMatch(
        /"jobs":\["d-[0-9a-f]+"\].*these deliveries did not reach a safe point in time/,
      );
      expect(dispatch.output()).toMatch(/"what":"source main".*did not stop in time and was abandoned/);
    } finally {
      for (const connection of connections) connection.destroy();
      await Promise.all([redis.kill('SIGCONT'), orthanc.kill('SIGCONT')]);
      release(0);
      scp.answer = () => 0;
    }
  });

  it.each(['the embedded Redis is running', 'console is ready', 'dispatcher started'])(
    'ends in good order in the middle of its start: %s',
    async (line) => {
      await using folder = await tempFolder('start');
      const port = await leasePort();
      await using up = await spawnUp(folder.path, port.port);
      await waitFor(() => up.output().includes(line), { intervalMs: 1, message: () => up.output() });
      up.kill();
      expect(await up.ended, up.output()).toBe(0);
      await untilNoRedis(folder.path);
      port.release();
    },
  );

  it('ends immediately after a second signal, and its Redis after it', async () => {
    await using folder = await tempFolder('start');
    const port = await leasePort();
    await using up = await spawnUp(folder.path, port.port);
    await waitFor(
      () =>
        httpRequest(`http://127.0.0.1:${port.port}/healthz`).then(
          () => true,
          () => false,
        ),
      {
        message: () => up.output(),
      },
    );
    up.kill();
    up.kill();
    // The process may receive both signals as one.
    expect([0, 130], up.output()).toContain(await up.ended);
    await untilNoRedis(folder.path);
    port.release();
  });

  it('ends when it cannot start, and leaves no Redis behind', async () => {
    await using folder = await tempFolder('start');
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    await using up = await spawnUp(folder.path, (taken.address() as AddressInfo).port);
    expect(await up.ended, up.output()).toBe(1);
    expect(up.output()).toContain('the port is already in use');
    await untilNoRedis(folder.path);
    taken.close();
  });
});
