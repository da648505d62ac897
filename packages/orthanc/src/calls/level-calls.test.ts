import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { tempFolder } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { collect, noJob, noResource, present, startFilledOrthanc } from '../../test/filled-orthanc.ts';
import type { FilledOrthanc } from '../../test/filled-orthanc.ts';

let filled: FilledOrthanc;
let instanceId: string;
let bytes: Buffer;

const jpegLossless = '1.2.840.10008.1.2.4.70';
const missing = { name: 'OrthancError', code: 'not-found', status: 404 };

beforeAll(async () => {
  filled = await startFilledOrthanc({ extraConfig: { UserMetadata: { routed: 2000 }, StoreMD5ForAttachments: true } });
  const first = present(filled.instances[0]);
  instanceId = present(filled.instanceIds.get(first.sopInstanceUid));
  bytes = first.bytes;
});

afterAll(async () => {
  await filled[Symbol.asyncDispose]();
});

describe('resources', () => {
  it('are listed in pages, expanded or not, or one after the other', async () => {
    const { client, instanceIds, patientId, studyId } = filled;
    const all = new Set(instanceIds.values());
    expect(new Set(await client.instances.ids())).toEqual(all);
    const pages = [
      await client.instances.ids({ since: 0, limit: 4 }),
      await client.instances.ids({ since: 4, limit: 4 }),
      await client.instances.ids({ since: 8, limit: 4 }),
    ];
    expect(pages.map((page) => page.length)).toEqual([4, 2, 0]);
    expect(new Set(pages.flat())).toEqual(all);
    expect((await client.instances.ids({ since: 5 })).length).toBe(1);
    expect(await client.patients.list()).toMatchObject([{ ID: patientId, Type: 'Patient', Studies: [studyId] }]);
    expect((await client.series.list({ limit: 1 })).length).toBe(1);
    const seen: string[] = [];
    for await (const instance of client.instances.each({ pageSize: 4 })) seen.push(instance.ID);
    expect(new Set(seen)).toEqual(all);
  });

  it('are read on each level, with those above and below', async () => {
    const { client, patientId, studyId } = filled;
    const instance = await client.instances.read(instanceId);
    expect(instance).toMatchObject({ ID: instanceId, Type: 'Instance', FileSize: bytes.length });
    const seriesId = instance.ParentSeries;
    expect(await client.series.read(seriesId)).toMatchObject({ ParentStudy: studyId, Type: 'Series' });
    expect((await client.instances.series(instanceId)).ID).toBe(seriesId);
    expect((await client.instances.study(instanceId)).ID).toBe(studyId);
    expect((await client.instances.patient(instanceId)).ID).toBe(patientId);
    expect((await client.series.study(seriesId)).ID).toBe(studyId);
    expect((await client.series.patient(seriesId)).ID).toBe(patientId);
    expect((await client.series.instances(seriesId)).length).toBe(3);
    expect((await client.studies.patient(studyId)).ID).toBe(patientId);
    expect((await client.studies.series(studyId)).length).toBe(2);
    expect((await client.studies.instances(studyId)).length).toBe(6);
    expect((await client.patients.studies(patientId)).map((study) => study.ID)).toEqual([studyId]);
    expect((await client.patients.series(patientId)).length).toBe(2);
    expect((await client.patients.instances(patientId)).length).toBe(6);
  });

  it('make a tree', async () => {
    const { client, patientId, instanceIds } = filled;
    const tree = await client.patients.tree(patientId);
    expect(tree.patient.ID).toBe(patientId);
    const series = tree.studies.flatMap((study) => study.series);
    expect(series.map((each) => each.instances.length)).toEqual([3, 3]);
    const ids = series.flatMap((each) => each.instances.map((instance) => instance.ID));
    expect(new Set(ids)).toEqual(new Set(instanceIds.values()));
    await expect(client.patients.tree(noResource)).rejects.toMatchObject(missing);
  });

  it('are deleted with all below, and parents that are left empty', async () => {
    const { client } = filled;
    const stored = [];
    for (const each of makeStudy({ seed: 'delete', series: 2, instancesPerSeries: 2 })) {
      stored.push(await client.uploadInstance(each.bytes));
    }
    const [first, second, third] = stored;
    expect(await client.instances.delete(present(first?.ID))).toMatchObject({ Type: 'Series' });
    expect(await client.instances.delete(present(second?.ID))).toMatchObject({ Type: 'Study' });
    expect(await client.studies.delete(present(third?.ParentStudy))).toBeUndefined();
    await expect(client.patients.read(present(third?.ParentPatient))).rejects.toMatchObject(missing);
    await expect(client.studies.delete(present(third?.ParentStudy))).rejects.toMatchObject(missing);
  });

  it('are counted and weighed', async () => {
    const { client, studyId, instances } = filled;
    const size = instances.reduce((sum, each) => sum + each.bytes.length, 0);
    expect(await client.studies.statistics(studyId)).toMatchObject({
      CountSeries: 2,
      CountInstances: 6,
      DicomUncompressedSize: size,
    });
    expect(await client.instances.statistics(instanceId)).toMatchObject({ DicomDiskSize: bytes.length });
  });

  it('can be protected, where they are patients', async () => {
    const { client, patientId } = filled;
    expect(await client.patients.isProtected(patientId)).toBe(false);
    await client.patients.setProtected(patientId, true);
    expect(await client.patients.isProtected(patientId)).toBe(true);
    await client.patients.setProtected(patientId, false);
    expect(await client.patients.isProtected(patientId)).toBe(false);
  });

  it('reject computed tags and labels that this server lacks', async () => {
    const { client, studyId } = filled;
    const unsupported = { code: 'unsupported' };
    const requestedTags = ['ModalitiesInStudy'];
    await expect(client.studies.read(studyId, { requestedTags })).rejects.toMatchObject(unsupported);
    await expect(client.studies.list({}, { requestedTags })).rejects.toMatchObject(unsupported);
    await expect(client.studies.labels(studyId)).rejects.toMatchObject(unsupported);
    await expect(client.studies.addLabel(studyId, 'x')).rejects.toMatchObject(unsupported);
    await expect(client.studies.removeLabel(studyId, 'x')).rejects.toMatchObject(unsupported);
  });
});

describe('metadata', () => {
  it('is written, read and deleted, by name or number', async () => {
    const { client, studyId } = filled;
    for (const name of ['routed', '1024']) {
      const etag = await client.studies.setMetadata(studyId, name, 'grün');
      expect(await client.studies.metadataValue(studyId, name)).toEqual({ value: 'grün', etag });
      expect(await client.studies.metadata(studyId)).toMatchObject({ [name]: 'grün' });
      await client.studies.deleteMetadata(studyId, name);
      await expect(client.studies.metadataValue(studyId, name)).rejects.toMatchObject(missing);
    }
  });

  it("of Orthanc's own is read only", async () => {
    const { client, studyId } = filled;
    const forbidden = { code: 'forbidden', status: 403 };
    await expect(client.studies.setMetadata(studyId, 'LastUpdate', 'x')).rejects.toMatchObject(forbidden);
    await expect(client.studies.deleteMetadata(studyId, 'LastUpdate')).rejects.toMatchObject(forbidden);
    expect(await client.instances.metadata(instanceId)).toMatchObject({ Origin: 'RestApi', RemoteIP: '127.0.0.1' });
  });
});

describe('attachments', () => {
  it('of an instance hold the file itself', async () => {
    const { client } = filled;
    const md5 = createHash('md5').update(bytes).digest('hex');
    expect(await client.instances.attachments(instanceId)).toContain('dicom');
    expect(await client.instances.attachmentMd5(instanceId, 'dicom')).toBe(md5);
    expect(await client.instances.attachmentInfo(instanceId, 'dicom')).toEqual({
      sizeBytes: bytes.length,
      compressedSizeBytes: bytes.length,
      md5,
      compressedMd5: md5,
      etag: expect.stringContaining(md5),
    });
    expect(await client.instances.verifyAttachment(instanceId, 'dicom')).toBe(true);
    const file = await client.instances.attachmentData(instanceId, 'dicom');
    expect((await collect(file.body)).equals(bytes)).toBe(true);
  });

  it('that broke on the disk are found out', async () => {
    await using folder = await tempFolder('storage');
    const extraConfig = { MaximumStorageCacheSize: 1 };
    await using small = await startFilledOrthanc({ storageDir: folder.path, extraConfig });
    const { client, instanceIds } = small;
    const id = present([...instanceIds.values()][0]);
    const uuid = (await client.instances.read(id))['FileUuid'] as string;
    const file = join(folder.path, uuid.slice(0, 2), uuid.slice(2, 4), uuid);
    const content = await readFile(file);
    content.writeUInt8(content.readUInt8(content.length - 1) ^ 1, content.length - 1);
    await writeFile(file, content);
    // Orthanc has it in its cache of 1 MB still: two others of 0.6 MB push it out.
    for (const other of makeStudy({ seed: 'cache', instancesPerSeries: 2, rows: 560, columns: 560 })) {
      const stored = await client.uploadInstance(other.bytes);
      await collect((await client.instanceFile(present(stored.ID))).body);
    }
    expect(await client.instances.verifyAttachment(id, 'dicom')).toBe(false);
  });

  it('can be added, replaced and deleted', async () => {
    const { client, studyId } = filled;
    await client.studies.setAttachment(studyId, '1030', Buffer.from('one'));
    await client.studies.setAttachment(studyId, '1030', Buffer.from('another'));
    expect((await collect((await client.studies.attachmentData(studyId, '1030')).body)).toString()).toBe('another');
    await client.studies.deleteAttachment(studyId, '1030');
    await expect(client.studies.attachmentData(studyId, '1030')).rejects.toMatchObject(missing);
    await expect(client.studies.attachmentInfo(studyId, '1030')).rejects.toMatchObject(missing);
    await expect(client.studies.verifyAttachment(studyId, '1030')).rejects.toMatchObject(missing);
    await expect(client.instances.deleteAttachment(instanceId, 'dicom')).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('revisions, where they are checked', () => {
  it('reject a write on a changed value, and overwrite it without a check on request', async () => {
    await using checking = await startFilledOrthanc({ extraConfig: { CheckRevisions: true } });
    const { client, studyId } = checking;
    expect((await client.features()).checksRevisions).toBe(true);
    const etag = await client.studies.setMetadata(studyId, '1024', 'one');
    await client.studies.setMetadata(studyId, '1024', 'two');
    const conflict = { code: 'conflict', status: 409 };
    await expect(client.studies.setMetadata(studyId, '1024', 'three', { etag })).rejects.toMatchObject(conflict);
    await expect(client.studies.deleteMetadata(studyId, '1024', { etag })).rejects.toMatchObject(conflict);
    const now = await client.studies.metadataValue(studyId, '1024');
    expect(now.value).toBe('two');
    await client.studies.setMetadata(studyId, '1024', 'three', { etag: now.etag });
    await client.studies.deleteMetadata(studyId, '1024');

    await client.studies.setAttachment(studyId, '1030', Buffer.from('one'));
    const before = await client.studies.attachmentInfo(studyId, '1030');
    await client.studies.setAttachment(studyId, '1030', Buffer.from('two'));
    const late = client.studies.setAttachment(studyId, '1030', Buffer.from('three'), { etag: before.etag });
    await expect(late).rejects.toMatchObject(conflict);
    await client.studies.deleteAttachment(studyId, '1030');
    expect(await client.studies.attachments(studyId)).toEqual([]);
  });
});

describe('tags', () => {
  it('of an instance come in three forms', async () => {
    const { client, study } = filled;
    expect(await client.instances.tags(instanceId)).toMatchObject({ PatientID: study.patientId });
    expect(await client.instances.tags(instanceId, { format: 'short' })).toMatchObject({
      '0010,0020': study.patientId,
    });
    const full = await client.instances.tags(instanceId, { format: 'full' });
    expect(full['0010,0020']).toEqual({ Name: 'PatientID', Type: 'String', Value: study.patientId });
    expect(await client.instances.header(instanceId)).toMatchObject({ TransferSyntaxUID: '1.2.840.10008.1.2.1' });
  });

  it('of a study: shared, of the module, of each instance', async () => {
    const { client, study, studyId, instanceIds } = filled;
    const shared = await client.studies.sharedTags(studyId);
    expect(shared).toMatchObject({ StudyInstanceUID: study.studyInstanceUid, Modality: 'CT' });
    expect(shared).not.toHaveProperty('SOPInstanceUID');
    expect(await client.studies.moduleTags(studyId, { format: 'short' })).toMatchObject({
      '0020,000d': study.studyInstanceUid,
    });
    const each = await client.studies.instancesTags(studyId);
    expect(new Set(Object.keys(each))).toEqual(new Set(instanceIds.values()));
    for (const [uid, id] of instanceIds) expect(each[id]).toMatchObject({ SOPInstanceUID: uid });
  });
});

describe('pictures', () => {
  it('come as PNG or JPEG, in any mode', async () => {
    const { client } = filled;
    expect(await client.instances.frameCount(instanceId)).toBe(1);
    const png = await client.instances.preview(instanceId);
    expect(png.contentType).toBe('image/png');
    expect((await collect(png.body)).subarray(1, 4).toString()).toBe('PNG');
    const jpeg = await client.instances.preview(instanceId, { format: 'jpeg' });
    expect((await collect(jpeg.body)).subarray(0, 2).toString('hex')).toBe('ffd8');
    const rendered = await client.instances.preview(instanceId, { mode: 'rendered', width: 16 });
    expect((await collect(rendered.body)).readUInt32BE(16)).toBe(16);
    await expect(client.instances.preview(instanceId, { frame: 7 })).rejects.toMatchObject(missing);
  });
});

describe('archives', () => {
  it('hold all instances, of any level, as they are or transcoded', async () => {
    const { client, studyId, patientId } = filled;
    const seriesId = present((await client.study(studyId)).Series[0]);
    // Each entry has a local file header and one in the central directory.
    const countFiles = (zip: Buffer) => zip.toString('latin1').split('PK\u0001\u0002').length - 1;
    expect(countFiles(await collect((await client.patients.archive(patientId)).body))).toBe(6);
    const media = await collect((await client.studies.archive(studyId, { media: true })).body);
    expect(countFiles(media)).toBe(7);
    expect(media.includes('DICOMDIR')).toBe(true);
    const series = await collect((await client.series.archive(seriesId)).body);
    expect(countFiles(series)).toBe(3);
    const transcoded = await collect((await client.archive([seriesId, patientId], { transcode: jpegLossless })).body);
    expect(countFiles(transcoded)).toBe(6);
    expect((await client.uploadZip(series)).map((result) => result.Status)).toEqual(
      Array.from({ length: 3 }, () => 'AlreadyStored'),
    );
  });
});

describe('modify and anonymise', () => {
  it('a study, merged into another one', async () => {
    const { client, studyId } = filled;
    const modified = await client.studies.modify(studyId, { Replace: { StudyDescription: 'changed' } });
    expect((await client.study(modified.ID)).MainDicomTags).toMatchObject({ StudyDescription: 'changed' });
    const anonymous = await client.studies.anonymise(studyId, { Replace: { PatientName: 'Nobody' } });
    const study = await client.study(anonymous.ID);
    expect(study.PatientMainDicomTags).toMatchObject({ PatientName: 'Nobody' });
    expect(study.PatientMainDicomTags['PatientID']).not.toBe(filled.study.patientId);
    await client.studies.delete(modified.ID);
    await client.studies.delete(anonymous.ID);
  });

  it('an instance, without storing it', async () => {
    const { client } = filled;
    const before = await client.statistics();
    const modified = await client.instances.modify(instanceId, { Replace: { PatientName: 'Changed^Name' } });
    expect((await collect(modified.body)).includes('Changed^Name')).toBe(true);
    const anonymous = await collect((await client.instances.anonymise(instanceId)).body);
    expect(anonymous.includes(filled.study.patientId)).toBe(false);
    expect(await client.statistics()).toEqual(before);
  });

  it('to another transfer syntax, with its own UIDs', async () => {
    const { client, instances } = filled;
    const transcoded = await collect((await client.instances.transcode(instanceId, jpegLossless)).body);
    expect(transcoded.includes(jpegLossless)).toBe(true);
    expect(transcoded.includes(present(instances[0]).sopInstanceUid)).toBe(true);
    expect(transcoded.length).toBeLessThan(bytes.length);
    await expect(client.instances.transcode(instanceId, '1.2.3')).rejects.toMatchObject({ name: 'OrthancError' });
  });

  it('reject what Orthanc rejects', async () => {
    const { client, studyId } = filled;
    const request = { Replace: { PatientID: 'x' } };
    await expect(client.studies.modify(studyId, request)).rejects.toMatchObject({ code: 'bad-request', status: 400 });
    await expect(client.series.modify(noResource, {})).rejects.toMatchObject(missing);
  });
});

describe('jobs', () => {
  it('report their progress and result', async () => {
    const { client, studyId } = filled;
    const id = await client.studies.anonymiseJob(studyId);
    const states: string[] = [];
    for await (const job of client.jobs.progress(id, { pollMs: 10 })) states.push(job.State);
    expect(states.at(-1)).toBe('Success');
    const job = await client.jobs.wait(id);
    expect(job).toMatchObject({ ID: id, Type: 'ResourceModification', Progress: 100 });
    const result = job.Content['ID'] as string;
    expect((await client.study(result)).Series.length).toBe(2);
    expect(await client.jobs.ids()).toContain(id);
    expect((await client.jobs.list()).map((each) => each.ID)).toContain(id);
    await client.studies.delete(result);
    await expect(client.jobs.delete(id)).rejects.toMatchObject({ code: 'unsupported' });
    await expect(client.jobs.read(noJob)).rejects.toMatchObject(missing);
  });

  it('of a modification, waited for with a listener', async () => {
    const { client, studyId } = filled;
    const id = await client.studies.modifyJob(studyId, { Replace: { StudyDescription: 'by job' } });
    const seen: number[] = [];
    const job = await client.jobs.wait(id, { pollMs: 10, onProgress: (each) => seen.push(each.Progress) });
    expect(seen.at(-1)).toBe(100);
    await client.studies.delete(job.Content['ID'] as string);
  });
});
