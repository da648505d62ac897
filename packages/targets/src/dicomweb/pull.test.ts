import type { ServerResponse } from 'node:http';
import { DispatchError } from '@dicom-dispatch/core';
import { startHttpServer, startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtureStudy, part10Facts, type FixtureStudy } from '../contract-suite/index.ts';
import type { FindQuery, InstanceBytes, RetrieveProgress } from '@dicom-dispatch/target-kit';
import { dicomwebHandler } from './handler.ts';
import { dicomwebTarget } from './schema.ts';

const { pull } = dicomwebHandler;
if (!pull) throw new Error('the dicomweb handler can be pulled from');

describe('pulling by DICOMweb, from an Orthanc', () => {
  let server: OrthancServer;
  const ct = fixtureStudy({ seed: 'web ct', modality: 'CT', series: 3, instancesPerSeries: 4 });
  const mr = fixtureStudy({ seed: 'web mr', modality: 'MR', series: 1, instancesPerSeries: 2 });
  beforeAll(async () => {
    server = await startOrthanc({ plugins: ['dicomweb'] });
    for (const study of [ct, mr])
      for (const index of study.instances.keys()) await server.upload(await bytesOf(study, index));
  });
  afterAll(async () => {
    await server?.stop();
  });
  const context = (signal = new AbortController().signal, url = `${server.url}/dicom-web`) => ({
    config: dicomwebTarget.parse({ type: 'dicomweb', url }),
    targetName: 'archive',
    signal,
  });

  function keeping() {
    const kept = new Map<string, Buffer>();
    const steps: RetrieveProgress[] = [];
    return {
      kept,
      steps,
      request: {
        studyInstanceUid: ct.tags.studyInstanceUid,
        has: (uid: string) => kept.has(uid),
        store: async (uid: string, { body }: InstanceBytes) => {
          kept.set(uid, Buffer.concat(await Array.fromAsync(body)));
        },
        progress: (step: RetrieveProgress) => void steps.push(step),
      },
    };
  }

  async function expectIdentical(kept: ReadonlyMap<string, Buffer>): Promise<void> {
    for (const { manifest, facts } of ct.instances) {
      expect(await part10Facts([kept.get(manifest.sopInstanceUid) ?? Buffer.alloc(0)])).toEqual(await facts());
    }
  }

  it('finds by accession number, patient, study and date, with filters on series', async () => {
    const { study, studyInstanceUid } = ct.tags;
    const all = await Array.fromAsync(pull.find({}, context()));
    expect(all.map((one) => one.studyInstanceUid).sort()).toEqual([studyInstanceUid, mr.tags.studyInstanceUid].sort());
    const date = all.find((one) => one.studyInstanceUid === studyInstanceUid)?.tags['StudyDate'] ?? '';
    const queries: FindQuery[] = [
      { accessionNumber: study['AccessionNumber'] ?? '' },
      { patientId: study['PatientID'] ?? '' },
      { studyInstanceUid, studyDate: `${date}-${date}` },
      { series: { Modality: 'CT' } },
      { series: { Modality: 'C*', SeriesNumber: '2' } },
    ];
    for (const query of queries) {
      const found = await Array.fromAsync(pull.find(query, context()));
      expect(found.map((one) => one.studyInstanceUid)).toEqual([studyInstanceUid]);
      expect(found[0]?.instanceCount).toBe(12);
      expect(found[0]?.tags['AccessionNumber']).toBe(study['AccessionNumber']);
      expect(found[0]?.series.map(({ tags }) => tags['Modality'])).toEqual(
        Array(query.series?.['SeriesNumber'] ? 1 : 3).fill('CT'),
      );
    }
    expect(await Array.fromAsync(pull.find({ accessionNumber: 'no such' }, context()))).toEqual([]);
  });

  it('rejects another instance than requested, or a page', async () => {
    const uids = mr.instances.map(({ manifest }) => manifest.sopInstanceUid);
    const other = ct.instances[0]?.manifest;
    // A cache that mixes up two instances, and a series that cannot be retrieved as a whole.
    await using cache = await startHttpServer(async ({ path, query, headers }, response) => {
      if (/\/series\/[^/]+$/.test(path)) return void response.writeHead(404).end();
      const mixed = path.replace(/\/studies\/.*\/instances\/(.*)$/, (all, uid) =>
        uid === uids[0]
          ? `/studies/${other?.studyInstanceUid}/series/${other?.seriesInstanceUid}/instances/${other?.sopInstanceUid}`
          : all,
      );
      const answer = await fetch(`${server.url}${mixed}?${query}`, { headers: { accept: headers.accept ?? '*/*' } });
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
      response.end(Buffer.from(await answer.arrayBuffer()));
    });
    const { kept, request } = keeping();
    const asked = { ...request, studyInstanceUid: mr.tags.studyInstanceUid };
    const last = await pull.retrieve(asked, context(undefined, `${cache.url}/dicom-web`));
    expect(last).toMatchObject({ completed: 1, failed: 1, remaining: 0 });
    expect(last.problems).toEqual([
      { sopInstanceUid: uids[0], reason: expect.stringContaining('another instance than requested') },
    ]);
    expect([...kept.keys()]).toEqual(uids.slice(1));
  });

  it('finds by any keyword of the Standard; what is not shown does not match', async () => {
    const found = async (series: Record<string, string>) =>
      (await Array.fromAsync(pull.find({ series }, context()))).map((one) => one.studyInstanceUid);
    expect(await found({ SOPClassesInStudy: '1.2.3' })).toEqual([]);
    expect(await found({ BodyPartExamined: 'NOWHERE' })).toEqual([]);
    await expect(found({ Modalty: 'CT' })).rejects.toMatchObject({ code: 'config-invalid' });
  });

  it('is not stopped by odd answers', async () => {
    const study = { vr: 'UI', Value: ['1.2'] };
    await using odd = await startHttpServer(({ path, query }, response) => {
      const series = [
        null,
        'text',
        { '0020000E': null },
        { '0020000E': { vr: 'UI', Value: ['1.2.1'] }, '00080060': { vr: 'CS', Value: 'CT' }, '00400275': { vr: 'SQ' } },
        { '0020000E': { vr: 'UI', Value: ['1.2.2'] }, '00080060': { vr: 'CS', Value: ['CT'] }, '00081115': 7 },
      ];
      const studies = [{ '0020000D': 7 }, { '0020000D': study, '00100010': { vr: 'PN', Value: [{}, null, 3] } }];
      const page = query.get('offset') === null ? (path.endsWith('/series') ? series : studies) : [];
      response.writeHead(200, { 'content-type': 'application/dicom+json' }).end(JSON.stringify(page));
    });
    const found = await Array.fromAsync(pull.find({}, context(undefined, odd.url)));
    expect(found).toMatchObject([{ studyInstanceUid: '1.2', series: [{ tags: {} }, { tags: { Modality: 'CT' } }] }]);
    const filtered = await Array.fromAsync(pull.find({ series: { Modality: 'CT' } }, context(undefined, odd.url)));
    expect(filtered[0]?.series.map((one) => one.seriesInstanceUid)).toEqual(['1.2.2']);
  });

  it.each([
    ['500', (response: ServerResponse) => response.writeHead(500).end()],
    ['a page', (response: ServerResponse) => response.end('<html>an error</html>')],
    ['an object', (response: ServerResponse) => response.end('{"error":"index damaged"}')],
    ['a list without UIDs', (response: ServerResponse) => response.end('[{"00080060":{"vr":"CS","Value":["CT"]}}]')],
  ])(
    'lists all studies if the target answers %s to the search for the series of one, and names it',
    async (_, fail) => {
      const uid = (value: unknown) => ({ vr: 'UI', Value: [value] });
      await using odd = await startHttpServer(({ path, query }, response) => {
        if (query.get('offset') !== null) return void response.end('[]');
        if (path.endsWith('/studies')) {
          const uids = ['1.1', null, '1.2 ', '1.3\0', '1.2', 7];
          return void response.end(JSON.stringify(uids.map((one) => ({ '0020000D': uid(one) }))));
        }
        if (path === '/studies/1.2/series') return void fail(response);
        response.end(JSON.stringify([{ '0020000E': uid(`${path.split('/')[2]}.1\0`) }]));
      });
      const found: string[] = [];
      const all = async () => {
        for await (const { studyInstanceUid, series } of pull.find({}, context(undefined, odd.url)))
          found.push([studyInstanceUid, ...series.map((one) => one.seriesInstanceUid)].join(' '));
      };
      await expect(all()).rejects.toMatchObject({
        code: 'target-error',
        message: expect.stringContaining('study 1.2 ('),
      });
      expect(found).toEqual(['1.1 1.1.1', '1.2', '1.3 1.3.1']);
    },
  );

  it('retrieves from a service that leaves the padding on its UIDs', async () => {
    await using padding = await startHttpServer(async ({ path, query, headers }, response) => {
      const answer = await fetch(`${server.url}${path}?${query}`, { headers: { accept: String(headers.accept) } });
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
      const isSearch = headers.accept?.includes('json') === true;
      if (!isSearch) return void response.end(Buffer.from(await answer.arrayBuffer()));
      response.end((await answer.text()).replaceAll(/("vr"\s*:\s*"UI"[^}]*?[\d.]+)"/g, String.raw`$1\u0000"`));
    });
    const { kept, request } = keeping();
    const last = await pull.retrieve(request, context(undefined, `${padding.url}/dicom-web`));
    expect(last).toEqual({ completed: 12, failed: 0, remaining: 0 });
    await expectIdentical(kept);
  });

  it('retrieves every instance identical, with progress', async () => {
    const { kept, steps, request } = keeping();
    expect(await pull.retrieve(request, context())).toEqual({ completed: 12, failed: 0, remaining: 0 });
    await expectIdentical(kept);
    expect(steps[0]).toEqual({ completed: 0, failed: 0, remaining: 12 });
    expect(steps.length).toBe(13);
  });

  it('can be cancelled, and resumed with what is missing', async () => {
    const { kept, request } = keeping();
    const stop = new AbortController();
    const cancelled = pull.retrieve(
      {
        ...request,
        store: async (uid, bytes) => {
          if (kept.size === 5) return stop.abort();
          return request.store(uid, bytes);
        },
      },
      context(stop.signal),
    );
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
    expect(kept.size).toBe(5);
    const first = new Set(kept.keys());
    const again: string[] = [];
    const resumed = {
      ...request,
      store: async (uid: string, bytes: InstanceBytes) => {
        again.push(uid);
        await request.store(uid, bytes);
      },
    };
    expect(await pull.retrieve(resumed, context())).toEqual({ completed: 12, failed: 0, remaining: 0 });
    expect(again.length).toBe(7);
    expect(again.some((uid) => first.has(uid))).toBe(false);
    await expectIdentical(kept);
  });

  it('retrieves single series, and nothing of a study that is not there', async () => {
    const { kept, request } = keeping();
    const seriesInstanceUids = [ct.instances[0]?.manifest.seriesInstanceUid ?? ''];
    const last = await pull.retrieve({ ...request, seriesInstanceUids }, context());
    expect(last).toEqual({ completed: 4, failed: 0, remaining: 0 });
    expect(kept.size).toBe(4);
    const none = await pull.retrieve({ ...request, studyInstanceUid: '1.2.3' }, context());
    expect(none).toEqual({ completed: 0, failed: 0, remaining: 0 });
  });

  it('with cut lists stores unlisted instances of the series, counts the rest as failed, and reports incomplete results', async () => {
    const first = ct.instances[0]!.manifest;
    // At most two results of a search; a retrieval of the first series returns one instance.
    await using cutting = await startHttpServer(async ({ path, query, headers }, response) => {
      const isSearch = headers.accept?.includes('json') === true;
      const isFirst = path.endsWith(`/series/${first.seriesInstanceUid}`);
      const asked = isFirst ? `${path}/instances/${first.sopInstanceUid}` : path;
      const answer = await fetch(`${server.url}${asked}?${query}`, { headers: { accept: String(headers.accept) } });
      const type = { 'content-type': answer.headers.get('content-type') ?? '' };
      if (!isSearch) return void response.writeHead(answer.status, type).end(Buffer.from(await answer.arrayBuffer()));
      const all = answer.status === 200 ? ((await answer.json()) as object[]) : [];
      const max = path.endsWith('/series') ? all.length : path.endsWith('/studies') ? 1 : 2;
      const page = query.has('offset') ? [] : all.slice(0, max);
      const warning = page.length < all.length && { warning: '299 cutting: There are additional results' };
      response.writeHead(200, { ...type, ...warning }).end(JSON.stringify(page));
    });
    const { kept, request } = keeping();
    const url = `${cutting.url}/dicom-web`;
    const last = await pull.retrieve(request, context(undefined, url));
    expect(last).toMatchObject({ completed: 10, failed: 2, remaining: 0 });
    const problem = { reason: 'an instance that the target counts, but does not list or send' };
    expect(last.problems).toEqual([problem, problem]);
    expect(kept.size).toBe(10);
    const found: string[] = [];
    const finding = async (): Promise<void> => {
      for await (const { studyInstanceUid } of pull.find({}, context(undefined, url))) found.push(studyInstanceUid);
    };
    await expect(finding()).rejects.toMatchObject({
      code: 'target-error',
      message: expect.stringContaining('the response is incomplete, 1 studies were received'),
    });
    expect(found.length).toBe(1);
  });

  it('what the keeper throws ends it and is passed on', async () => {
    const { request } = keeping();
    const full = pull.retrieve({ ...request, store: () => Promise.reject(new Error('disk full')) }, context());
    await expect(full).rejects.toThrow('disk full');
  });

  it('counts instances that the service does not return as failed, after requesting them individually (a simulated server in between)', async () => {
    const bad = ct.instances[1]?.manifest.sopInstanceUid ?? '';
    // Aborts every response that contains the instance.
    await using broken = await startHttpServer(async (request, response) => {
      const answer = await fetch(`${server.url}${request.path}?${request.query}`, {
        headers: { accept: String(request.headers.accept) },
      });
      const body = Buffer.from(await answer.arrayBuffer());
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
      const cut = request.path.includes('/instances') && !request.path.endsWith(bad) ? -1 : body.lastIndexOf(bad);
      if (cut < 0 || request.headers.accept?.includes('json')) return void response.end(body);
      response.write(body.subarray(0, cut), () => response.destroy());
    });
    const { kept, request } = keeping();
    const last = await pull.retrieve(request, context(undefined, `${broken.url}/dicom-web`));
    expect(last).toMatchObject({ completed: 11, failed: 1, remaining: 0 });
    expect(kept.has(bad)).toBe(false);
  });

  it('names an instance that the destination does not take, and retrieves the rest of its series', async () => {
    const bad = ct.instances[1]?.manifest.sopInstanceUid ?? '';
    const { kept, request } = keeping();
    const store: typeof request.store = async (uid, instance) => {
      if (uid === bad) {
        for await (const _chunk of instance.body);
        throw new DispatchError('instance-refused', 'the source does not store it');
      }
      await request.store(uid, instance);
    };
    const last = await pull.retrieve({ ...request, store }, context());
    expect(last).toMatchObject({ completed: 11, failed: 1, remaining: 0 });
    expect(last.problems).toEqual([{ sopInstanceUid: bad, reason: 'the source does not store it' }]);
    expect(kept.size).toBe(11);
  });

  it('takes a series whose instances the service cannot list as it comes (a stand-in before the server)', async () => {
    const series = ct.instances[0]?.manifest.seriesInstanceUid ?? '';
    await using broken = await startHttpServer(async (request, response) => {
      if (request.path.endsWith(`/series/${series}/instances`)) return void response.writeHead(500).end();
      const answer = await fetch(`${server.url}${request.path}?${request.query}`, {
        headers: { accept: String(request.headers.accept) },
      });
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
      response.end(Buffer.from(await answer.arrayBuffer()));
    });
    const { kept, request } = keeping();
    const last = await pull.retrieve(request, context(undefined, `${broken.url}/dicom-web`));
    expect(last).toMatchObject({ completed: 12, failed: 0, remaining: 0 });
    expect(kept.size).toBe(12);
  });
});

async function bytesOf(study: FixtureStudy, index: number): Promise<Buffer> {
  const instance = study.instances[index];
  return instance ? Buffer.concat(await Array.fromAsync(instance.read())) : Buffer.alloc(0);
}
