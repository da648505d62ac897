import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import { CommandError } from '../exit.ts';

/** An Orthanc for the demo: its files in one folder, on free ports, reachable from this machine only. */
export interface OrthancProcess {
  readonly url: string;
  readonly dicomPort: number;
  readonly aeTitle: string;
  readonly client: OrthancClient;
  stop(): Promise<void>;
}

const readyWithinMs = 30_000;

export async function startOrthancProcess(folder: string, aeTitle: string): Promise<OrthancProcess> {
  const program = await findOrthanc();
  await mkdir(folder, { recursive: true });
  const [httpPort, dicomPort] = [await freePort(), await freePort()];
  const file = join(folder, 'orthanc.json');
  await writeFile(file, JSON.stringify(settings(folder, aeTitle, httpPort, dicomPort), null, 2));
  // A separate process group: Ctrl-C reaches only this process, which ends the others in order.
  const child = spawn(program, [file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => void (output.push(chunk.toString()) > 50 && output.shift()));
  const killWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const url = `http://127.0.0.1:${httpPort}`;
  const client = createOrthancClient({ url });
  const stop = async (): Promise<void> => {
    process.off('exit', killWithUs);
    await client.close();
    await endProcess(child);
  };
  const deadline = Date.now() + readyWithinMs;
  for (;;) {
    const isReady = await client.system({ timeoutMs: 1_000 }).then(
      () => true,
      () => false,
    );
    if (isReady) return { url, dicomPort, aeTitle, client, stop };
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new CommandError(`Orthanc did not start: ${output.join('').trim().split('\n').slice(-5).join('\n')}`);
    }
    await sleep(50);
  }
}

function settings(folder: string, aeTitle: string, httpPort: number, dicomPort: number): Record<string, unknown> {
  return {
    Name: aeTitle,
    StorageDirectory: join(folder, 'storage'),
    IndexDirectory: join(folder, 'storage'),
    HttpPort: httpPort,
    HttpBindAddresses: ['127.0.0.1'],
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    DicomAet: aeTitle,
    DicomPort: dicomPort,
    DicomAlwaysAllowStore: true,
    DicomAlwaysAllowEcho: true,
    StableAge: 1,
    Plugins: [],
  };
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exited;
  clearTimeout(killer);
}

async function findOrthanc(): Promise<string> {
  for (const folder of [
    '/usr/sbin',
    '/usr/bin',
    '/usr/local/bin',
    '/usr/local/sbin',
    ...(process.env['PATH'] ?? '').split(delimiter),
  ]) {
    const path = join(folder, 'Orthanc');
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return path;
  }
  throw new CommandError('Orthanc is not installed: apt-get install orthanc');
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
