import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { Secret } from '@dicom-dispatch/core';
import { startRsyncd, startSshd, startStorescp, tempFolder } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { startCountingSink } from '../http/counting-sink.ts';
import { deliverLarge } from './deliver-large.ts';
import { largeStudy } from './fixture-study.ts';

/** Maximum memory growth of a process for one instance of any size. */
const growthBytes = 120_000_000;

interface Taker {
  readonly config: object;
  /** Number of received bytes, if it counts them. */
  got?(): number;
  stop(): Promise<void>;
}

/** A fast receiver for each type; stored content is verified in the tests of each type. */
const takers: Readonly<Record<string, { everydayBytes?: number; start(): Promise<Taker> }>> = {
  dummy: { start: async () => ({ config: { type: 'dummy' }, stop: async () => {} }) },
  folder: {
    async start() {
      const folder = await tempFolder('large');
      return { config: { type: 'folder', path: folder.path, minFree: 0 }, stop: () => folder.remove() };
    },
  },
  dicom: {
    async start() {
      const scp = await startStorescp({ ignore: true });
      const { host, port, aet } = scp;
      return { config: { type: 'dicom', host, port, calledAeTitle: aet }, stop: () => scp.stop() };
    },
  },
  dicomweb: {
    start: () => {
      const uid = largeStudy(100_000).instances[0]?.manifest.sopInstanceUid;
      const stored = { '00081199': { vr: 'SQ', Value: [{ '00081155': { vr: 'UI', Value: [uid] } }] } };
      return sink({ type: 'dicomweb' }, (method) => (method === 'POST' ? JSON.stringify(stored) : '[]'));
    },
  },
  orthanc: {
    start: () => {
      const uid = largeStudy(100_000).instances[0]?.manifest.sopInstanceUid;
      const answer = {
        ApiVersion: 17,
        Version: 'stand-in',
        ID: Array(5).fill('01234567').join('-'),
        Status: 'Success',
        MainDicomTags: { SOPInstanceUID: uid },
      };
      return sink({ type: 'orthanc' }, () => JSON.stringify(answer));
    },
  },
  xnat: {
    start: () =>
      sink({ type: 'xnat', project: 'TRIAL', destination: 'prearchive', verify: 'none' }, (_method, url) => {
        if (url.startsWith('/data/JSESSION')) return '0123456789ABCDEF';
        const session = '/data/prearchive/projects/TRIAL/20240615_120000123/S';
        if (!url.includes('format=json')) return session;
        return JSON.stringify({ ResultSet: { Result: url.startsWith(session) ? [{ status: 'READY' }] : [] } });
      }),
  },
  s3: {
    everydayBytes: 300_000_000,
    start: async () => {
      const login = { region: 'here', accessKeyId: 'key', secretAccessKey: new Secret('secret') };
      const begin = '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>';
      const taker = await sink({ type: 's3', bucket: 'bucket', verify: 'none', ...login }, (method, url) => {
        if (method === 'HEAD') return { status: 404 };
        const listed = '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>';
        const completed = '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>';
        const answer = method === 'GET' ? listed : completed;
        const text = url.includes('uploads') ? begin : method === 'PUT' ? '' : answer;
        return { headers: { etag: '"e"', 'content-type': 'application/xml' }, text };
      });
      const { url: endpoint, ...config } = taker.config as { url: string };
      return { ...taker, config: { ...config, endpoint } };
    },
  },
  'package:./examples/target-handler': {
    start: () => {
      const type = `package:${join(fileURLToPath(new URL('../../../../', import.meta.url)), 'examples/target-handler')}`;
      return sink({ type, token: new Secret('open-sesame') }, (method) => ({ status: method === 'PUT' ? 201 : 204 }));
    },
  },
  sftp: {
    // Encryption takes time.
    everydayBytes: 300_000_000,
    async start() {
      const sshd = await startSshd();
      const { port, username, filesFolder: path } = sshd;
      const privateKey = new Secret(sshd.clientKey.privateKey);
      const hostKey = { knownHosts: sshd.knownHostsFile };
      const config = { type: 'sftp', host: '127.0.0.1', port, username, privateKey, hostKey, path, minFree: 0 };
      return { config, stop: () => sshd.stop() };
    },
  },
  rsync: {
    everydayBytes: 300_000_000,
    async start() {
      const [rsyncd, spool] = [await startRsyncd({}), await tempFolder('large-spool')];
      const via = { type: 'daemon', port: rsyncd.port, module: 'data' };
      return {
        config: { type: 'rsync', host: '127.0.0.1', spool: spool.path, via },
        async stop() {
          await rsyncd.stop();
          await spool.remove();
        },
      };
    },
  },
};

async function sink(config: object, answer: Parameters<typeof startCountingSink>[0]): Promise<Taker> {
  const counting = await startCountingSink(answer);
  return {
    config: { ...config, url: counting.url },
    got: () => counting.uploads.reduce((sum, bytes) => sum + bytes, 0),
    stop: async () => counting[Symbol.asyncDispose](),
  };
}

// DICOM_DISPATCH_FULL_SIZE=1 sends a gigabyte to each.
const isFull = Boolean(process.env['DICOM_DISPATCH_FULL_SIZE']);
const cases = Object.entries(takers).map(([type, { everydayBytes = 1_000_000_000, start }]) => ({
  type,
  start,
  sizeBytes: isFull ? 1_000_000_000 : everydayBytes,
}));

it.each(cases)('$type sends an instance of $sizeBytes bytes in bounded memory', async ({ sizeBytes, start }) => {
  const taker = await start();
  try {
    const delivery = await deliverLarge(taker.config, sizeBytes);
    expect(delivery.error).toBeUndefined();
    expect(delivery.sentBytes).toBeGreaterThanOrEqual(sizeBytes - 1);
    if (taker.got) expect(taker.got()).toBeGreaterThanOrEqual(sizeBytes - 1);
    expect(delivery.growthBytes).toBeLessThan(growthBytes);
    process.stdout.write(
      `${JSON.stringify({ type: (taker.config as { type: string }).type, sizeBytes, ...delivery })}\n`,
    );
  } finally {
    await taker.stop();
  }
});
