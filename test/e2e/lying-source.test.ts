import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  hashDataset,
  loginPage,
  seededLiar,
  startLyingProxy,
  tempFolder,
  type LyingProxy,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget, quick } from './support/pacs-target.ts';
import { startFollowing, type FollowingServices } from './support/start-in-process.ts';
import { startSystem, type System, type UploadedStudy } from './support/system.ts';

/**
 * A source, or a proxy in front of it, that serves other bytes than it lists: no wrong data is delivered, and all correct
 * data is.
 */
let storage: TempFolder;
let folder: TempFolder;
let chosen: TempFolder;
let system: System;
let proxy: LyingProxy;
let scp: FaultScp;
let dispatch: FollowingServices;

beforeAll(async () => {
  [storage, folder, chosen] = (await Promise.all(
    ['storage', 'target', 'chosen'].map((name) => tempFolder(`lying ${name}`)),
  )) as [TempFolder, TempFolder, TempFolder];
  system = await startSystem({ storageDir: storage.path, extraConfig: { MaximumStorageCacheSize: 0 } });
  proxy = await startLyingProxy({ url: system.orthanc.url });
  scp = await startFaultScp();
  dispatch = await startFollowing({
    config: system.config(
      {
        files: { type: 'folder', path: folder.path, minFree: 0, layout: 'flat', verify: 'content', ...quick },
        pacs: pacsTarget(scp),
        chosen: {
          type: 'folder',
          path: chosen.path,
          minFree: 0,
          layout: 'flat',
          instances: { only: 'instance.ImageType.startsWith("ORIGINAL") && instance.InstanceNumber != 2' },
          ...quick,
        },
      },
      {
        sources: { main: { url: proxy.url, pollInterval: '200ms' } },
        rules: [
          { name: 'all', targets: ['files', 'pacs'] },
          {
            name: 'by-tags',
            // Orthanc reads the second tag from a file.
            when: 'study.StudyID == "BY-TAGS" && series.exists(s, s.PatientPosition != "none")',
            targets: ['chosen'],
          },
        ],
      },
    ),
  });
});
afterAll(async () => {
  await dispatch?.[Symbol.asyncDispose]();
  await proxy.stop();
  await scp[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
  await Promise.all([storage.remove(), folder.remove(), chosen.remove()]);
});
afterEach(() => proxy.beHonest());

const small = { instancesPerSeries: 6, rows: 16, columns: 16 };
const ended = ['delivered', 'partial', 'failed'] as const;

/** What has arrived in the folder of a study, and at the receiver, as hashes of data sets by SOP Instance UID. */
async function arrived(study: UploadedStudy): Promise<{ files: Map<string, string>; pacs: Map<string, string> }> {
  const uids = new Set(study.datasets.keys());
  const files = new Map<string, string>();
  for (const name of await readdir(folder.path)) {
    const uid = name.replace(/\.dcm$/, '');
    if (uids.has(uid)) files.set(uid, hashDataset(await readFile(join(folder.path, name))));
  }
  return { files, pacs: new Map([...scp.accepted()].filter(([uid]) => uids.has(uid))) };
}

async function bothDelivered(study: UploadedStudy): Promise<void> {
  for (const target of ['files', 'pacs']) {
    const delivery = await system.untilDelivery(study, target, ended).catch((error) => {
      throw new Error(dispatch.output(), { cause: error });
    });
    expect(delivery).toMatchObject({ state: 'delivered', quarantined: 0 });
  }
  expect(await arrived(study)).toEqual({ files: study.datasets, pacs: study.datasets });
}

function isFile(path: string): boolean {
  return path.endsWith('/file');
}

describe('temporary false responses', () => {
  it('truncated files, without a length: nothing is confirmed until they are complete', async () => {
    proxy.lie(({ path, times }) =>
      isFile(path) && times < 3 ? { kind: 'short', bytes: 900, framing: 'chunked' } : undefined,
    );
    const study = await system.upload({ ...small, seed: 'short' });
    await bothDelivered(study);
    expect(proxy.lies.some(({ kind }) => kind === 'short')).toBe(true);
  });

  it('valid HTTP responses with another representation of the file', async () => {
    const other = await system.upload({ ...small, seed: 'representation of another', instancesPerSeries: 1 });
    await bothDelivered(other);
    const [otherId] = (await system.orthanc.get(`/studies/${other.orthancStudyId}/instances`)) as { ID: string }[];
    const kinds = [
      { kind: 'gzip' },
      { kind: 'range', bytes: 700 },
      { kind: 'wrapped' },
      { kind: 'redirect', path: `/instances/${otherId?.ID}/file` },
    ] as const;
    proxy.lie(({ path, times }) => (isFile(path) ? kinds[times] : undefined));
    const study = await system.upload({ ...small, seed: 'representation', instancesPerSeries: 2 });
    await bothDelivered(study);
    for (const { kind } of kinds)
      expect(
        proxy.lies.some((one) => one.kind === kind),
        kind,
      ).toBe(true);
  });

  it('a login page with status 200 on every path', async () => {
    const study = await system.upload({ ...small, seed: 'login' });
    proxy.lie(() => ({ kind: 'text', body: loginPage }));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    proxy.beHonest();
    await bothDelivered(study);
  });

  it('all kinds of false responses, chosen by a seed', async () => {
    proxy.lie(({ path, times, method }) =>
      times > 1
        ? undefined
        : seededLiar({
            seed: 14,
            share: 0.5,
            kinds: ['short', 'long', 'endless', 'empty', 'text', 'status', 'reset', 'chunked'],
          })({ path, times, method }),
    );
    const study = await system.upload({ ...small, seed: 'seeded', series: 2 });
    await bothDelivered(study);
  });
});

describe('one instance for which the source has no good answer', () => {
  async function partial(study: UploadedStudy, uid: string, code: string, attempts = 3): Promise<void> {
    const others = new Map([...study.datasets].filter(([one]) => one !== uid));
    for (const target of ['files', 'pacs']) {
      const delivery = await system.untilDelivery(study, target, ended).catch((error) => {
        throw new Error(dispatch.output(), { cause: error });
      });
      expect(delivery).toMatchObject({ state: 'partial', quarantined: 1, confirmed: others.size });
      const events = await system.records.events(delivery.deliveryId);
      const named = events.find(({ kind }) => kind === 'quarantined');
      expect(named).toMatchObject({ code, text: expect.stringContaining(uid) });
      expect(delivery.attempts).toBeGreaterThanOrEqual(attempts);
    }
    expect(await arrived(study)).toEqual({ files: others, pacs: others });
  }

  it('a mixed-up cache returns that of another patient: it is named, the others arrive', async () => {
    const other = await system.upload({ ...small, seed: 'other patient', instancesPerSeries: 1 });
    await bothDelivered(other);
    const [otherId] = (await system.orthanc.get(`/studies/${other.orthancStudyId}/instances`)) as { ID: string }[];
    const study = await system.upload({ ...small, seed: 'mixed up', attributes: { PatientID: 'SOMEBODY-ELSE' } });
    const instances = (await system.orthanc.get(`/studies/${study.orthancStudyId}/instances`)) as {
      ID: string;
      MainDicomTags: { SOPInstanceUID: string };
    }[];
    const [one] = instances;
    if (!one || !otherId) throw new Error('no instances');
    proxy.lie(({ path }) =>
      path === `/instances/${one.ID}/file` ? { kind: 'other', path: `/instances/${otherId.ID}/file` } : undefined,
    );
    await partial(study, one.MainDicomTags.SOPInstanceUID, 'source-bytes-wrong');
  });

  it('its file is missing from the storage: it is named, the others arrive', async () => {
    const study = await system.upload({ ...small, seed: 'missing file', attributes: { StudyID: 'BY-TAGS' } });
    const [one] = (await system.orthanc.get(`/studies/${study.orthancStudyId}/instances`)) as {
      FileUuid: string;
      MainDicomTags: { SOPInstanceUID: string };
    }[];
    const uuid = one?.FileUuid ?? '';
    await rm(join(storage.path, uuid.slice(0, 2), uuid.slice(2, 4), uuid));
    const uid = one?.MainDicomTags.SOPInstanceUID ?? '';
    await partial(study, uid, 'source-instance-failed');
    // Also if rules and selections refer to tags that are only in the files.
    const delivery = await system.untilDelivery(study, 'chosen', ended);
    expect(delivery).toMatchObject({ state: 'partial', quarantined: 1 });
    const names = (await readdir(chosen.path)).filter((name) => study.datasets.has(name.replace('.dcm', '')));
    expect(names).not.toContain(`${uid}.dcm`);
    expect(names.length).toBe(delivery.confirmed);
    expect(delivery.confirmed).toBeGreaterThanOrEqual(small.instancesPerSeries - 2);
  });

  it('its file is missing, and Orthanc knows no SOP class of it: the error of the source is named', async () => {
    const study = await system.upload({ ...small, seed: 'missing class' });
    const [sample] = makeStudy({ ...small, seed: 'missing class' });
    const uid = `${sample!.sopInstanceUid.slice(0, -3)}999`;
    const odd = Buffer.from(sample!.bytes.toString('latin1').replaceAll(sample!.sopInstanceUid, uid), 'latin1');
    // A wrong group length hides SOP class and transfer syntax from Orthanc.
    odd.writeUInt32LE(0, 140);
    const { ID } = await system.orthanc.upload(odd);
    const { FileUuid: uuid } = (await system.orthanc.get(`/instances/${ID}`)) as { FileUuid: string };
    await rm(join(storage.path, uuid.slice(0, 2), uuid.slice(2, 4), uuid));
    // Attempts that do not reach the target are not counted.
    await partial(study, uid, 'source-instance-failed', 1);
  });

  it('a 404 that is not from Orthanc never means that it is gone', async () => {
    proxy.lie(({ path, times }) => (isFile(path) && times < 2 ? { kind: 'status', status: 404 } : undefined));
    const study = await system.upload({ ...small, seed: 'a proxy says 404' });
    await bothDelivered(study);
  });
});
