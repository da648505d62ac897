import type { Config } from '@dicom-dispatch/core';
import {
  startHttpServer,
  startLyingProxy,
  startOrthanc,
  type LyingProxy,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { makeStudy, type SampleInstance } from '@dicom-dispatch/samples';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { PullDestination } from './pull-destination.ts';
import { pullToSource } from './pull-to-source.ts';

let server: OrthancServer;
let proxy: LyingProxy;
let config: Pick<Config, 'sources'>;
beforeAll(async () => {
  server = await startOrthanc();
  proxy = await startLyingProxy({ url: server.url });
  config = { sources: { main: { url: proxy.url } } } as never;
});
afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
});
afterEach(async () => {
  proxy.beHonest();
  for (const id of await server.studies()) await server.send('DELETE', `/studies/${id}`);
});

const study = makeStudy({ seed: 'pulled', instancesPerSeries: 2, rows: 16, columns: 16 });
const [first, second] = [...study] as [SampleInstance, SampleInstance];
let watched: string[] = [];
beforeEach(() => {
  watched = [];
});

async function open(uid = study.studyInstanceUid): Promise<PullDestination> {
  const destination = await pullToSource(config, 'main', uid, {
    before: async (sopInstanceUid) => {
      const isStored = (await server.sopInstanceUids()).includes(sopInstanceUid);
      watched.push(`before ${sopInstanceUid}${isStored ? ', stored' : ''}`);
    },
    notStored: async (sopInstanceUid) => void watched.push(`not stored ${sopInstanceUid}`),
  });
  onTestFinished(() => destination.close());
  return destination;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
const store = (destination: PullDestination, { sopInstanceUid, seriesInstanceUid, bytes }: SampleInstance) =>
  destination.store(sopInstanceUid, { sizeBytes: bytes.length, body: once(bytes) }, seriesInstanceUid);
const names = ({ sopInstanceUid, seriesInstanceUid }: SampleInstance) =>
  [[sopInstanceUid], [sopInstanceUid, seriesInstanceUid], [sopInstanceUid, '1.2.3']] as const;
const has = (destination: PullDestination, instance: SampleInstance) =>
  Promise.all(names(instance).map(async ([uid, series]) => destination.has(uid, series)));

describe('a source as a destination', () => {
  it('has what it had before, and what was stored, in its series', async () => {
    await server.upload(first.bytes);
    const destination = await open();
    expect(await has(destination, first)).toEqual([true, true, false]);
    expect(await has(destination, second)).toEqual([false, false, false]);
    await store(destination, second);
    expect(await has(destination, second)).toEqual([true, true, false]);
    expect((await server.sopInstanceUids()).toSorted()).toEqual(
      [first.sopInstanceUid, second.sopInstanceUid].toSorted(),
    );
  });

  it('has no instances of another study', async () => {
    await server.upload(first.bytes);
    expect(await has(await open('1.2.3'), first)).toEqual([false, false, false]);
  });

  it('has those of all patients with the UID of the study; a Patient ID with this text is no study', async () => {
    const other = makeStudy({
      seed: 'pulled',
      instancesPerSeries: 2,
      rows: 16,
      columns: 16,
      attributes: { PatientID: study.studyInstanceUid },
    });
    await server.upload(first.bytes);
    await server.upload([...other][1]!.bytes);
    const destination = await open();
    expect([(await has(destination, first))[0], (await has(destination, second))[0]]).toEqual([true, true]);
  });

  it('is watched before an instance is stored; one that it had counts as not stored', async () => {
    const destination = await open();
    await store(destination, first);
    expect(watched).toEqual([`before ${first.sopInstanceUid}`]);
    await store(destination, first);
    expect(watched.slice(1)).toEqual([`before ${first.sopInstanceUid}, stored`, `not stored ${first.sopInstanceUid}`]);
  });

  it('needs no watch', async () => {
    const destination = await pullToSource(config, 'main', study.studyInstanceUid);
    onTestFinished(() => destination.close());
    await store(destination, first);
    await store(destination, first);
    await expect(
      destination.store('1', { sizeBytes: undefined, body: once(Buffer.from('no DICOM')) }),
    ).rejects.toMatchObject({ code: 'instance-refused' });
  });
});

describe('a source that', () => {
  it('is not in the configuration is no destination', async () => {
    await expect(pullToSource(config, 'gone', '1.2')).rejects.toMatchObject({
      name: 'OperationError',
      code: 'not-found',
      message: 'there is no source "gone"',
    });
  });

  it('does not list its instances is no destination', async () => {
    proxy.lie(() => ({ kind: 'status', status: 500 }));
    await expect(open()).rejects.toMatchObject({
      code: 'source-error',
      message: expect.stringMatching(/^source main: /),
    });
  });

  it.each([
    ['is no DICOM file', undefined, expect.stringMatching(/^source main did not store it: ./)],
    ['a script of the source filters', 'FilteredOut', 'source main did not store it: FilteredOut'],
  ])('refuses an instance that %s continues with the others', async (_what, status, message) => {
    const destination = await open();
    if (status !== undefined) {
      const body = JSON.stringify({ ID: 'x', Status: status });
      proxy.lie(({ method }) =>
        method === 'POST' ? { kind: 'text', contentType: 'application/json', body } : undefined,
      );
    }
    const bytes = status === undefined ? Buffer.from('no DICOM') : first.bytes;
    await expect(store(destination, { ...first, bytes })).rejects.toMatchObject({ code: 'instance-refused', message });
    expect(watched).toEqual([`before ${first.sopInstanceUid}`, `not stored ${first.sopInstanceUid}`]);
    expect(await has(destination, first)).toEqual([false, false, false]);
    proxy.beHonest();
    await store(destination, second);
    expect(await has(destination, second)).toEqual([true, true, false]);
  });

  it('fails as a whole is an error of the source, not of the instance', async () => {
    const destination = await open();
    proxy.lie(({ path }) => (path === '/instances' ? { kind: 'status', status: 500 } : undefined));
    await expect(store(destination, first)).rejects.toMatchObject({ code: 'source-error' });
    expect(watched).toEqual([`before ${first.sopInstanceUid}`, `not stored ${first.sopInstanceUid}`]);
  });
});

it.each([true, false])('the length of an instance is announced to the source if it is known (%s)', async (isKnown) => {
  await using source = await startHttpServer(({ path }, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(path === '/instances' ? { ID: 'x', Status: 'Success' } : []));
  });
  const destination = await pullToSource({ sources: { main: { url: source.url } } } as never, 'main', '1.2');
  onTestFinished(() => destination.close());
  const { sopInstanceUid, bytes } = first;
  await destination.store(sopInstanceUid, { sizeBytes: isKnown ? bytes.length : undefined, body: once(bytes) });
  const { headers, bodyBytes } = source.requests.at(-1)!;
  expect([headers['content-length'], bodyBytes]).toEqual([isKnown ? String(bytes.length) : undefined, bytes.length]);
});

it.each([true, false])('an error of the target is not an error of the source (length known: %s)', async (isKnown) => {
  const destination = await open();
  const lost = new Error('the target is gone');
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield first.bytes.subarray(0, 600);
    throw lost;
  }
  const sizeBytes = isKnown ? first.bytes.length : undefined;
  await expect(destination.store(first.sopInstanceUid, { sizeBytes, body: breaking() })).rejects.toBe(lost);
  expect(watched).toEqual([`before ${first.sopInstanceUid}`, `not stored ${first.sopInstanceUid}`]);
});
