import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startStorescp, tempFolder } from '@dicom-dispatch/harness';
import { makeLargeInstance } from '@dicom-dispatch/samples';
import { createServer } from 'dicom-dimse';
import { describe, expect, it } from 'vitest';

const MB = 1024 * 1024;

interface Sent {
  readonly status: number;
  readonly dataSetBytes: number;
  readonly sha256: string;
  readonly peakBytes: number;
}

/** Sends an instance of this size from a separate process, and reports on it. */
async function sendFromChild(port: number, sizeBytes: number, path = ''): Promise<Sent> {
  const script = fileURLToPath(new URL('dimse-large-sender.ts', import.meta.url));
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', script, String(port), String(sizeBytes), path],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(child, 'close');
  expect(child.exitCode).toBe(0);
  return JSON.parse(Buffer.concat(chunks).toString()) as Sent;
}

describe('an instance of 2 GiB', () => {
  it('is sent from a file to storescp in less than 150 MB of resident memory', async () => {
    await using scp = await startStorescp({ ignore: true });
    await using folder = await tempFolder('large');
    const path = join(folder.path, 'large.dcm');
    const instance = makeLargeInstance({ sizeBytes: 2048 * MB });
    const [head = Buffer.alloc(0)] = await Array.fromAsync(take(instance, 1));
    await writeFile(path, head);
    // The pixels are a sparse hole: it takes no space, and reads as zeros.
    await truncate(path, instance.sizeBytes);
    const sent = await sendFromChild(scp.port, 0, path);
    expect(sent).toMatchObject({ status: 0 });
    expect(sent.dataSetBytes).toBeGreaterThanOrEqual(2048 * MB);
    expect(sent.peakBytes).toBeLessThan(150_000_000);
  });

  it('is received in bounded memory by our server, byte by byte, however slow its handler', async () => {
    const hash = createHash('sha256');
    let max = 0;
    const server = createServer({
      presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
      handlers: {
        async store(instance) {
          for await (const chunk of instance.dataSet) hash.update(chunk);
          max = await peakOfThisProcess();
          return 0;
        },
      },
    });
    const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
    const before = await peakOfThisProcess();
    const sent = await sendFromChild(port, 256 * MB);
    expect(sent.status).toBe(0);
    expect(hash.digest('hex')).toBe(sent.sha256);
    expect(max - before).toBeLessThan(100 * MB);
    await server.close();
  });
});

async function* take<T>(source: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  let left = count;
  for await (const one of source) {
    yield one;
    left -= 1;
    if (left === 0) return;
  }
}

async function peakOfThisProcess(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}
