import { createHash } from 'node:crypto';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type _Object,
} from '@aws-sdk/client-s3';
import { DispatchError, Secret } from '@dicom-dispatch/core';
import {
  freePort,
  makeCertificates,
  startFaultProxy,
  startHttpServer,
  startSwift,
  startTlsFront,
  type FaultProxy,
  type SwiftServer,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import {
  allChecks,
  fixtureStudy,
  handlerContract,
  pathContract,
  largeStudy,
  part10Facts,
  type ArrangedFault,
  type FixtureStudy,
} from '../contract-suite/index.ts';
import { s3Handler } from './handler.ts';
import { s3Target, type S3Target } from './schema.ts';

let swift: SwiftServer;
let proxy: FaultProxy;
let client: S3Client;

beforeAll(async () => {
  swift = await startSwift();
  proxy = await startFaultProxy({ port: swift.port });
  client = new S3Client({
    endpoint: swift.endpoint,
    forcePathStyle: true,
    region: swift.region,
    credentials: { accessKeyId: swift.accessKeyId, secretAccessKey: swift.secretAccessKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
});
afterAll(async () => {
  client?.destroy();
  await proxy?.stop();
  await swift?.stop();
});

async function makeBucket(name: string): Promise<string> {
  await client.send(new CreateBucketCommand({ Bucket: name }));
  return name;
}

async function objectsIn(bucket: string): Promise<_Object[]> {
  const objects: _Object[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token }));
    objects.push(...(page.Contents ?? []));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  // Swift stores upload parts in a separate bucket, but lists none of them here.
  return objects;
}

async function received(bucket: string, study: FixtureStudy) {
  const facts = [];
  for (const { Key } of await objectsIn(bucket)) {
    if (!study.instances.some(({ manifest }) => Key?.includes(manifest.sopInstanceUid))) continue;
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
    facts.push(await part10Facts(Body as AsyncIterable<Uint8Array>));
  }
  return facts;
}

async function removeProbes(bucket: string): Promise<void> {
  for (const { Key } of await objectsIn(bucket)) {
    if (Key?.includes('probe')) await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
  }
}

async function unfinished(bucket: string): Promise<string[]> {
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  return (Uploads ?? []).map(({ Key }) => String(Key));
}

function configOf(bucket: string, more: object = {}) {
  return {
    type: 's3',
    bucket,
    endpoint: `http://127.0.0.1:${proxy.port}`,
    region: swift.region,
    accessKeyId: swift.accessKeyId,
    secretAccessKey: new Secret(swift.secretAccessKey),
    prefix: 'dicom/',
    ...more,
  };
}

/** Forwards requests unchanged, so that their signatures stay valid, but rejects some: like a policy. */
async function startPolicy(method: string): Promise<ArrangedFault & { server: Server }> {
  const server = createServer((incoming, answer) => {
    if (incoming.method === method) {
      incoming.resume();
      answer.writeHead(403, { 'content-type': 'application/xml' });
      answer.end(method === 'HEAD' ? undefined : '<Error><Code>AccessDenied</Code><Message>policy</Message></Error>');
      return;
    }
    const { method: verb, url, headers } = incoming;
    const onward = httpRequest({ host: '127.0.0.1', port: swift.port, method: verb, path: url, headers });
    onward.once('response', (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    server,
    config: { endpoint: `http://127.0.0.1:${port}`, tls: undefined },
    undo: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const wrongSecret = { arrange: () => ({ config: { secretAccessKey: new Secret('wrong-secret') } }) };
const refused = async (): Promise<ArrangedFault> => ({ config: { endpoint: `http://127.0.0.1:${await freePort()}` } });

handlerContract<S3Target>({
  name: 's3',
  handler: s3Handler,
  async start() {
    const bucket = await makeBucket('contract');
    return {
      config: configOf(bucket, { marker: {} }),
      received: (study) => received(bucket, study),
      names: async () => (await objectsIn(bucket)).map(({ Key }) => String(Key)),
      litter: async () => [
        ...(await unfinished(bucket)),
        ...(await objectsIn(bucket)).map(({ Key }) => String(Key)).filter((key) => key.includes('probe')),
      ],
      fingerprint: async () =>
        (await objectsIn(bucket)).map(({ Key, ETag, LastModified }) => [Key, ETag, LastModified]),
      stop: async () => {},
    };
  },
  faults: {
    'wrong credentials': { ...wrongSecret, code: 'target-unauthorized', stage: 'connect' },
    'wrong host key': {
      // For https this is a certificate of an untrusted authority.
      arrange: () => tlsFront({ trusted: false }),
      code: 'target-tls',
      stage: 'connect',
    },
    full: {
      arrange: async () => {
        await swift.setQuota('contract', 1);
        return { undo: () => swift.setQuota('contract', undefined) };
      },
      code: 'target-full',
      stage: 'transfer',
    },
    unreachable: { arrange: refused, code: 'target-unreachable', stage: 'connect' },
    hangs: {
      arrange: () => ({
        // The SDK's own timers: what comes before the fault has enough time.
        config: { timeout: '30s', requestAttempts: 1 },
        strike: () => proxy.set({ blackHole: true }),
        undo: async () => {
          await proxy.heal();
          proxy.cut();
        },
      }),
      code: 'target-timeout',
      stage: 'transfer',
    },
    cut: {
      arrange: () => ({
        strike: async () => {
          await proxy.set({ resetAfterBytesDown: 0 });
          proxy.cut();
        },
        undo: () => proxy.heal(),
      }),
      code: 'target-connection-lost',
      stage: 'transfer',
    },
  },
  checks: {
    resolve: { arrange: () => ({ config: { endpoint: 'http://no-such-host.invalid' } }) },
    connect: { arrange: refused },
    credentials: {
      arrange: () => ({
        config: {
          role: { arn: 'arn:aws:iam::123456789012:role/none', stsEndpoint: `http://127.0.0.1:${swift.port}` },
        },
      }),
    },
    login: wrongSecret,
    bucket: { arrange: () => ({ config: { bucket: 'no-such-bucket' } }) },
    write: {
      arrange: () => ({
        config: {
          accessKeyId: swift.reader.accessKeyId,
          secretAccessKey: new Secret(swift.reader.secretAccessKey),
        },
      }),
    },
    read: { arrange: () => startPolicy('HEAD') },
    remove: {
      isSkipped: true,
      arrange: async () => {
        const policy = await startPolicy('DELETE');
        return {
          ...policy,
          undo: async () => {
            await policy.undo?.();
            await removeProbes('contract');
          },
        };
      },
    },
  },
  hostile: {
    config: {
      key: '{PatientID}/{PatientName}_{StudyDescription}/{Modality}_{SeriesNumber}/{SOPInstanceUID}.dcm',
      metadata: { name: '{PatientName}' },
      marker: undefined,
    },
  },
});

let places = 0;
pathContract({
  name: 's3',
  handler: s3Handler,
  option: 'key',
  async place() {
    const bucket = await makeBucket(`place-${(places += 1)}`);
    const Key = (path: string): string => `dicom/${path}`;
    return {
      config: configOf(bucket),
      async get(path) {
        const found = await client
          .send(new GetObjectCommand({ Bucket: bucket, Key: Key(path) }))
          .catch(() => undefined);
        return found && Buffer.from((await found.Body?.transformToByteArray()) ?? []);
      },
      put: async (path, Body) =>
        void (await client.send(new PutObjectCommand({ Bucket: bucket, Key: Key(path), Body }))),
      names: async () => (await objectsIn(bucket)).map((object) => String(object.Key)),
    };
  },
});

async function tlsFront({ trusted }: { trusted: boolean }): Promise<ArrangedFault> {
  const { ca, server } = await makeCertificates();
  const front = await startTlsFront({ port: swift.port, key: server.key, cert: server.cert });
  return {
    config: { endpoint: `https://127.0.0.1:${front.port}`, tls: trusted ? { ca: ca.certFile } : undefined },
    undo: () => front.stop(),
  };
}

describe('the s3 target', () => {
  const parse = (more: object) => s3Target.parse(configOf('cases', more));
  beforeAll(() => makeBucket('cases'));

  it('delivers over https with a private authority, and verifies it', async () => {
    const front = await tlsFront({ trusted: true });
    try {
      const config = parse(front.config ?? {});
      const attempt = await new TestDelivery(s3Handler, fixtureStudy({ seed: 'tls' })).attempt(config);
      expect(attempt.error).toBeUndefined();
      const checks = await allChecks(s3Handler, config);
      expect(checks.map(({ name, result }) => [name, result])).toContainEqual(['tls', 'passed']);
      const untrusted = await allChecks(s3Handler, parse({ ...front.config, tls: undefined }));
      expect(untrusted.find(({ result }) => result === 'failed')).toMatchObject({ name: 'tls' });
    } finally {
      await front.undo?.();
    }
  });

  it.each(['crc32', 'crc32c', 'sha1', 'sha256', 'md5', 'none'] as const)(
    'delivers small and multipart objects with checksum %s',
    async (checksum) => {
      const config = parse({ checksum, partSize: '5MiB', prefix: `${checksum}/` });
      const small = await new TestDelivery(s3Handler, fixtureStudy({ series: 1, instancesPerSeries: 1 })).attempt(
        config,
      );
      expect(small.error).toBeUndefined();
      const large = await new TestDelivery(s3Handler, largeStudy(11_000_000)).attempt(config);
      expect(large.error).toBeUndefined();
      expect((await objectsIn('cases')).filter(({ Key }) => Key?.startsWith(`${checksum}/`))).toHaveLength(2);
    },
  );

  it('continues an upload in parts of an earlier attempt', async () => {
    const config = parse({ partSize: '5MiB', prefix: 'resume/', maxParallel: 2 });
    const study = largeStudy(52_000_000);
    const delivery = new TestDelivery(s3Handler, study);
    const first = await delivery.attempt(config, {
      onChunk({ readBytes }) {
        if (readBytes > 40_000_000) throw new DispatchError('source-error', 'the source closed the connection');
      },
    });
    expect(first.error).toMatchObject({ code: 'source-error' });
    expect(delivery.state.size).toBe(1);
    const before = proxy.counters().bytesUp;
    const second = await delivery.attempt(config);
    expect(second.error).toBeUndefined();
    // 40 MB are 7 complete parts; parts in transit when the source failed may be lost.
    expect(proxy.counters().bytesUp - before).toBeLessThan(35_000_000);
    expect(delivery.logged).toContainEqual(expect.objectContaining({ text: 'upload resumed' }));
    expect(delivery.state.size).toBe(0);
    expect(await unfinished('cases')).toEqual([]);
    const facts = await study.instances[0]?.facts();
    const { Body } = await client.send(
      new GetObjectCommand({
        Bucket: 'cases',
        Key: (await objectsIn('cases')).find(({ Key }) => Key?.startsWith('resume/'))?.Key,
      }),
    );
    expect(await part10Facts(Body as AsyncIterable<Uint8Array>)).toEqual(facts);
    // A new delivery of the same content finds the object, and sends nothing.
    const after = proxy.counters().bytesUp;
    expect((await new TestDelivery(s3Handler, study, 'again').attempt(config)).error).toBeUndefined();
    expect(proxy.counters().bytesUp - after).toBeLessThan(50_000);
  });

  it('starts again if the server has removed the upload, or the instance has changed', async () => {
    const config = parse({ partSize: '5MiB', prefix: 'forgotten/' });
    const study = largeStudy(11_000_000);
    const uid = String(study.instances[0]?.manifest.sopInstanceUid);
    const delivery = new TestDelivery(s3Handler, study);
    delivery.state.set(`upload:${uid}`, { uploadId: 'bm90aGluZw', key: 'x', partBytes: 5_242_880, version: 'old' });
    expect((await delivery.attempt(config)).error).toBeUndefined();
  });

  it('gives up an upload whose instance is quarantined', async () => {
    const delivery = new TestDelivery(s3Handler, largeStudy(26_000_000));
    const attempt = await delivery.attempt(parse({ partSize: '5MiB', prefix: 'gone/' }), {
      onChunk({ readBytes }) {
        if (readBytes > 20_000_000) throw new DispatchError('source-instance-gone', 'the source does not have it');
      },
    });
    expect(attempt.error).toBeUndefined();
    expect([...attempt.reported.values()]).toMatchObject([{ kind: 'quarantined' }]);
    expect(await unfinished('cases')).toEqual([]);
    expect(delivery.state.size).toBe(0);
  });

  it('replaces an existing object without comparison if configured', async () => {
    const study = fixtureStudy({ seed: 'replace', series: 1, instancesPerSeries: 1 });
    const key = `replace/${study.instances[0]?.manifest.sopInstanceUid}`;
    for (const more of [{ onConflict: 'overwrite' }, { existing: 'overwrite' }]) {
      await client.send(new PutObjectCommand({ Bucket: 'cases', Key: key, Body: 'something else' }));
      const config = parse({ prefix: 'replace/', key: '{SOPInstanceUID}', ...more });
      expect((await new TestDelivery(s3Handler, study).attempt(config)).error).toBeUndefined();
      const head = await client.send(new HeadObjectCommand({ Bucket: 'cases', Key: key }));
      expect(head.ContentLength).toBe(study.instances[0]?.manifest.sizeBytes);
    }
  });

  it('needs no read permission without verification', async () => {
    const policy = await startPolicy('HEAD');
    try {
      const study = fixtureStudy({ seed: 'blind' });
      const blind = await new TestDelivery(s3Handler, study).attempt(parse({ ...policy.config, verify: 'none' }));
      expect(blind.error).toBeUndefined();
      // The server's checksum in its response is sufficient, too.
      const trusting = await new TestDelivery(s3Handler, fixtureStudy({ seed: 'trusting' })).attempt(
        parse(policy.config ?? {}),
      );
      expect(trusting.error).toBeUndefined();
      const verifying = await new TestDelivery(s3Handler, study).attempt(
        parse({ ...policy.config, verify: 'checksum' }),
      );
      expect(verifying.error).toMatchObject({ code: 'target-unauthorized' });
    } finally {
      await policy.undo?.();
    }
  });

  it('stores metadata, readable in any script', async () => {
    const study = fixtureStudy({
      seed: 'meta',
      series: 1,
      instancesPerSeries: 1,
      studyTags: { PatientName: 'Müller' },
    });
    const config = parse({
      prefix: 'meta/',
      key: '{SOPInstanceUID}',
      metadata: { modality: '{Modality}', name: '{PatientName}' },
    });
    expect((await new TestDelivery(s3Handler, study).attempt(config)).error).toBeUndefined();
    const Key = `meta/${study.instances[0]?.manifest.sopInstanceUid}`;
    const head = await client.send(new HeadObjectCommand({ Bucket: 'cases', Key }));
    expect(head.Metadata).toEqual({ modality: 'CT', name: 'M%C3%BCller' });
    expect(head.ContentType).toBe('application/dicom');
  });

  it('names the option that the server does not have', async () => {
    const config = parse({ storageClass: 'GLACIER_OF_MINE' });
    const attempt = await new TestDelivery(s3Handler, fixtureStudy({ seed: 'class' })).attempt(config);
    expect(attempt.error).toMatchObject({
      code: 'target-misconfigured',
      remedy: expect.stringContaining('storageClass'),
    });
  });

  it('requests encryption, storage class and tags for every kind of upload (simulated server that checks the requests)', async () => {
    await using standIn = await startHttpServer((request, answer) => {
      if (request.method === 'HEAD') return void answer.writeHead(404).end();
      if (request.query.has('uploads')) {
        return void answer.end(
          '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>',
        );
      }
      if (request.method === 'POST') {
        return void answer.end('<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>');
      }
      answer
        .writeHead(200, { etag: '"e"' })
        .end(request.method === 'GET' ? '<ListBucketResult><Name>cases</Name></ListBucketResult>' : undefined);
    });
    const config = parse({
      endpoint: standIn.url,
      encryption: 'kms',
      kmsKeyId: 'key-1',
      storageClass: 'STANDARD_IA',
      tags: { modality: '{Modality}', origin: 'a b' },
      verify: 'none',
      partSize: '5MiB',
    });
    const small = await new TestDelivery(s3Handler, fixtureStudy({ series: 1, instancesPerSeries: 1 })).attempt(config);
    expect(small.error).toBeUndefined();
    expect((await new TestDelivery(s3Handler, largeStudy(6_000_000)).attempt(config)).error).toBeUndefined();
    const making = standIn.requests.filter(
      ({ method, query }) => (method === 'PUT' && !query.has('partNumber')) || query.has('uploads'),
    );
    expect(making).toHaveLength(2);
    for (const { headers } of making) {
      expect(headers).toMatchObject({
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
        'x-amz-storage-class': 'STANDARD_IA',
        'content-type': 'application/dicom',
      });
      expect(headers['x-amz-tagging']).toMatch(/^modality=(CT|OT)&origin=a\+b$/);
    }
  });

  it('detects an object that differs from the sent data (simulated)', async () => {
    const study = fixtureStudy({ series: 1, instancesPerSeries: 1 });
    const size = String(study.instances[0]?.manifest.sizeBytes);
    let stored = false;
    let heads: Record<string, string> = {};
    await using standIn = await startHttpServer((request, answer) => {
      if (request.method === 'PUT') stored = true;
      if (request.method === 'HEAD') return void answer.writeHead(stored ? 200 : 404, stored ? heads : {}).end();
      answer
        .writeHead(200)
        .end(request.method === 'GET' ? '<ListBucketResult><Name>cases</Name></ListBucketResult>' : undefined);
    });
    const deliver = async (headers: Record<string, string>, more: object = {}) => {
      [heads, stored] = [headers, false];
      return new TestDelivery(s3Handler, study).attempt(parse({ endpoint: standIn.url, ...more }));
    };
    const wrong = { 'content-length': size, etag: `"${'0'.repeat(32)}"` };
    expect((await deliver(wrong)).error).toMatchObject({ code: 'verify-missing', stage: 'verify' });
    expect((await deliver({ ...wrong, 'content-length': '3' }, { verify: 'size' })).error).toMatchObject({
      code: 'verify-missing',
    });
    expect((await deliver(wrong, { verify: 'size' })).error).toBeUndefined();
    // An ETag of a server that encrypts with its own key is not a checksum.
    expect((await deliver({ ...wrong, 'x-amz-server-side-encryption': 'aws:kms' })).error).toBeUndefined();
  });

  it('accepts the MD5 in the response as proof, rejects a wrong one, and checks only listed keys (simulated)', async () => {
    const study = fixtureStudy({ seed: 'answers', series: 1, instancesPerSeries: 4 });
    const stored = new Map<string, Buffer>();
    let isHonest = true;
    await using standIn = await startHttpServer((request, answer) => {
      if (request.method === 'GET') {
        const keys = [...stored.keys()].map((key) => `<Contents><Key>${key.slice('/cases/'.length)}</Key></Contents>`);
        return void answer.end(`<ListBucketResult><Name>cases</Name>${keys.join('')}</ListBucketResult>`);
      }
      const etag = createHash('md5').update(request.body).digest('hex');
      if (request.method === 'PUT') {
        stored.set(request.path, request.body);
        return void answer.writeHead(200, { etag: `"${isHonest ? etag : '0'.repeat(32)}"` }).end();
      }
      const found = stored.get(request.path);
      if (!found) return void answer.writeHead(404).end();
      const md5 = createHash('md5').update(found).digest('hex');
      answer.writeHead(200, { etag: `"${md5}"`, 'content-length': String(found.length) }).end();
    });
    const count = () => ({
      PUT: standIn.requests.filter(({ method }) => method === 'PUT').length,
      HEAD: standIn.requests.filter(({ method }) => method === 'HEAD').length,
    });
    const deliver = async (name: string) =>
      new TestDelivery(s3Handler, study, name).attempt(parse({ endpoint: standIn.url, checksum: 'none' }));
    expect((await deliver('first')).error).toBeUndefined();
    expect(count()).toEqual({ PUT: 4, HEAD: 0 });
    // Now the objects are listed: each is checked, identical, and kept.
    expect((await deliver('second')).error).toBeUndefined();
    expect(count()).toEqual({ PUT: 4, HEAD: 4 });
    stored.clear();
    isHonest = false;
    expect((await deliver('third')).error).toBeUndefined();
    expect(count()).toEqual({ PUT: 8, HEAD: 8 });
  });

  it('assumes a role with the configured keys (simulated token service)', async () => {
    const until = new Date(Date.now() + 3_600_000).toISOString();
    await using sts = await startHttpServer((_request, answer) => {
      answer.writeHead(200, { 'content-type': 'text/xml' });
      answer.end(
        `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>${swift.accessKeyId}</AccessKeyId>` +
          `<SecretAccessKey>${swift.secretAccessKey}</SecretAccessKey><SessionToken>t</SessionToken>` +
          `<Expiration>${until}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
      );
    });
    const config = parse({
      accessKeyId: 'mine',
      secretAccessKey: new Secret('my-secret'),
      prefix: 'role/',
      role: { arn: 'arn:aws:iam::123456789012:role/writer', externalId: 'ours', stsEndpoint: sts.url },
    });
    const attempt = await new TestDelivery(s3Handler, fixtureStudy({ seed: 'role' })).attempt(config);
    expect(attempt.error).toBeUndefined();
    const form = new URLSearchParams(sts.requests[0]?.body.toString());
    expect(Object.fromEntries(form)).toMatchObject({
      Action: 'AssumeRole',
      RoleArn: 'arn:aws:iam::123456789012:role/writer',
      RoleSessionName: 'dicom-dispatch',
      ExternalId: 'ours',
      DurationSeconds: '3600',
    });
  });

  it('uses credentials from the environment if none are configured', async () => {
    onTestFinished(() => void vi.unstubAllEnvs());
    vi.stubEnv('AWS_ACCESS_KEY_ID', swift.accessKeyId);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', swift.secretAccessKey);
    const config = parse({ accessKeyId: undefined, secretAccessKey: undefined, prefix: 'chain/' });
    const attempt = await new TestDelivery(s3Handler, fixtureStudy({ seed: 'chain' })).attempt(config);
    expect(attempt.error).toBeUndefined();
  });

  it.each([
    [{ bucket: 'a' }, '3 to 63'],
    [{ prefix: '../up/' }, 'no . or ..'],
    [{ prefix: '/abs' }, 'does not begin with a slash'],
    [{ key: '{PatientID}' }, 'SOPInstanceUID'],
    [{ secretAccessKey: undefined }, 'must be set together'],
    [{ kmsKeyId: 'x' }, 'needs encryption: kms'],
    [{ partSize: '1MB' }, '5MiB to 512MiB'],
    [{ tags: { a: '{Nothing}' } }, 'not a tag that templates support'],
    [{ endpoint: 'https://user:pw@host' }, 'without user'],
  ])('refuses %j', (more, text) => {
    const config = { type: 's3', bucket: 'bucket', accessKeyId: 'k', secretAccessKey: new Secret('s'), ...more };
    expect(s3Target.safeParse(config).error?.message).toContain(text);
  });
});
