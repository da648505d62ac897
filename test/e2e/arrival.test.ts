import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import {
  freePort,
  hashDataset,
  httpRequest,
  startHttpServer,
  startOrthanc,
  tempFolder,
  waitFor,
} from '@dicom-dispatch/harness';
import { cancelDelivery, releaseDelivery, retryDelivery } from '@dicom-dispatch/operations';
import { makeStudy } from '@dicom-dispatch/samples';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import { Secret } from '@dicom-dispatch/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import {
  startRoutingSystem,
  type RawConfig,
  type RoutingSystem,
  type UploadedStudy,
} from './support/routing-system.ts';

let system: RoutingSystem;
let port: number;
beforeAll(async () => {
  // No study becomes stable on a timer: the tests trigger it, as the plugin does.
  system = await startRoutingSystem({
    stableAgeSeconds: 3_600,
    overwriteInstances: true,
    extraConfig: { UserMetadata: { dispatched: 1024 } },
  });
  port = await freePort();
});
afterAll(async () => {
  await system[Symbol.asyncDispose]();
});

const secret = 'between us';

function config(raw: RawConfig): RawConfig {
  const main = {
    url: system.orthanc.url,
    pollInterval: '100ms',
    pushSecret: new Secret(secret),
    sweep: { every: '1h' },
  };
  return { sources: { main }, push: { listen: `127.0.0.1:${port}` }, ...raw };
}

async function push(path: string, body: object): Promise<unknown> {
  const answer = await httpRequest(`http://127.0.0.1:${port}/sources/main/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.body.toString()}`);
  return JSON.parse(answer.body.toString());
}

/** An Orthanc whose JSON is altered. */
function startAltered(url: string, alter: (text: string) => string) {
  return startHttpServer(async ({ method, path, query, headers, body }, response) => {
    const { authorization, 'content-type': type } = headers;
    const answer = await fetch(`${url}${path}?${query}`, {
      method,
      headers: {
        ...(type !== undefined && { 'content-type': type }),
        ...(authorization !== undefined && { authorization }),
      },
      ...(method !== 'GET' && method !== 'HEAD' && { body: new Uint8Array(body) }),
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    const isText = answer.headers.get('content-type')?.includes('json') === true;
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' });
    response.end(isText ? alter(bytes.toString()) : bytes);
  });
}

const stable = ({ orthancStudyId }: UploadedStudy): Promise<unknown> => push(`studies/${orthancStudyId}/stable`, {});

function got(scp: FaultScp, ...studies: readonly UploadedStudy[]): string[] {
  const wanted = new Set(studies.flatMap(({ sopInstanceUids }) => sopInstanceUids));
  return scp.stores.map(({ sopInstanceUid }) => sopInstanceUid).filter((uid) => wanted.has(uid));
}

function only(deliveries: readonly DeliveryRecord[]): DeliveryRecord {
  expect(deliveries).toHaveLength(1);
  return deliveries[0]!;
}

describe('a rule that starts at arrival', () => {
  it('sends instances as they arrive, once, in one delivery, which ends when the study is stable', async () => {
    await using pacs = await startFaultScp();
    await using run = await system.start(
      config({
        targets: { pacs: pacsTarget(pacs) },
        rules: [{ name: 'all', start: 'arrival', targets: ['pacs'], onSuccess: { metadata: { dispatched: 'yes' } } }],
      }),
    );
    const study = await system.upload({ seed: 'arrival', instancesPerSeries: 3 });
    await waitFor(() => got(pacs, study).length === 3, { message: 'the first instances' });
    const begun = only(await run.deliveries(study));
    expect(begun.arriving).toBe('arrival');
    expect(['waiting', 'active']).toContain(begun.state);
    const more = await system.upload({ seed: 'arrival-2', into: 'arrival', instancesPerSeries: 2 });
    // A push and the feed announce the same.
    expect(await push('arrivals', { instances: more.instanceIds })).toEqual({ wanted: true });
    await waitFor(() => got(pacs, more).length === 2, { message: 'another series' });
    await stable(study);
    const ended = await run.until(study, 'pacs', 'delivered');
    expect(ended.deliveryId).toBe(begun.deliveryId);
    expect(ended).toMatchObject({ confirmed: 5, total: 5, instanceCount: 5 });
    expect(ended.arriving).toBeUndefined();
    only(await run.deliveries(study));
    expect(got(pacs, study, more)).toHaveLength(5);
    const metadata = `/studies/${study.orthancStudyId}/metadata/dispatched`;
    await waitFor(async () => (await system.orthanc.getBytes(metadata).catch(() => '')).toString() === 'yes', {
      message: 'the actions after success',
    });

    // Later instances start another delivery.
    const late = await system.upload({ seed: 'arrival-3', into: 'arrival', instancesPerSeries: 1 });
    await waitFor(() => got(pacs, late).length === 1, { message: 'a late instance' });
    await stable(study);
    await waitFor(async () => (await run.deliveries(study)).every(({ state }) => state === 'delivered'), {
      message: 'both are delivered',
    });
    expect(await run.deliveries(study)).toHaveLength(2);
    expect(got(pacs, study, more, late)).toHaveLength(6);
  });
});

describe('while a study arrives', () => {
  it('an instance that is overwritten within a second, by one of its size, is sent in its new content', async () => {
    await using pacs = await startFaultScp();
    // Orthanc's timestamps have a resolution of one second: here all instances arrive within the same second.
    await using orthanc = await startAltered(system.orthanc.url, (text) =>
      text.replaceAll(/("ReceptionDate"\s*:\s*)"[^"]*"/g, '$1"20260101T000000"'),
    );
    await using run = await system.start(
      config({
        sources: {
          main: { url: orthanc.url, pollInterval: '100ms', pushSecret: new Secret(secret), sweep: { every: '1h' } },
        },
        targets: { pacs: pacsTarget(pacs) },
        rules: [{ name: 'all', start: 'arrival', targets: ['pacs'] }],
      }),
    );
    const study = await system.upload({ seed: 'same second', instancesPerSeries: 2 });
    await waitFor(() => got(pacs, study).length === 2, { message: 'what came' });
    await waitFor(async () => only(await run.deliveries(study)).confirmed === 2, { message: 'its confirmations' });
    const [id = ''] = study.instanceIds;
    const file = await system.orthanc.getBytes(`/instances/${id}/file`);
    const changed = Buffer.concat([file.subarray(0, -4), Buffer.from('abcd')]);
    expect((await system.orthanc.upload(changed)).ID).toBe(id);
    await stable(study);
    const ended = await run.until(study, 'pacs', 'delivered');
    expect(ended).toMatchObject({ confirmed: 2, total: 2 });
    expect(got(pacs, study)).toHaveLength(3);
    const uid = got(pacs, study)[2] ?? '';
    expect(pacs.accepted().get(uid)).toBe(hashDataset(changed));
    // The missing instance, and the complete study again: nothing is resent.
    await stable(study);
    expect(only(await run.deliveries(study)).state).toBe('delivered');
    expect(got(pacs, study)).toHaveLength(3);
  });

  it('transforms, markers and holds do what they do at stable', async () => {
    await using folder = await tempFolder('arrival');
    await using pacs = await startFaultScp();
    const files = async (): Promise<string[]> => (await readdir(folder.path, { recursive: true })).sort();
    await using run = await system.start(
      config({
        targets: {
          pacs: pacsTarget(pacs),
          files: {
            type: 'folder',
            path: folder.path,
            layout: 'flat',
            marker: { path: 'WHOLE-{StudyInstanceUID}' },
            transform: 'plain',
          },
        },
        transforms: { plain: { set: { PatientComments: 'x' } } },
        rules: [
          { name: 'files', start: 'arrival', targets: ['files'] },
          { name: 'held', start: 'arrival', targets: ['pacs'], hold: true },
        ],
      }),
    );
    const study = await system.upload({ seed: 'hold-arrival', instancesPerSeries: 2 });
    await waitFor(async () => (await files()).filter((name) => name.endsWith('.dcm')).length === 2, {
      message: 'files without a marker',
    });
    expect((await files()).filter((name) => name.startsWith('WHOLE'))).toEqual([]);
    const held = await run.until(study, 'pacs', 'waiting');
    expect(got(pacs, study)).toEqual([]);
    await releaseDelivery(run.operations, held.deliveryId, { name: 'test' });
    await waitFor(() => got(pacs, study).length === 2, { message: 'released while the study arrives' });
    await stable(study);
    await run.until(study, 'files', 'delivered');
    await run.until(study, 'pacs', 'delivered');
    expect((await files()).filter((name) => name.startsWith('WHOLE'))).toHaveLength(1);
    expect(got(pacs, study)).toHaveLength(2);
  });

  it('an instance that is deleted is not missed, and one that a failing receiver refused is sent again', async () => {
    await using pacs = await startFaultScp();
    await using run = await system.start(
      config({
        targets: { pacs: pacsTarget(pacs, { attempts: 100 }) },
        rules: [{ name: 'all', start: 'arrival', targets: ['pacs'] }],
      }),
    );
    const study = await system.upload({ seed: 'deleted', instancesPerSeries: 2 });
    await waitFor(() => got(pacs, study).length === 2, { message: 'the first instances' });
    await pacs.down();
    const more = await system.upload({ seed: 'deleted-2', into: 'deleted', instancesPerSeries: 2 });
    await waitFor(async () => (await run.deliveries(study))[0]?.error !== undefined, {
      message: 'the receiver is down',
    });
    await system.orthanc.send('DELETE', `/instances/${more.instanceIds[0]}`);
    await pacs.up();
    await waitFor(() => got(pacs, more).length === 1, { message: 'the one that is left' });
    await stable(study);
    await run.until(study, 'pacs', 'delivered');
    expect(got(pacs, study, more)).toHaveLength(3);
  });

  it('a rule that does not match the complete study ends the delivery, and reports what was sent', async () => {
    await using pacs = await startFaultScp();
    const raw = config({
      targets: { pacs: pacsTarget(pacs) },
      rules: [{ name: 'all', start: 'arrival', targets: ['pacs'] }],
    });
    await using run = await system.start(raw);
    const study = await system.upload({ seed: 'unwanted', instancesPerSeries: 2 });
    await waitFor(() => got(pacs, study).length === 2, { message: 'the first instances' });
    await waitFor(async () => (await run.deliveries(study))[0]?.confirmed === 2, { message: 'the record says so' });
    await run.reload({ ...raw, rules: [{ name: 'all', targets: ['pacs'], when: 'study.PatientID == "nobody"' }] });
    await stable(study);
    const ended = await run.until(study, 'pacs', 'cancelled');
    expect(ended.error).toMatchObject({
      code: 'not-wanted',
      message: 'no rule sends the whole study to pacs; 2 instances were sent before',
    });
  });

  it('a target to which a reload sends the study again gets the rest of it, without an operator', async () => {
    await using pacs = await startFaultScp();
    const raw = config({
      targets: { pacs: pacsTarget(pacs) },
      rules: [{ name: 'all', start: 'arrival', targets: ['pacs'] }],
    });
    await using run = await system.start(raw);
    const study = await system.upload({ seed: 'wanted again', instancesPerSeries: 2 });
    await waitFor(() => got(pacs, study).length === 2, { message: 'the first instances' });
    await run.reload({ ...raw, rules: [{ name: 'all', targets: ['pacs'], when: 'study.PatientID == "nobody"' }] });
    const more = await system.upload({ seed: 'wanted again 2', into: 'wanted again', instancesPerSeries: 2 });
    await stable(study);
    const ended = await run.until(study, 'pacs', 'cancelled');
    expect(ended.total).toBe(4);
    await run.reload(raw);
    await stable(study);
    expect(await run.until(study, 'pacs', 'delivered')).toMatchObject({
      deliveryId: ended.deliveryId,
      confirmed: 4,
      total: 4,
    });
    only(await run.deliveries(study));
    expect(got(pacs, study, more)).toHaveLength(4);
  });

  it('a delivery that is cancelled and retried during reception continues, and sends each instance once', async () => {
    await using pacs = await startFaultScp();
    await using run = await system.start(
      config({
        targets: { pacs: pacsTarget(pacs) },
        rules: [{ name: 'all', start: 'arrival', targets: ['pacs'] }],
      }),
    );
    const study = await system.upload({ seed: 'retried', instancesPerSeries: 2 });
    await waitFor(() => got(pacs, study).length === 2, { message: 'the first instances' });
    await waitFor(async () => only(await run.deliveries(study)).confirmed === 2, { message: 'their confirmations' });
    const { deliveryId } = only(await run.deliveries(study));
    await cancelDelivery(run.operations, deliveryId, { name: 'test' });
    await run.until(study, 'pacs', 'cancelled');
    const more = await system.upload({ seed: 'retried 2', into: 'retried', instancesPerSeries: 2 });
    await retryDelivery(run.operations, deliveryId, { name: 'test' });
    await waitFor(() => got(pacs, more).length === 2, { message: 'what has arrived since' });
    const last = await system.upload({ seed: 'retried 3', into: 'retried', instancesPerSeries: 1 });
    await stable(study);
    const ended = await run.until(study, 'pacs', 'delivered');
    expect(ended).toMatchObject({ deliveryId, confirmed: 5, total: 5 });
    only(await run.deliveries(study));
    expect(got(pacs, study, more, last)).toHaveLength(5);
  });

  it('a delivery that is cancelled shows how many instances the complete study has', async () => {
    await using pacs = await startFaultScp();
    await using run = await system.start(
      config({
        targets: { pacs: pacsTarget(pacs) },
        rules: [{ name: 'all', start: 'arrival', targets: ['pacs'] }],
      }),
    );
    const study = await system.upload({ seed: 'cancelled', instancesPerSeries: 2 });
    await waitFor(() => got(pacs, study).length === 2, { message: 'the first instances' });
    await waitFor(async () => only(await run.deliveries(study)).confirmed === 2, { message: 'their confirmations' });
    // Its attempt still waits for instances.
    await cancelDelivery(run.operations, only(await run.deliveries(study)).deliveryId, { name: 'test' });
    await run.until(study, 'pacs', 'cancelled');
    const more = await system.upload({ seed: 'cancelled 2', into: 'cancelled', instancesPerSeries: 2 });
    await stable(study);
    expect(only(await run.deliveries(study))).toMatchObject({ state: 'cancelled', confirmed: 2, total: 4 });
    expect(got(pacs, study, more)).toHaveLength(2);
  });
});

it('a study whose Orthanc restarts before it is stable is delivered without an event, and without a sweep', async () => {
  await using orthanc = await startOrthanc({ stableAgeSeconds: 3_600 });
  await using pacs = await startFaultScp();
  await using run = await system.start({
    sources: { main: { url: orthanc.url, pollInterval: '100ms', sweep: { every: '1h' } } },
    targets: { pacs: pacsTarget(pacs) },
    rules: [{ name: 'all', start: 'arrival', targets: ['pacs'] }],
  });
  const study = makeStudy({ seed: 'restarted', instancesPerSeries: 3 });
  for (const { bytes } of study) await orthanc.upload(bytes);
  await waitFor(() => pacs.stores.length === 3, { message: 'they arrive' });
  // Orthanc forgets that the study is being received.
  await orthanc.restart();
  const ended = await run.until(study, 'pacs', 'delivered');
  expect(ended).toMatchObject({ confirmed: 3, total: 3 });
  expect(ended).not.toHaveProperty('arriving');
  expect(pacs.stores).toHaveLength(3);
});

it('instances that arrive within the second in which their study was routed are found by the sweep, if Orthanc loses its event', async () => {
  await using orthanc = await startOrthanc({ stableAgeSeconds: 3_600 });
  let second: string | undefined;
  await using altered = await startAltered(orthanc.url, (text) =>
    second === undefined ? text : text.replaceAll(/("LastUpdate"\s*:\s*)"[^"]*"/g, `$1"${second}"`),
  );
  await using pacs = await startFaultScp();
  const url = altered.url;
  const main = { url, pollInterval: '100ms', pushSecret: new Secret(secret), sweep: { every: '1s', settle: '1h' } };
  await using run = await system.start({
    ...config({ targets: { pacs: pacsTarget(pacs) }, rules: [{ name: 'all', targets: ['pacs'] }] }),
    sources: { main },
  });
  const study = makeStudy({ seed: 'same second', instancesPerSeries: 4 });
  const files = [...study].map(({ bytes }) => bytes);
  let id = '';
  for (const bytes of files.slice(0, 2)) id = (await orthanc.upload(bytes)).ParentStudy;
  const facts = (await (await fetch(`${orthanc.url}/studies/${id}`)).json()) as { LastUpdate: string };
  second = facts.LastUpdate;
  await push(`studies/${id}/stable`, {});
  await waitFor(() => pacs.stores.length === 2, { message: 'what was there when it was routed' });
  for (const bytes of files.slice(2)) await orthanc.upload(bytes);
  // It is stable when it has started, and emits no event.
  await orthanc.restart();
  await waitFor(() => pacs.stores.length === 4, { message: 'the others' });
  expect(await run.deliveries(study)).toHaveLength(2);
});

describe('a rule that starts with each series', () => {
  it('sends a stable series while another one is still being received', async () => {
    const url = `http://127.0.0.1:${port}`;
    await using orthanc = await startOrthanc({
      plugins: ['python'],
      pythonScript: fileURLToPath(new URL('../../orthanc-plugin/dicom_dispatch.py', import.meta.url)),
      extraConfig: { DicomDispatch: { Url: url, Source: 'main', Secret: secret } },
    });
    await using pacs = await startFaultScp();
    await using run = await system.start({
      // The feed is polled so rarely that only the plugin can have reported it.
      sources: { main: { url: orthanc.url, pollInterval: '1h', pushSecret: new Secret(secret) } },
      push: { listen: `127.0.0.1:${port}` },
      targets: { pacs: pacsTarget(pacs) },
      rules: [{ name: 'all', start: 'series', targets: ['pacs'] }],
    });
    await waitFor(() => push('arrivals', {}), { message: 'pushes are taken' });
    const first = [...makeStudy({ seed: 'by-series', instancesPerSeries: 3 })];
    const { studyInstanceUid } = first[0]!;
    const slow = makeStudy({
      seed: 'by-series-2',
      // Far more than are needed.
      instancesPerSeries: 4_000,
      rows: 8,
      columns: 8,
      attributes: {
        StudyInstanceUID: studyInstanceUid,
        PatientID: makeStudy({ seed: 'by-series' }).patientId,
      },
    });
    for (const { bytes } of first) await orthanc.upload(bytes);
    const sent = (): boolean =>
      first.every(({ sopInstanceUid }) => pacs.stores.some((one) => one.sopInstanceUid === sopInstanceUid));
    let count = first.length;
    for (const { bytes } of slow) {
      await orthanc.upload(bytes);
      count += 1;
      if (await waitFor(sent, { timeoutMs: 150, message: 'the first series' }).catch(() => false)) break;
    }
    expect(sent()).toBe(true);
    await waitFor(
      async () => (await run.deliveries({ studyInstanceUid })).every(({ state }) => state === 'delivered'),
      {
        message: 'all is delivered',
      },
    );
    await waitFor(() => pacs.stores.length >= count, { message: 'all of it' });
    expect(pacs.stores).toHaveLength(count);
  });
});
