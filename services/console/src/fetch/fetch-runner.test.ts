import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startOrthanc, waitFor, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';

interface Fetched {
  readonly id: string;
  readonly state: string;
  readonly completed: number;
  readonly problem?: string;
}

let remote: OrthancServer;
let source: OrthancServer;
/** Accepts and never answers. */
let silent: Server;
let test: TestConsole;
const study = makeStudy({ seed: 'fetched', instancesPerSeries: 2 });

beforeAll(async () => {
  silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  [remote, source] = await Promise.all([startOrthanc(), startOrthanc()]);
  for (const { bytes } of study) await remote.upload(bytes);
  const stuck = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  test = await startTestConsole({
    sourceUrl: source.url,
    targets: {
      a: { type: 'dummy' },
      b: { type: 'dummy' },
      pacs: { type: 'orthanc', url: remote.url },
      stuck: { type: 'orthanc', url: stuck },
    },
  });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  silent.closeAllConnections();
  silent.close();
  await Promise.all([remote.stop(), source.stop()]);
});

async function start(target: string, studyInstanceUid: string): Promise<Fetched> {
  const body = { target, studyInstanceUid, source: 'main' };
  return (await test.ask('POST', '/api/fetches', { body })).body as Fetched;
}

async function ended(id: string): Promise<Fetched> {
  return waitFor(
    async () => {
      const { fetches } = (await test.ask('GET', '/api/fetches')).body as { fetches: Fetched[] };
      return fetches.find((one) => one.id === id && one.state !== 'running');
    },
    { message: 'the fetch ends' },
  );
}

describe('a study that is fetched', () => {
  it('is found at its target, gets into the source, and says how far it is', async () => {
    const body = { target: 'pacs', accession: study.accessionNumber };
    const found = (await test.ask('POST', '/api/fetches/find', { body })).body;
    expect(found).toMatchObject({ studies: [{ studyInstanceUid: study.studyInstanceUid }], more: false });
    const { id } = await start('pacs', study.studyInstanceUid);
    expect(await ended(id)).toMatchObject({ state: 'done', completed: study.instanceCount, remaining: 0 });
    const instances = (await (await fetch(`${source.url}/instances`)).json()) as string[];
    expect(instances).toHaveLength(study.instanceCount);
  });

  it('says why it could not be had', async () => {
    const { id } = await start('pacs', '1.2.3');
    expect(await ended(id)).toMatchObject({ state: 'failed', problem: expect.stringContaining('1.2.3') as string });
  });

  it('is cancelled while its target is silent, once', async () => {
    const { id } = await start('stuck', study.studyInstanceUid);
    const cancel = () => test.ask('POST', `/api/fetches/${id}/cancel`);
    expect((await cancel()).body).toMatchObject({ state: 'cancelled' });
    expect(await cancel()).toMatchObject({ status: 409 });
  });

  it('cannot be had from a target that can only be sent to', async () => {
    const page = (await test.ask('GET', '/fetch')).text;
    expect(page).toContain('<option value="pacs"');
    expect(page).not.toContain('<option value="a"');
    const { status } = await test.ask('POST', '/api/fetches/find', { body: { target: 'a', patient: 'P1' } });
    expect(status).toBe(400);
  });
});
