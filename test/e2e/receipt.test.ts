import { createHash } from 'node:crypto';
import {
  startOrthanc,
  startStorescp,
  tempFolder,
  type OrthancServer,
  type StorescpServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { readReceipt, receiptCsv, type StudyReceipt } from '@dicom-dispatch/operations';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget, quick } from './support/pacs-target.ts';
import {
  startRoutingSystem,
  type RoutingSystem,
  type RunningRouting,
  type UploadedStudy,
} from './support/routing-system.ts';

let system: RoutingSystem;
let archive: OrthancServer;
/** A separate server: an instance that the other target has delivered meanwhile would not be sent, and would have no digest. */
let web: OrthancServer;
let scp: StorescpServer;
let folder: TempFolder;

beforeAll(async () => {
  [system, archive, web, scp, folder] = await Promise.all([
    startRoutingSystem(),
    startOrthanc(),
    startOrthanc({ plugins: ['dicomweb'] }),
    startStorescp(),
    tempFolder('receipt'),
  ]);
});
afterAll(async () => {
  await Promise.all([system?.[Symbol.asyncDispose](), archive?.stop(), web?.stop(), scp?.stop(), folder?.remove()]);
});

function receiptOf(run: RunningRouting, { orthancStudyId }: UploadedStudy, target?: string): Promise<StudyReceipt> {
  return readReceipt(run.operations, { source: 'main', orthancStudyId }, target);
}

it('shows for each instance what was sent, when, and the response of each receiver', async () => {
  await using run = await system.start({
    targets: {
      pacs: pacsTarget(scp),
      files: { type: 'folder', path: folder.path, minFree: 0, layout: '{PatientID}/{SOPInstanceUID}.dcm', ...quick },
      orthanc: { type: 'orthanc', url: archive.url, ...quick },
      web: { type: 'dicomweb', url: `${web.url}/dicom-web`, ...quick },
    },
  });
  const study = await system.upload({ seed: 'receipt', series: 2, instancesPerSeries: 2 });
  const { targets } = run.config;
  for (const target of Object.keys(targets)) await run.until(study, target, 'delivered');
  const digests = await Promise.all(
    study.instanceIds.map(async (id) => {
      const bytes = await system.orthanc.getBytes(`/instances/${id}/file`);
      return { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
  const receipt = await receiptOf(run, study);
  expect(receipt.targets.map(({ target }) => target).sort()).toEqual(Object.keys(targets).sort());
  const answers: Record<string, RegExp> = {
    pacs: /^status 0000H/,
    files: /^new as \{PatientID\}\/[\d.]+\.dcm$/,
    orthanc: /^(Success|AlreadyStored)/,
    web: /^HTTP 200|^listed|already there|already had it/,
  };
  for (const one of receipt.targets) {
    expect(one, one.target).toMatchObject({ delivered: 4, quarantined: 0, withoutDetails: 0 });
    expect(one.lines.map(({ sopInstanceUid }) => sopInstanceUid).sort()).toEqual([...study.sopInstanceUids].sort());
    for (const line of one.lines) {
      const at = study.sopInstanceUids.indexOf(line.sopInstanceUid);
      expect(line, one.target).toMatchObject({ state: 'delivered', attempt: 1, ...digests[at] });
      expect(line.answer, one.target).toMatch(answers[one.target] ?? /never/);
      expect(line.place).toMatch(/^(dicom 127\.0\.0\.1:\d+ STORESCP|folder \/|orthanc http|dicomweb http)/);
    }
  }
  const csv = receiptCsv(receipt).split('\r\n');
  expect(csv.length).toBe(1 + 16 + 1);
  expect(csv[0]).toMatch(/^source,study_instance_uid,/);
  // No patient data in Redis: the path has a placeholder.
  const { patientId } = await system.client
    .studyTags(study.orthancStudyId)
    .then(({ tags }) => ({ patientId: tags['PatientID'] ?? 'none' }));
  for (const key of await run.connection.keys(`${run.config.redis.prefix}:receipt:*`)) {
    expect((await run.connection.getBuffer(key))?.includes(patientId)).toBe(false);
  }
  await system.orthanc.send('DELETE', `/studies/${study.orthancStudyId}`);
});

it('distinguishes attempts, rejected instances, and those sent again', async () => {
  await using other = await startFaultScp();
  let refused = '';
  other.answer = (uid, count) => {
    refused ||= count === 1 ? uid : '';
    return uid === refused ? 0xc000 : count === 2 ? 0xa700 : 0;
  };
  await using run = await system.start({ targets: { pacs: pacsTarget(other, { maxParallel: 1 }) } });
  const study = await system.upload({ seed: 'attempts', series: 1, instancesPerSeries: 5 });
  await run.until(study, 'pacs', 'partial');
  const before = (await receiptOf(run, study, 'pacs')).targets[0];
  expect(before).toMatchObject({ delivered: 4, quarantined: 1, withoutDetails: 0 });
  const line = before?.lines.find(({ state }) => state === 'quarantined');
  expect(line).toMatchObject({ sopInstanceUid: refused, answer: expect.stringContaining('C000H') });
  expect(new Set(before?.lines.map(({ attempt }) => attempt)).size).toBeGreaterThan(1);
  await system.orthanc.send('DELETE', `/studies/${study.orthancStudyId}`);
});
