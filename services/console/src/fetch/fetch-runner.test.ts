import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startLyingProxy, startOrthanc, waitFor, type LyingProxy, type OrthancServer } from '@dicom-dispatch/harness';
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
let lying: LyingProxy;
/** Accepts connections and never responds. */
let silent: Server;
let test: TestConsole;
const study = makeStudy({ seed: 'fetched', instancesPerSeries: 2 });
/** A study whose instances are larger than the part that is inspected before an instance is forwarded. */
const big = makeStudy({ seed: 'big', instancesPerSeries: 1, rows: 1000, columns: 1000 });

beforeAll(async () => {
  silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  [remote, source] = await Promise.all([startOrthanc(), startOrthanc()]);
  for (const { bytes } of [...study, ...big]) await remote.upload(bytes);
  lying = await startLyingProxy({ url: remote.url });
  const stuck = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  test = await startTestConsole({
    sourceUrl: source.url,
    targets: {
      a: { type: 'dummy' },
      b: { type: 'dummy' },
      pacs: { type: 'orthanc', url: remote.url },
      lying: { type: 'orthanc', url: lying.url },
      stuck: { type: 'orthanc', url: stuck },
    },
  });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  silent.closeAllConnections();
  silent.close();
  await Promise.all([lying.stop(), remote.stop(), source.stop()]);
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

const downloadPath = (target: string, uid = study.studyInstanceUid) =>
  `/api/fetches/download?target=${target}&studyInstanceUid=${uid}`;

/** Names and contents of a ZIP file with uncompressed entries, read from its central directory. */
function unzip(file: Buffer): Map<string, Buffer> {
  const end = file.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  expect(end, 'the end of the central directory').toBeGreaterThan(0);
  const entries = new Map<string, Buffer>();
  for (let at = file.readUInt32LE(end + 16), left = file.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => file.readUInt16LE(at + offset));
    const name = file.toString('utf8', at + 46, at + 46 + nameLength!);
    const local = file.readUInt32LE(at + 42);
    const start = local + 30 + file.readUInt16LE(local + 26) + file.readUInt16LE(local + 28);
    entries.set(name, file.subarray(start, start + file.readUInt32LE(at + 24)));
    at += 46 + nameLength! + extraLength! + commentLength!;
  }
  return entries;
}

describe('a study that is fetched', () => {
  it('is downloaded as a ZIP file, streamed, with its result in the list and the audit log', async () => {
    const page = (await test.ask('GET', `/fetch?target=pacs&study=${study.studyInstanceUid}`)).text;
    expect(page).toContain(`href="${downloadPath('pacs').replace('&', '&amp;')}"`);
    const answer = await fetch(test.url + downloadPath('pacs'));
    expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="${study.studyInstanceUid}.zip"`);
    const files = unzip(Buffer.from(await answer.arrayBuffer()));
    expect([...files.keys()].sort()).toEqual([...study].map((one) => `${one.sopInstanceUid}.dcm`).sort());
    for (const { sopInstanceUid, bytes } of study) {
      expect(files.get(`${sopInstanceUid}.dcm`)?.includes(Buffer.from(bytes).subarray(-200)), sopInstanceUid).toBe(
        true,
      );
    }
    const entry = await waitFor(
      async () => {
        const { entries } = (await test.ask('GET', '/api/audit')).body as {
          entries: { action: string; detail: string }[];
        };
        return entries.find(({ action }) => action === 'download study: end');
      },
      { message: 'its end is in the audit log' },
    );
    expect(entry.detail).toContain(`done, ${study.instanceCount} instances`);
    const { fetches } = (await test.ask('GET', '/api/fetches')).body as { fetches: (Fetched & { source?: string })[] };
    expect(fetches[0]).toMatchObject({ state: 'done', completed: study.instanceCount });
    expect(fetches[0]?.source).toBeUndefined();
  });

  it('is not downloaded if it does not exist, for a page of another site, or if it is cancelled', async () => {
    expect(await test.ask('GET', downloadPath('pacs', '1.2.3'))).toMatchObject({ status: 404 });
    const headers = { 'sec-fetch-site': 'cross-site' };
    expect(await test.ask('GET', downloadPath('pacs'), { headers })).toMatchObject({ status: 400 });
    const asked = test.ask('GET', downloadPath('stuck'));
    const running = await waitFor(
      async () => {
        const { fetches } = (await test.ask('GET', '/api/fetches')).body as { fetches: Fetched[] };
        return fetches.find(({ state }) => state === 'running');
      },
      { message: 'it is under way' },
    );
    await test.ask('POST', `/api/fetches/${running.id}/cancel`);
    expect((await ended(running.id)).state).toBe('cancelled');
    expect((await asked).body).toMatchObject({ message: 'it was cancelled' });
  });

  it('is not downloaded when its target lists it and gives no instance of it', async () => {
    lying.lie(({ path }) => (path.endsWith('/file') ? { kind: 'status', status: 404 } : undefined));
    const problem = `lying did not send ${study.instanceCount} instances: fetch the study again to retrieve them`;
    expect(await test.ask('GET', downloadPath('lying'))).toMatchObject({ status: 503, body: { message: problem } });
    const { fetches } = (await test.ask('GET', '/api/fetches')).body as { fetches: Fetched[] };
    expect(fetches[0]).toMatchObject({ state: 'failed', completed: 0, problem });
    const { entries } = (await test.ask('GET', '/api/audit')).body as { entries: Record<string, string>[] };
    expect(entries.find(({ action }) => action === 'download study')).toMatchObject({
      outcome: 'failed',
      detail: 'from lying',
    });
  });

  it('is broken off as failed, not as cancelled, when its target breaks in the middle of an instance', async () => {
    const middle = Math.floor([...big][0]!.bytes.length / 2);
    lying.lie(({ path }) => (path.endsWith('/file') ? { kind: 'short', bytes: middle, framing: 'cut' } : undefined));
    const answer = await fetch(test.url + downloadPath('lying', big.studyInstanceUid));
    // Whether the beginning had been passed on when the target broke depends on how the network divides it.
    if (answer.ok) await expect(answer.arrayBuffer()).rejects.toThrow();
    else expect([answer.status, await answer.text()]).toEqual([503, expect.not.stringContaining('cancel')]);
    const { fetches } = (await test.ask('GET', '/api/fetches')).body as { fetches: Fetched[] };
    const last = await ended(fetches[0]!.id);
    expect(last.state).toBe('failed');
    expect(last.problem).not.toContain('cancel');
  });

  it('is one of four that run at the same time, also if many are requested together', async () => {
    lying.lie(() => ({ kind: 'silence' }));
    const begun = await Promise.all(
      Array.from({ length: 6 }, () =>
        test.ask('POST', '/api/fetches', {
          body: { target: 'lying', studyInstanceUid: study.studyInstanceUid, source: 'main' },
        }),
      ),
    );
    const running = begun.filter(({ status }) => status === 200).map(({ body }) => body as Fetched);
    expect(running).toHaveLength(4);
    for (const { id } of running) await test.ask('POST', `/api/fetches/${id}/cancel`);
  });

  it('is found at its target, retrieved into the source, and reports its progress', async () => {
    const body = { target: 'pacs', accession: study.accessionNumber };
    const found = (await test.ask('POST', '/api/fetches/find', { body })).body;
    expect(found).toMatchObject({ studies: [{ studyInstanceUid: study.studyInstanceUid }], more: false });
    const { id } = await start('pacs', study.studyInstanceUid);
    expect(await ended(id)).toMatchObject({ state: 'done', completed: study.instanceCount, remaining: 0 });
    const instances = (await (await fetch(`${source.url}/instances`)).json()) as string[];
    expect(instances).toHaveLength(study.instanceCount);
  });

  it('reports why it could not be retrieved', async () => {
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
