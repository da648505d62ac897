import { createHash } from 'node:crypto';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  BlobSASPermissions,
  ContainerClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
  type BlobItem,
} from '@azure/storage-blob';
import { DispatchError, Secret } from '@dicom-dispatch/core';
import {
  freePort,
  makeCertificates,
  startAzurite,
  startFaultProxy,
  startHttpServer,
  startTlsFront,
  type AzuriteServer,
  type FaultProxy,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import {
  allChecks,
  fixtureStudy,
  handlerContract,
  largeStudy,
  part10Facts,
  pathContract,
  type ArrangedFault,
  type FixtureStudy,
} from '../contract-suite/index.ts';
import type { Holding, ListedInstance } from '@dicom-dispatch/target-kit';
import { azureHandler } from './handler.ts';
import { azureTarget, type AzureTarget } from './schema.ts';

let azurite: AzuriteServer;
let proxy: FaultProxy;
let credential: StorageSharedKeyCredential;

beforeAll(async () => {
  azurite = await startAzurite();
  proxy = await startFaultProxy({ port: azurite.port });
  credential = new StorageSharedKeyCredential(azurite.account, azurite.accountKey);
});
afterAll(async () => {
  await proxy?.stop();
  await azurite?.stop();
});

function clientOf(name: string): ContainerClient {
  return new ContainerClient(`${azurite.endpoint}/${name}`, credential);
}

async function makeContainer(name: string): Promise<ContainerClient> {
  const client = clientOf(name);
  await client.createIfNotExists();
  return client;
}

async function blobsIn(client: ContainerClient): Promise<BlobItem[]> {
  const all: BlobItem[] = [];
  for await (const blob of client.listBlobsFlat()) all.push(blob);
  return all;
}

async function contentOf(client: ContainerClient, name: string): Promise<Buffer | undefined> {
  return client
    .getBlobClient(name)
    .downloadToBuffer()
    .catch(() => undefined);
}

async function received(client: ContainerClient, study: FixtureStudy) {
  const facts = [];
  for (const { name } of await blobsIn(client)) {
    if (!study.instances.some(({ manifest }) => name.includes(manifest.sopInstanceUid))) continue;
    const { readableStreamBody } = await client.getBlobClient(name).download();
    facts.push(await part10Facts(readableStreamBody as AsyncIterable<Uint8Array>));
  }
  return facts;
}

function configOf(container: string, more: object = {}) {
  return {
    type: 'azure',
    account: azurite.account,
    accountKey: new Secret(azurite.accountKey),
    endpoint: `http://127.0.0.1:${proxy.port}/${azurite.account}`,
    container,
    prefix: 'dicom/',
    ...more,
  };
}

/** A signature for a container. */
function sas(containerName: string, permissions: string): Secret {
  const expiresOn = new Date(Date.now() + 3_600_000);
  const parsed = ContainerSASPermissions.parse(permissions);
  return new Secret(
    generateBlobSASQueryParameters({ containerName, permissions: parsed, expiresOn }, credential).toString(),
  );
}

/** Forwards requests unchanged, so that their signatures stay valid, and responds to some itself. */
async function startPolicy(
  isMeant: (method: string, url: string) => boolean,
  status: number,
  code: string,
): Promise<ArrangedFault> {
  const server = createServer((incoming, answer) => {
    const { method = '', url = '', headers } = incoming;
    if (isMeant(method, url)) {
      incoming.resume();
      answer.writeHead(status, { 'content-type': 'application/xml', 'x-ms-error-code': code });
      answer.end(method === 'HEAD' ? undefined : `<Error><Code>${code}</Code><Message>policy</Message></Error>`);
      return;
    }
    const onward = httpRequest({ host: '127.0.0.1', port: azurite.port, method, path: url, headers });
    onward.once('response', (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    config: { endpoint: `http://127.0.0.1:${port}/${azurite.account}` },
    undo: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function tlsFront({ trusted }: { trusted: boolean }): Promise<ArrangedFault> {
  const { ca, server } = await makeCertificates();
  const front = await startTlsFront({ port: azurite.port, key: server.key, cert: server.cert });
  return {
    config: {
      endpoint: `https://127.0.0.1:${front.port}/${azurite.account}`,
      tls: trusted ? { ca: ca.certFile } : undefined,
    },
    undo: () => front.stop(),
  };
}

const wrongKey = { arrange: () => ({ config: { accountKey: new Secret(Buffer.from('wrong').toString('base64')) } }) };
const refused = async (): Promise<ArrangedFault> => ({
  config: { endpoint: `http://127.0.0.1:${await freePort()}/${azurite.account}`, requestAttempts: 1 },
});

handlerContract<AzureTarget>({
  name: 'azure',
  handler: azureHandler,
  async start() {
    const client = await makeContainer('contract');
    const names = async (): Promise<string[]> => (await blobsIn(client)).map(({ name }) => name);
    return {
      config: configOf('contract', { marker: {} }),
      received: (study) => received(client, study),
      names,
      litter: async () => (await names()).filter((name) => name.includes('probe')),
      fingerprint: async () =>
        (await blobsIn(client)).map(({ name, properties }) => [name, properties.etag, properties.lastModified]),
      stop: async () => {},
    };
  },
  faults: {
    'wrong credentials': { ...wrongKey, code: 'target-unauthorized', stage: 'connect' },
    'wrong host key': {
      // For https this is a certificate of an untrusted authority.
      arrange: () => tlsFront({ trusted: false }),
      code: 'target-tls',
      stage: 'connect',
    },
    full: {
      arrange: () => startPolicy((method) => method === 'PUT', 409, 'AccountLimitExceeded'),
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
        config: { requestAttempts: 2 },
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
    resolve: { arrange: () => ({ config: { endpoint: 'http://no-such-host.invalid/tester' } }) },
    connect: { arrange: refused },
    login: wrongKey,
    container: { arrange: () => ({ config: { container: 'no-such-container' } }) },
    write: { arrange: () => ({ config: { accountKey: undefined, sasToken: sas('contract', 'rl') } }) },
    read: { arrange: () => startPolicy((method) => method === 'HEAD', 403, 'AuthorizationPermissionMismatch') },
    remove: {
      isSkipped: true,
      arrange: async () => {
        const policy = await startPolicy((method) => method === 'DELETE', 403, 'AuthorizationPermissionMismatch');
        return {
          ...policy,
          undo: async () => {
            await policy.undo?.();
            const client = clientOf('contract');
            for (const { name } of await blobsIn(client)) if (name.includes('probe')) await client.deleteBlob(name);
          },
        };
      },
    },
  },
  hostile: {
    config: {
      key: '{PatientID}/{PatientName}_{StudyDescription}/{Modality}_{SeriesNumber}/{SOPInstanceUID}.dcm',
      marker: undefined,
    },
  },
});

let places = 0;
pathContract({
  name: 'azure',
  handler: azureHandler,
  option: 'key',
  async place() {
    const name = `place-${(places += 1)}`;
    const client = await makeContainer(name);
    return {
      config: configOf(name),
      get: (path) => contentOf(client, `dicom/${path}`),
      put: async (path, content) =>
        void (await client.getBlockBlobClient(`dicom/${path}`).upload(content, content.length)),
      names: async () => (await blobsIn(client)).map((blob) => blob.name),
    };
  },
});

describe('the azure target', () => {
  const parse = (more: object = {}): AzureTarget => azureTarget.parse(configOf('cases', more));
  beforeAll(() => makeContainer('cases'));

  it('continues an upload in blocks of an earlier attempt, and the blob has the MD5 of the whole', async () => {
    const config = parse({ blockSize: '4MiB', prefix: 'resume/', maxParallel: 2 });
    const study = largeStudy(52_000_000);
    const delivery = new TestDelivery(azureHandler, study);
    const first = await delivery.attempt(config, {
      onChunk({ readBytes }) {
        if (readBytes > 40_000_000) throw new DispatchError('source-error', 'the source closed the connection');
      },
    });
    expect(first.error).toMatchObject({ code: 'source-error' });
    expect(await blobsIn(clientOf('cases'))).toEqual([]);
    const before = proxy.counters().bytesUp;
    const second = await delivery.attempt(config);
    expect(second.error).toBeUndefined();
    // 40 MB are 9 complete blocks; blocks in transit when the source failed may be lost.
    expect(proxy.counters().bytesUp - before).toBeLessThan(35_000_000);
    expect(delivery.logged).toContainEqual(expect.objectContaining({ text: 'upload resumed' }));
    const [blob] = await blobsIn(clientOf('cases'));
    const content = await contentOf(clientOf('cases'), blob?.name ?? '');
    const md5 = createHash('md5')
      .update(content ?? '')
      .digest();
    expect(Buffer.from(blob?.properties.contentMD5 ?? [])).toEqual(md5);
    // A second delivery of the same content finds it.
    const again = await new TestDelivery(azureHandler, study, 'other').attempt(config);
    expect(again.error).toBeUndefined();
    expect([...again.reported.values()]).toMatchObject([{ kind: 'delivered', answer: /^same as / }]);
  });

  it('delivers with a shared access signature that permits to create, write and read, and not to list', async () => {
    const config = parse({ accountKey: undefined, sasToken: sas('cases', 'crw'), prefix: 'sas/' });
    const attempt = await new TestDelivery(azureHandler, fixtureStudy({ seed: 'sas' })).attempt(config);
    expect(attempt.error).toBeUndefined();
    const ended = generateBlobSASQueryParameters(
      {
        containerName: 'cases',
        permissions: BlobSASPermissions.parse('rcw'),
        expiresOn: new Date(Date.now() - 60_000),
      },
      credential,
    );
    const late = parse({ accountKey: undefined, sasToken: new Secret(ended.toString()) });
    const refusal = await new TestDelivery(azureHandler, fixtureStudy({ seed: 'late' })).attempt(late);
    expect(refusal.error).toMatchObject({ code: 'target-unauthorized', stage: 'connect' });
    expect(refusal.error?.message).not.toContain('sig=');
  });

  it('delivers over https with client credentials of Entra, requested once, and reports their rejection', async () => {
    const certificates = await makeCertificates();
    await using secured = await startAzurite({ tls: certificates.server });
    const ask: string[] = [];
    const claims = {
      aud: 'https://storage.azure.com',
      iss: 'https://sts.windows.net/tenant/',
      exp: 4_000_000_000,
      nbf: 1,
      iat: 1,
    };
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`;
    await using entra = await startHttpServer(({ path, body }, response) => {
      const form = new URLSearchParams(body.toString());
      ask.push(`${path} ${form.get('scope')} ${form.get('client_id')}`);
      const isRight = form.get('client_secret') === 'right';
      const answer = isRight
        ? { access_token: token, token_type: 'Bearer', expires_in: 3600 }
        : { error: 'invalid_client' };
      response.writeHead(isRight ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
    const clientId = '11111111-2222-3333-4444-555555555555';
    const withSecret = (secret: string): AzureTarget =>
      parse({
        accountKey: undefined,
        endpoint: secured.endpoint,
        tls: { ca: certificates.ca.certFile },
        entra: { tenantId: 'tenant', clientId, clientSecret: new Secret(secret), authority: entra.url },
      });
    // The container is created with the key: permissions of a client are tested separately.
    const front = new ContainerClient(`${azurite.endpoint}/cases`, credential);
    expect(await front.exists()).toBe(true);
    const wrong = await new TestDelivery(azureHandler, fixtureStudy({ seed: 'entra' })).attempt(withSecret('wrong'));
    expect(wrong.error).toMatchObject({ code: 'target-unauthorized', stage: 'connect' });
    const missing = await new TestDelivery(azureHandler, fixtureStudy({ seed: 'entra' })).attempt(withSecret('right'));
    // The token is accepted, but the container does not exist.
    expect(missing.error).toMatchObject({
      code: 'target-misconfigured',
      message: expect.stringContaining('ContainerNotFound'),
    });
    expect(ask).toEqual(
      ['wrong', 'right'].map(() => `/tenant/oauth2/v2.0/token https://storage.azure.com/.default ${clientId}`),
    );
  });

  it('reports its content for a study: removed instances are missing, altered ones different, the rest is compared by MD5', async () => {
    const config = parse({ prefix: 'held/' });
    const client = clientOf('cases');
    const study = fixtureStudy({ seed: 'held', series: 1, instancesPerSeries: 3 });
    const { reported } = await new TestDelivery(azureHandler, study).attempt(config);
    const files = await Promise.all(
      study.instances.map(async ({ read }) => Buffer.concat(await Array.fromAsync(read()))),
    );
    const instances = study.instances.map(({ manifest }, at): ListedInstance => {
      const bytes = files[at]!;
      const outcome = reported.get(manifest.sopInstanceUid);
      return {
        instance: manifest,
        sizeBytes: bytes.length,
        answer: outcome?.kind === 'delivered' ? outcome.answer : undefined,
        sha256: async () => createHash('sha256').update(bytes).digest('hex'),
        open: () => Promise.reject(new Error('not needed')),
      };
    });
    const names = (await blobsIn(client)).map(({ name }) => name).filter((name) => name.startsWith('held/'));
    const nameOf = (at: number): string => names.find((name) => name.includes(instances[at]!.instance.sopInstanceUid))!;
    await client.deleteBlob(nameOf(0));
    const altered = Buffer.from(files[1]!);
    altered.writeUInt8(altered.readUInt8(altered.length - 1) ^ 1, altered.length - 1);
    await client.getBlockBlobClient(nameOf(1)).upload(altered, altered.length);
    await client.getBlockBlobClient(nameOf(2).replace(/[^/]+$/, '1.2.840.99.7.dcm')).upload('x', 1);
    let requests = 0;
    const inventory = await azureHandler.inventory!({
      config,
      targetName: 'azure',
      memory: { get: async () => undefined, set: async () => {}, delete: async () => {} },
      log: { info() {}, warn() {} },
      pace: async () => void (requests += 1),
      signal: AbortSignal.timeout(30_000),
    });
    const holdings: Holding[] = [];
    for await (const one of inventory.list({ study: study.tags, instances, content: false })) holdings.push(one);
    await inventory.close();
    expect(holdings).toEqual([
      { kind: 'held', instance: instances[1], sizeBytes: altered.length, content: 'different' },
      { kind: 'held', instance: instances[2], sizeBytes: files[2]!.length, content: 'same' },
      { kind: 'extra', name: '1.2.840.99.7' },
    ]);
    // For the login, the folder, and the one with another MD5.
    expect(requests).toBe(3);
  });

  it('rejects two kinds of credentials, none, and a token over http', () => {
    const problems = (more: object): string[] =>
      azureTarget.safeParse(configOf('cases', more)).error?.issues.map(({ message }) => message) ?? [];
    const entra = {
      tenantId: 't.example',
      clientId: '11111111-2222-3333-4444-555555555555',
      clientSecret: new Secret('x'),
    };
    expect(problems({ sasToken: new Secret('sv=1') })).toEqual([
      'one of accountKey, sasToken and entra is needed, and only one',
    ]);
    expect(problems({ accountKey: undefined })).toEqual([
      'one of accountKey, sasToken and entra is needed, and only one',
    ]);
    expect(problems({ accountKey: undefined, entra })).toEqual(['with entra the endpoint has to be https']);
  });

  it('does not treat the page of a proxy as a confirmation', async () => {
    await using page = await startHttpServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>sign in</html>');
    });
    const config = parse({ endpoint: page.url, requestAttempts: 1 });
    const attempt = await new TestDelivery(azureHandler, fixtureStudy({ seed: 'page' })).attempt(config);
    expect(attempt.error).toMatchObject({ code: 'target-error', stage: 'connect' });
    expect(attempt.reported.size).toBe(0);
    expect((await allChecks(azureHandler, config)).find(({ result }) => result === 'failed')?.name).toBe('login');
  });
});
