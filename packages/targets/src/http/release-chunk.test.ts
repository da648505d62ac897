import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCertificates, tempFolder } from '@dicom-dispatch/harness';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { LateReturns } from '@dicom-dispatch/target-kit/flow';
import { HttpConnection } from './http-connection.ts';

const cases = ['http', 'https'].flatMap((scheme) => [
  { scheme, chunkBytes: 64, chunks: 20_000, reader: 'a fast' },
  { scheme, chunkBytes: 16_384, chunks: 1_000, reader: 'a fast' },
  { scheme, chunkBytes: 262_144, chunks: 150, reader: 'a fast' },
  { scheme, chunkBytes: 262_144, chunks: 60, reader: 'a slow' },
  { scheme, chunkBytes: 900_000, chunks: 30, reader: 'a fast' },
]);

it.each(cases)(
  '$scheme: $chunks chunks of $chunkBytes bytes reach $reader reader unchanged, although their memory is reused',
  async ({ scheme, chunkBytes, chunks, reader }) => {
    await using folder = await tempFolder('give-back');
    const { ca, server: certificate } = await makeCertificates();
    await writeFile(join(folder.path, 'ca.pem'), ca.cert);
    const server = scheme === 'https' ? createSecureServer(certificate) : createServer();
    server.on('request', (request, response) => {
      const hash = createHash('sha256');
      void (async () => {
        for await (const chunk of request) {
          hash.update(chunk as Buffer);
          if (reader === 'a slow') await sleep(2);
        }
        response.end(hash.digest('hex'));
      })();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const http = await HttpConnection.open(
      {
        url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
        auth: { type: 'none' },
        headers: {},
        tls: { ca: join(folder.path, 'ca.pem'), serverName: 'localhost', verify: true },
        connectTimeout: 5_000,
        timeout: 30_000,
        minBytesPerSecond: 0,
      },
      { connections: 1 },
    );
    const hash = createHash('sha256');
    const memories = new Set<ArrayBufferLike>();
    const free: Buffer[] = [];
    async function* body(): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < chunks; index += 1) {
        const chunk = free.pop() ?? Buffer.alloc(chunkBytes);
        memories.add(chunk.buffer);
        chunk.fill(index % 251);
        hash.update(chunk);
        yield chunk;
      }
    }
    const releaseChunk = (chunk: Uint8Array): void => {
      // If a reference to the chunk remained, these bytes would be sent.
      chunk.fill(0xff);
      free.push(Buffer.from(chunk.buffer));
    };
    const answer = await http.request({
      method: 'POST',
      path: '/',
      body: () => new LateReturns().borrow({ body: body(), releaseChunk }),
      signal: new AbortController().signal,
    });
    expect(await answer.text(1000)).toBe(hash.digest('hex'));
    expect(memories.size * chunkBytes).toBeLessThan(Math.max(1_500_000, 6 * chunkBytes));
    await http.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  },
);
