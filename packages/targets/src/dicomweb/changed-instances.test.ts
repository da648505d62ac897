import { join } from 'node:path';
import { startHttpServer, startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { DispatchError } from '@dicom-dispatch/core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { TestDelivery, type AttemptHooks } from '@dicom-dispatch/target-kit/testing';
import { fixtureStudy, type FixtureStudy } from '../contract-suite/index.ts';
import type { InstanceBytes, ManifestInstance } from '@dicom-dispatch/target-kit';
import { dicomwebHandler } from './handler.ts';
import { dicomwebTarget } from './schema.ts';
import { answer, uidsInBody } from './stow-stand-in.ts';

/** Instances that are transformed: the manifest has the stored sizes, the sent size differs and is not announced. */
function changing(study: FixtureStudy, failing?: ManifestInstance) {
  const opened: string[] = [];
  let bytes = 0;
  const files = new Map(study.instances.map(({ manifest, read }) => [manifest.sopInstanceUid, read]));
  const shown = study.instances.map(({ manifest }) => ({ ...manifest, sizeBytes: manifest.sizeBytes - 2_000 }));
  const hooks: AttemptHooks = {
    run: {
      manifest: shown,
      pending: shown,
      sizes: 'estimated',
      async open({ sopInstanceUid }): Promise<InstanceBytes> {
        opened.push(sopInstanceUid);
        if (sopInstanceUid === failing?.sopInstanceUid) {
          throw new DispatchError('instance-unsupported', 'the source cannot change this one');
        }
        return { sizeBytes: undefined, body: body(sopInstanceUid) };
      },
    },
  };
  async function* body(uid: string): AsyncGenerator<Uint8Array> {
    for await (const chunk of files.get(uid)?.() ?? []) {
      bytes += chunk.byteLength;
      yield chunk;
    }
  }
  return { hooks, opened, sourceBytes: () => bytes };
}

const newStudy = (seed: string, count: number, pixels = 16): FixtureStudy =>
  fixtureStudy({ seed, series: 1, instancesPerSeries: count, rows: pixels, columns: pixels });

describe('instances that are changed on their way', () => {
  let orthanc: OrthancServer;
  beforeAll(async () => {
    // A connection that Orthanc closes when it was idle for a second may take a request, which is then sent again.
    orthanc = await startOrthanc({ plugins: ['dicomweb'], extraConfig: { KeepAlive: false } });
  });
  afterAll(async () => {
    await orthanc?.stop();
  });

  it('are each opened and sent once: 100 of 100 kB in 4 requests', async () => {
    const study = newStudy('changed', 100, 224);
    const uids = study.instances.map(({ manifest }) => manifest.sopInstanceUid);
    const total = study.instances.reduce((sum, { manifest }) => sum + manifest.sizeBytes, 0);
    const { hooks, opened, sourceBytes } = changing(study);
    const config = dicomwebTarget.parse({ type: 'dicomweb', url: `${orthanc.url}/dicom-web`, verify: 'qido' });
    const delivery = new TestDelivery(dicomwebHandler, study);
    const { error, sentBytes } = await delivery.attempt(config, hooks);
    expect(error).toBeUndefined();
    expect(total).toBeGreaterThan(9_000_000);
    expect([...opened].sort()).toEqual([...uids].sort());
    expect(sourceBytes()).toBe(total);
    expect(sentBytes).toBe(total);
    expect((await orthanc.sopInstanceUids()).sort()).toEqual([...uids].sort());
  });

  it('go in as few requests and bytes, in chunks; one that cannot be made is left out of its batch', async () => {
    const study = newStudy('one fails', 50);
    const bad = study.instances[7]?.manifest;
    const { hooks, opened, sourceBytes } = changing(study, bad);
    await using server = await startHttpServer((request, response) => {
      if (request.method === 'GET') return void response.writeHead(204).end();
      answer(response, 200, { stored: uidsInBody(request.body, request.headers['content-type']) });
    });
    const delivery = new TestDelivery(dicomwebHandler, study);
    const config = dicomwebTarget.parse({ type: 'dicomweb', url: server.url });
    expect((await delivery.attempt(config, hooks)).error).toBeUndefined();
    const uploads = server.requests.filter(({ method }) => method === 'POST');
    expect(uploads.length).toBe(2);
    for (const { headers } of uploads) {
      expect(headers['transfer-encoding']).toBe('chunked');
      expect(headers['content-length']).toBeUndefined();
    }
    expect(uploads.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)).toBeLessThan(sourceBytes() + 50 * 200);
    expect(opened.length).toBe(50);
    const kinds = study.instances.map(({ manifest }) => delivery.ledger.get(manifest.sopInstanceUid)?.kind);
    expect(kinds).toEqual(study.instances.map((_, index) => (index === 7 ? 'quarantined' : 'delivered')));
  });

  it('are written to a file once if the target requires a length (411), and still created once', async () => {
    const study = newStudy('length', 50);
    const { hooks, opened } = changing(study);
    let refused = 0;
    await using server = await startHttpServer((request, response) => {
      if (request.method === 'GET') return void response.writeHead(204).end();
      if (request.headers['content-length'] === undefined) {
        refused += 1;
        return void response.writeHead(411).end();
      }
      expect(request.headers['content-length']).toBe(String(request.bodyBytes));
      answer(response, 200, { stored: uidsInBody(request.body, request.headers['content-type']) });
    });
    const delivery = new TestDelivery(dicomwebHandler, study);
    const config = dicomwebTarget.parse({ type: 'dicomweb', url: server.url, maxParallel: 1 });
    expect((await delivery.attempt(config, hooks)).error).toBeUndefined();
    expect(refused).toBe(1);
    // The first batch was built again, the others were not.
    expect(opened.length).toBe(75);
    expect([...delivery.ledger.values()].every(({ kind }) => kind === 'delivered')).toBe(true);
    // The required form is stored with the target: the instances of the next study are created once.
    const another = newStudy('another with a length', 50);
    const { hooks: anotherHooks, opened: openedOnce } = changing(another);
    const later = new TestDelivery(dicomwebHandler, another);
    later.memory = delivery.memory;
    expect((await later.attempt(config, anotherHooks)).error).toBeUndefined();
    expect([refused, openedOnce.length]).toEqual([1, 50]);

    // If they cannot be written to a file, the error names this host, not the target.
    const noFolder = join(import.meta.filename, 'below-a-file');
    onTestFinished(() => void vi.unstubAllEnvs());
    vi.stubEnv('TMPDIR', noFolder);
    const next = newStudy('no space', 3);
    const unwritten = new TestDelivery(dicomwebHandler, next);
    // Had a first request read all of them, their length would be known.
    unwritten.memory = delivery.memory;
    const { error } = await unwritten.attempt(config, changing(next).hooks);
    expect(error).toMatchObject({ code: 'local-resources', message: expect.stringContaining(noFolder) });
  });
});

it.each(['json', 'xml'])(
  'are created once more only for the first study of a target without %s answers (406)',
  async (kind) => {
    await using server = await startHttpServer((request, response) => {
      if (request.method === 'GET') return void response.writeHead(204).end();
      if (request.headers.accept?.includes(kind)) return void response.writeHead(406).end();
      answer(response, 200, { stored: uidsInBody(request.body, request.headers['content-type']) });
    });
    const config = dicomwebTarget.parse({ type: 'dicomweb', url: server.url, maxParallel: 1 });
    // As it was before it was replaced by another server.
    const memory = new Map<string, unknown>([['stow-form', { accept: 'application/dicom+xml', needsLength: false }]]);
    const created: number[] = [];
    for (const seed of ['first', 'second']) {
      const study = newStudy(`${kind} ${seed}`, 50);
      const { hooks, opened } = changing(study);
      const delivery = new TestDelivery(dicomwebHandler, study);
      delivery.memory = memory;
      if (kind === 'json' && seed === 'first') memory.clear();
      expect((await delivery.attempt(config, hooks)).error).toBeUndefined();
      created.push(opened.length);
    }
    expect(created).toEqual([75, 50]);
  },
);

describe('the boundary between instances', () => {
  it('is new for each request, and not one that could be in an instance', async () => {
    const boundaries: string[] = [];
    await using server = await startHttpServer((request, response) => {
      if (request.method === 'GET') return void response.writeHead(204).end();
      const boundary = /boundary=(.*)$/.exec(request.headers['content-type'] ?? '')?.[1] ?? '';
      boundaries.push(boundary);
      // Each instance is unchanged: the pixels of the second contain the boundary of the previous request.
      answer(response, 200, { stored: uidsInBody(request.body, request.headers['content-type']) });
    });
    const study = newStudy('boundary', 6);
    const config = dicomwebTarget.parse({ type: 'dicomweb', url: server.url, maxParallel: 1, batch: { instances: 1 } });
    const delivery = new TestDelivery(dicomwebHandler, {
      ...study,
      instances: study.instances.map((instance) => ({
        ...instance,
        read: () => {
          const bytes = Buffer.concat([...(instance.read() as Iterable<Uint8Array>)]);
          const last = boundaries.at(-1);
          if (last !== undefined) bytes.write(`\r\n--${last}--\r\n`, bytes.length - 200, 'latin1');
          return [bytes];
        },
      })),
    });
    expect((await delivery.attempt(config)).error).toBeUndefined();
    expect(new Set(boundaries).size).toBe(6);
    for (const boundary of boundaries) expect(boundary).toMatch(/^dicom-dispatch-[0-9a-f]{40}$/);
    expect([...delivery.ledger.values()].map(({ kind }) => kind)).toEqual(Array(6).fill('delivered'));
  });
});
