import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Secret } from '@dicom-dispatch/core';
import { startHttpServer, type HttpStandIn, type RecordedRequest } from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { allChecks, fixtureStudy, largeStudy, type FixtureStudy } from '../contract-suite/index.ts';
import { addressOf } from './address.ts';
import { s3Handler } from './handler.ts';
import { s3Target } from './schema.ts';

/** An in-memory object store that implements a configurable part of the protocol. */
interface Store {
  readonly objects: Map<string, { readonly bytes: Buffer; readonly etag: string }>;
  /** Responds to a request instead of the store; false = the store responds. */
  instead?(request: RecordedRequest, answer: ServerResponse, store: Store): boolean | Promise<boolean>;
  etag(parts: readonly Buffer[]): string;
  /** ETag of an object that was sent in one request. */
  etagOfOne(bytes: Buffer): string;
  completions: number;
}

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
const ofParts = (parts: readonly Buffer[]): string =>
  `${md5(Buffer.concat(parts.map((part) => Buffer.from(md5(part), 'hex'))))}-${parts.length}`;

async function startStore(more: Partial<Store> = {}): Promise<{ standIn: HttpStandIn; store: Store }> {
  const store: Store = { objects: new Map(), etag: ofParts, etagOfOne: md5, completions: 0, ...more };
  const uploads = new Map<string, Map<number, Buffer>>();
  const standIn = await startHttpServer(async (request, answer) => {
    if (await store.instead?.(request, answer, store)) return;
    const { method, path, query, body } = request;
    const found = store.objects.get(path);
    if (method === 'GET' && query.has('list-type')) {
      const keys = [...store.objects.keys()].map(
        (key) => `<Contents><Key>${key.slice('/cases/'.length)}</Key></Contents>`,
      );
      return void answer.end(`<ListBucketResult><Name>cases</Name>${keys.join('')}</ListBucketResult>`);
    }
    if (method === 'HEAD' || method === 'GET') {
      if (!found) return void answer.writeHead(404).end();
      const range = /bytes=0-(\d+)/.exec(String(request.headers.range));
      const bytes = range ? found.bytes.subarray(0, Number(range[1]) + 1) : found.bytes;
      answer.writeHead(range ? 206 : 200, { etag: `"${found.etag}"`, 'content-length': String(bytes.length) });
      return void answer.end(method === 'GET' ? bytes : undefined);
    }
    if (query.has('uploads')) {
      const id = `u${uploads.size}`;
      uploads.set(id, new Map());
      return void answer.end(
        `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
      );
    }
    const parts = uploads.get(query.get('uploadId') ?? '');
    if (method === 'DELETE') return void answer.writeHead(204).end();
    if (query.has('uploadId') && !parts) return void answer.writeHead(404).end(errorBody('NoSuchUpload'));
    if (method === 'PUT' && parts) {
      parts.set(Number(query.get('partNumber')), body);
      return void answer.writeHead(200, { etag: `"${md5(body)}"` }).end();
    }
    if (found && request.headers['if-none-match'] === '*') {
      return void answer.writeHead(412).end(errorBody('PreconditionFailed'));
    }
    if (method === 'POST' && parts) {
      makeObject(
        store,
        path,
        [...parts.entries()].sort(([a], [b]) => a - b).map(([, part]) => part),
      );
      uploads.delete(query.get('uploadId') ?? '');
      return void answer.end(completed(store.objects.get(path)?.etag ?? ''));
    }
    const etag = store.etagOfOne(body);
    store.objects.set(path, { bytes: body, etag });
    answer.writeHead(200, { etag: `"${etag}"` }).end();
  });
  return { standIn, store };
}

function makeObject(store: Store, path: string, parts: readonly Buffer[]): void {
  store.objects.set(path, { bytes: Buffer.concat(parts), etag: store.etag(parts) });
  store.completions += 1;
}
const errorBody = (code: string): string => `<Error><Code>${code}</Code><Message>no</Message></Error>`;
const completed = (etag: string): string =>
  `<CompleteMultipartUploadResult><ETag>"${etag}"</ETag></CompleteMultipartUploadResult>`;
const isCompletion = ({ method, query }: RecordedRequest): boolean => method === 'POST' && query.has('uploadId');

function parse(standIn: HttpStandIn, more: object = {}) {
  return s3Target.parse({
    type: 's3',
    bucket: 'cases',
    endpoint: standIn.url,
    accessKeyId: 'key',
    secretAccessKey: new Secret('secret'),
    partSize: '5MiB',
    checksum: 'none',
    requestAttempts: 1,
    ...more,
  });
}
const deliver = (standIn: HttpStandIn, study: FixtureStudy, more: object = {}, id?: string) =>
  new TestDelivery(s3Handler, study, id).attempt(parse(standIn, more));
const puts = ({ requests }: HttpStandIn): number => requests.filter(({ method }) => method === 'PUT').length;

describe('an upload in parts is confirmed by the content of the server, with any ETags', () => {
  it.each([
    ['of the parts and their number', ofParts],
    ['the MD5 of the whole', (parts: readonly Buffer[]) => md5(Buffer.concat(parts))],
    ['32 digits of something else', (parts: readonly Buffer[]) => md5(Buffer.from(`${parts.length} of ours`))],
    ['of another number of parts', (parts: readonly Buffer[]) => `${md5(parts[0]!)}-${parts.length + 1}`],
    ['of as many parts, and something else', (parts: readonly Buffer[]) => `${md5(parts[0]!)}-${parts.length}`],
    ['opaque', () => '0xABC-opaque'],
    ['empty', () => ''],
  ])('%s', async (_name, etag) => {
    const { standIn } = await startStore({ etag });
    await using _ = standIn;
    for (const verify of ['answer', 'checksum', 'size'] as const) {
      const study = largeStudy(6_000_000);
      expect((await deliver(standIn, study, { verify, prefix: `${verify}/` })).error).toBeUndefined();
    }
  });

  it('an upload in one request too, with 32 digits of something else: one of them is read, and the others are believed', async () => {
    const { standIn, store } = await startStore({ etagOfOne: (bytes) => md5(Buffer.from(`not ${md5(bytes)}`)) });
    await using _ = standIn;
    const study = fixtureStudy({ seed: 'own etags', series: 1, instancesPerSeries: 3 });
    const reads = () => standIn.requests.filter(({ method, query }) => method === 'GET' && !query.has('list-type'));
    expect((await deliver(standIn, study, { maxParallel: 1 })).error).toBeUndefined();
    expect(reads().length).toBe(1);
    // The same server changes the data that it was sent.
    store.instead = ({ method, path }) => {
      const found = store.objects.get(path);
      if (method !== 'GET' || !found) return false;
      store.objects.set(path, { ...found, bytes: Buffer.from(found.bytes.map((byte) => byte ^ 1)) });
      return false;
    };
    const other = fixtureStudy({ seed: 'changed there', series: 1, instancesPerSeries: 1 });
    const { error } = await deliver(standIn, other, { maxParallel: 1 });
    expect(error).toMatchObject({ code: 'verify-missing', message: expect.stringContaining('different content') });
  });

  it.each([
    ['the MD5 of the whole', (parts: readonly Buffer[]) => md5(Buffer.concat(parts))],
    ['of the parts', ofParts],
  ])('finds it there again by an ETag that is %s, and sends nothing', async (_name, etag) => {
    const { standIn } = await startStore({ etag });
    await using _ = standIn;
    expect((await deliver(standIn, largeStudy(6_000_000))).error).toBeUndefined();
    const before = puts(standIn);
    expect((await deliver(standIn, largeStudy(6_000_000), {}, 'again')).error).toBeUndefined();
    expect(puts(standIn)).toBe(before);
  });

  it('but not if it has the ETag of other parts, and has them', async () => {
    const { standIn } = await startStore({
      etag: ofParts,
      instead({ method, query, body }) {
        if (method === 'PUT' && query.has('partNumber')) body[100] = 1 + body[100]!;
        return false;
      },
    });
    await using _ = standIn;
    const attempt = await deliver(standIn, largeStudy(6_000_000));
    expect(attempt.error).toMatchObject({ code: 'verify-missing', stage: 'verify' });
    expect(attempt.reported.size).toBe(0);
  });
});

describe('completing an upload in parts', () => {
  const answers = {
    'an empty body': (answer: ServerResponse) => void answer.writeHead(200).end(),
    'an error in an answer of 200': (answer: ServerResponse) =>
      void answer.writeHead(200).end(`<?xml version="1.0"?>${errorBody('InternalError')}`),
    // Like Amazon while it joins many parts.
    'blanks, then an error': (answer: ServerResponse) =>
      void answer.writeHead(200).end(`  \n  <?xml version="1.0"?>${errorBody('InternalError')}`),
    'a proxy that gave up (499)': (answer: ServerResponse) => void answer.writeHead(499).end('<h1>499</h1>'),
    'a page of a proxy': (answer: ServerResponse) => void answer.writeHead(200).end('<html><body>hello</body></html>'),
    '500': (answer: ServerResponse) => void answer.writeHead(500).end(errorBody('InternalError')),
    'a connection that closes': (answer: ServerResponse) => void answer.destroy(),
  };

  it.each(Object.entries(answers))('%s, but the object is made: it is found and confirmed', async (_name, respond) => {
    const { standIn, store } = await startStore({
      instead(request, answer, { objects }) {
        if (!isCompletion(request) || objects.size > 0) return false;
        pending = (bytes) => makeObject(store, request.path, bytes);
        respond(answer);
        return true;
      },
    });
    let pending: ((parts: readonly Buffer[]) => void) | undefined;
    await using _ = standIn;
    const study = largeStudy(6_000_000);
    const bytes: Buffer[] = [];
    for await (const chunk of study.instances[0]!.read()) bytes.push(Buffer.from(chunk));
    const whole = Buffer.concat(bytes);
    const part = 5 * 1024 * 1024;
    const parts = [whole.subarray(0, part), whole.subarray(part)];
    // The server has created the object when it is queried.
    const original = store.instead!;
    store.instead = async (request, answer, state) => {
      const isAnswered = await original(request, answer, state);
      if (isAnswered) pending?.(parts);
      return isAnswered;
    };
    const attempt = await deliver(standIn, study);
    expect(attempt.error).toBeUndefined();
    expect(store.completions).toBe(1);
  });

  it.each(Object.entries(answers))('%s, and no object: it is tried again', async (_name, respond) => {
    let failures = 0;
    const { standIn, store } = await startStore({
      instead(request, answer) {
        if (!isCompletion(request) || (failures += 1) > 1) return false;
        respond(answer);
        return true;
      },
    });
    await using _ = standIn;
    expect((await deliver(standIn, largeStudy(6_000_000))).error).toBeUndefined();
    expect(store.completions).toBe(1);
  });

  it.each(Object.entries(answers))('%s again and again: the attempt fails for now', async (name, respond) => {
    const { standIn } = await startStore({
      instead(request, answer) {
        if (!isCompletion(request)) return false;
        respond(answer);
        return true;
      },
    });
    await using _ = standIn;
    const { error } = await deliver(standIn, largeStudy(6_000_000));
    expect(error?.code).toMatch(/^target-(error|busy|connection-lost)$/);
    expect(error?.disposition, name).toBe('retry');
  });

  it.each([
    ['without an ETag', {}],
    ['with an ETag of its own', { etag: '"65f1-1234"' }],
  ])('a page %s in the place of an answer replaces no older object of the same size', async (_name, headers) => {
    const study = fixtureStudy({ seed: 'page', series: 1, instancesPerSeries: 1, rows: 8, columns: 8 });
    const { manifest, read } = study.instances[0]!;
    const older = Buffer.concat(await Array.fromAsync(read()));
    older.write('old!', older.length - 4, 'latin1');
    const { standIn, store } = await startStore({
      instead({ method, path }, answer) {
        if (method !== 'PUT' || path.includes('dicom-dispatch')) return false;
        answer.writeHead(200, { 'content-type': 'text/html', ...headers }).end('<html>please log in</html>');
        return true;
      },
    });
    await using _ = standIn;
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = manifest;
    const path = `/cases/${studyInstanceUid}/${seriesInstanceUid}/${sopInstanceUid}.dcm`;
    store.objects.set(path, { bytes: older, etag: 'opaque' });
    for (const verify of ['answer', 'checksum', 'size'] as const) {
      const attempt = await deliver(standIn, study, { verify }, verify);
      expect(attempt.error, verify).toBeDefined();
      expect(attempt.reported.size).toBe(0);
    }
  });

  it('does not accept an older object of the same size, although its ETag is not conclusive', async () => {
    const study = largeStudy(6_000_000);
    const { standIn, store } = await startStore({
      etag: () => 'opaque',
      instead(request, answer) {
        if (!isCompletion(request)) return false;
        answer.writeHead(200).end();
        return true;
      },
    });
    await using _ = standIn;
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid, sizeBytes } = study.instances[0]!.manifest;
    const path = `/cases/${studyInstanceUid}/${seriesInstanceUid}/${sopInstanceUid}.dcm`;
    const head = Buffer.alloc(sizeBytes);
    let at = 0;
    for await (const chunk of study.instances[0]!.read()) {
      head.set(chunk, at);
      at += chunk.byteLength;
      if (at > 1_000_000) break;
    }
    store.objects.set(path, { bytes: head, etag: 'opaque' });
    const attempt = await deliver(standIn, study);
    expect(attempt.error).toBeDefined();
    expect(attempt.reported.size).toBe(0);
  });
});

describe('a source that is short', () => {
  it.each([1_000, 1_500_000])('makes no object of %i bytes less', async (missing) => {
    const { standIn, store } = await startStore();
    await using _ = standIn;
    const study = largeStudy(6_000_000);
    const [instance] = study.instances;
    async function* short(): AsyncGenerator<Uint8Array> {
      let left = instance!.manifest.sizeBytes - missing;
      for await (const chunk of instance!.read()) {
        if (left <= 0) return;
        yield chunk.subarray(0, left);
        left -= chunk.byteLength;
      }
    }
    const cut = { ...study, instances: [{ ...instance!, read: short }] };
    const attempt = await deliver(standIn, cut);
    expect(attempt.error).toMatchObject({ code: 'source-error' });
    expect(attempt.reported.size).toBe(0);
    expect(store.objects.size).toBe(0);
  });

  it('sends a result in parts that is longer than the source announced', async () => {
    const { standIn, store } = await startStore();
    await using _ = standIn;
    const study = largeStudy(6_000_000);
    const [instance] = study.instances;
    const manifest = { ...instance!.manifest, sizeBytes: 1_000 };
    const delivery = new TestDelivery(s3Handler, { ...study, instances: [{ ...instance!, manifest }] });
    const attempt = await delivery.attempt(parse(standIn), {
      run: { open: async () => ({ sizeBytes: undefined, body: toAsync(instance!.read()) }) } as never,
    });
    expect(attempt.error).toBeUndefined();
    expect([...store.objects.values()][0]?.bytes.length).toBe(instance!.manifest.sizeBytes);
  });
});

async function* toAsync(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* body;
}

describe('servers that lack something', () => {
  const refusing = (status: number, code: string, when: (request: RecordedRequest) => boolean) => ({
    instead(request: RecordedRequest, answer: ServerResponse) {
      if (request.method !== 'PUT' || !when(request)) return false;
      answer.writeHead(status).end(errorBody(code));
      return true;
    },
  });

  it('of object tags halt the target, and the options in use are named', async () => {
    const { standIn } = await startStore(refusing(501, 'NotImplemented', ({ headers }) => 'x-amz-tagging' in headers));
    await using _ = standIn;
    const more = { tags: { modality: '{Modality}' }, storageClass: 'STANDARD_IA', checksum: 'crc32' };
    const attempt = await deliver(standIn, fixtureStudy({ series: 1 }), more);
    expect(attempt.error).toMatchObject({ code: 'target-misconfigured', disposition: 'halt' });
    expect(attempt.error?.remedy).toMatch(/tags.*STANDARD_IA.*crc32/);
    expect(attempt.error?.remedy).not.toMatch(/encryption|metadata/);
    const checks = await allChecks(s3Handler, parse(standIn, more));
    expect(checks.find(({ result }) => result === 'failed')).toMatchObject({
      name: 'write',
      remedy: expect.stringContaining('remove tags'),
    });
    expect((await deliver(standIn, fixtureStudy({ series: 1 }), { ...more, tags: {} })).error).toBeUndefined();
  });

  it('of the listing of version 2 can be used', async () => {
    const { standIn } = await startStore({
      instead({ method, query }, answer) {
        if (method !== 'GET' || query.get('list-type') !== '2') return false;
        answer.writeHead(501).end(errorBody('NotImplemented'));
        return true;
      },
    });
    await using _ = standIn;
    expect((await deliver(standIn, fixtureStudy({ series: 1 }))).error).toBeUndefined();
  });

  it('of conditional writes are named too', async () => {
    const { standIn } = await startStore(refusing(501, 'NotImplemented', ({ headers }) => 'if-none-match' in headers));
    await using _ = standIn;
    const attempt = await deliver(standIn, fixtureStudy({ series: 1 }), { conditionalWrites: true });
    expect(attempt.error?.remedy).toContain('set conditionalWrites to false');
  });

  it('that allow listing but not storing halt the target', async () => {
    const { standIn } = await startStore(refusing(403, 'AccessDenied', () => true));
    await using _ = standIn;
    const attempt = await deliver(standIn, fixtureStudy({ series: 1 }));
    expect(attempt.error).toMatchObject({ code: 'target-unauthorized', stage: 'transfer', disposition: 'halt' });
  });

  it('that answer with pages of a proxy fail for now', async () => {
    await using standIn = await startHttpServer(
      (_request, answer) => void answer.writeHead(200).end('<html>log in</html>'),
    );
    const attempt = await deliver(standIn, fixtureStudy({ series: 1 }));
    expect(attempt.error).toMatchObject({ stage: 'connect', disposition: 'retry' });
    expect(attempt.reported.size).toBe(0);
  });
});

describe('conditional writes', () => {
  it('detect objects that another dispatcher has stored in the meantime', async () => {
    const [one, other] = ['PAT-A', 'PAT-B'].map((PatientID) => (size: number) => ({
      small: fixtureStudy({ series: 1, instancesPerSeries: 1, seed: size, attributes: { PatientID } }),
    }));
    const { standIn, store } = await startStore();
    await using _ = standIn;
    const bytesOf = async (study: FixtureStudy): Promise<Buffer> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of study.instances[0]!.read()) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    const [mine, theirs] = [one!(1).small, other!(1).small];
    const bytes = await bytesOf(theirs);
    let key = '';
    store.instead = ({ method, path, query }) => {
      // Another object with the key is created after listing and query, just before the object is stored.
      if (method === 'PUT' && !query.has('partNumber')) {
        key = path;
        store.objects.set(path, { bytes, etag: md5(bytes) });
        store.instead = () => false;
      }
      return false;
    };
    const attempt = await deliver(standIn, mine, { conditionalWrites: true });
    expect([...attempt.reported.values()]).toMatchObject([{ kind: 'quarantined', error: { code: 'target-conflict' } }]);
    expect(store.objects.get(key)?.bytes.equals(bytes)).toBe(true);
    // The same content is a confirmation.
    store.objects.clear();
    const again = await bytesOf(mine);
    store.instead = ({ method, path }) => {
      if (method === 'PUT') store.objects.set(path, { bytes: again, etag: md5(again) });
      return false;
    };
    const same = await deliver(standIn, mine, { conditionalWrites: true }, 'again');
    expect([...same.reported.values()]).toMatchObject([{ kind: 'delivered' }]);
  });
});

it('aborts a server that transfers less than a byte within each timeout', async () => {
  const asked = Promise.withResolvers<void>();
  const { standIn } = await startStore({
    async instead({ method }, answer) {
      if (method !== 'PUT') return false;
      answer.writeHead(200, { 'content-length': '1000000' });
      asked.resolve();
      const timer = setInterval(() => answer.write('x'), 50);
      answer.once('close', () => clearInterval(timer));
      return true;
    },
  });
  await using _ = standIn;
  using clock = stopClock();
  const attempting = deliver(standIn, fixtureStudy({ series: 1, instancesPerSeries: 1 }), { minBytesPerSecond: '1MB' });
  await asked.promise;
  const attempt = await clock.passUntil(attempting, 1_000);
  expect(attempt.error).toMatchObject({ code: 'target-timeout', disposition: 'wait' });
  expect(attempt.error?.message).toContain('minBytesPerSecond');
});

it.each([
  [{}, 'https://bucket.s3.us-east-1.amazonaws.com/'],
  [{ bucket: 'a.b.c' }, 'https://s3.us-east-1.amazonaws.com/'],
  [{ endpoint: 'https://s3.example.org', pathStyle: false }, 'https://bucket.s3.example.org/'],
  [{ endpoint: 'http://127.0.0.1:99' }, 'http://127.0.0.1:99/'],
  [{ region: 'cn-north-1' }, 'https://bucket.s3.cn-north-1.amazonaws.com.cn/'],
])('tests the connection to the host that deliveries use: %j', async (more, url) => {
  expect(String(await addressOf(s3Target.parse({ type: 's3', bucket: 'bucket', ...more })))).toBe(url);
});
