import { Readable } from 'node:stream';
import { Secret } from '@dicom-dispatch/core';
import { startFaultProxy, startSshd } from '@dicom-dispatch/harness';
import SftpClient from 'ssh2-sftp-client';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { largeStudy } from '../../src/contract-suite/index.ts';
import { sftpHandler } from '../../src/sftp/handler.ts';
import { sftpTarget } from '../../src/sftp/schema.ts';

/** Duration of one file by `put` of ssh2-sftp-client and by our handler, over a link with latency (docs/decisions/0007). */
const sizeBytes = 24_000_000;
/** As HTTP gives them. */
const chunkBytes = 65_536;
const roundTripMs = 50;

await using sshd = await startSshd();
await using proxy = await startFaultProxy({ port: sshd.port, latencyMs: roundTripMs / 2 });
const login = { host: '127.0.0.1', port: proxy.port, username: sshd.username };
const study = largeStudy(sizeBytes);

function* chunks(): Generator<Buffer> {
  for (let at = 0; at < sizeBytes; at += chunkBytes) yield Buffer.alloc(Math.min(chunkBytes, sizeBytes - at));
}

const client = new SftpClient('bench', {});
await client.connect({ ...login, privateKey: sshd.clientKey.privateKey });
const putStart = performance.now();
await client.put(Readable.from(chunks()), `${sshd.filesFolder}/by-put`);
const putMs = performance.now() - putStart;
await client.end();

const config = sftpTarget.parse({
  type: 'sftp',
  ...login,
  privateKey: new Secret(sshd.clientKey.privateKey),
  hostKey: 'insecure-any',
  path: sshd.filesFolder,
  minFree: 0,
});
const start = performance.now();
const { error } = await new TestDelivery(sftpHandler, study).attempt(config);
if (error) throw error;
const handlerMs = performance.now() - start;
const measured = { sizeBytes, roundTripMs, putMs: Math.round(putMs), handlerWithLoginMs: Math.round(handlerMs) };
process.stdout.write(`${JSON.stringify(measured)}\n`);
