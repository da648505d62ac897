import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import { waitFor } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { collect, noResource, present, startFilledOrthanc } from '../test/filled-orthanc.ts';
import type { FilledOrthanc } from '../test/filled-orthanc.ts';

let filled: FilledOrthanc;

beforeAll(async () => {
  filled = await startFilledOrthanc();
});

afterAll(async () => {
  await filled[Symbol.asyncDispose]();
});

describe('system', () => {
  it('returns version and features of the server', async () => {
    const { client, server } = filled;
    expect(await client.system()).toMatchObject({ Version: '1.10.1', ApiVersion: 16, DicomAet: server.aet });
    expect(await client.features()).toEqual({
      version: '1.10.1',
      apiVersion: 16,
      bulkContent: true,
      attachmentInfo: true,
      requestedTags: undefined,
      asynchronousMove: false,
      labels: false,
      transcodeFile: false,
      deleteJob: false,
      changesTypeFilter: false,
      extendedFind: false,
      countResources: false,
      dicomGet: false,
      checksRevisions: false,
      readOnly: false,
    });
  });

  it('counts what it holds', async () => {
    const { client, instances } = filled;
    const size = instances.reduce((sum, instance) => sum + instance.bytes.length, 0);
    expect(await client.statistics()).toMatchObject({
      CountPatients: 1,
      CountStudies: 1,
      CountSeries: 2,
      CountInstances: 6,
      TotalUncompressedSize: size,
    });
  });
});

describe('changes', () => {
  it('come in pages, up to Done', async () => {
    const { client } = filled;
    const seen: number[] = [];
    for (let since = 0, done = false; !done;) {
      const page = await client.changes({ since, limit: 4 });
      expect(page.Changes.length).toBeLessThanOrEqual(4);
      seen.push(...page.Changes.map((change) => change.Seq));
      since = page.Last;
      done = page.Done;
    }
    expect(seen.length).toBeGreaterThanOrEqual(10);
    expect(seen).toEqual([...new Set(seen)].sort((one, other) => one - other));
  });

  it('are filtered here where the server ignores the type', async () => {
    const { client, studyId } = filled;
    const stable = await waitFor(async () => {
      const { Changes } = await client.changes({ type: 'StableStudy' });
      return Changes.length > 0 && Changes;
    });
    expect(stable).toMatchObject([{ ChangeType: 'StableStudy', ResourceType: 'Study', ID: studyId }]);
  });

  it('have a last one, which an empty page does not contain', async () => {
    const { client } = filled;
    const last = present(await client.lastChange());
    const page = await client.changes({ since: last.Seq + 1000 });
    expect(page).toMatchObject({ Changes: [], Done: true });
    expect((await client.changes({ since: last.Seq - 1 })).Changes[0]?.Seq).toBe(last.Seq);
  });
});

describe('a study', () => {
  it('has its tags, with computed ones', async () => {
    const { client, study, studyId, patientId } = filled;
    const tags = await client.studyTags(studyId);
    expect(tags).toMatchObject({ id: studyId, patientId, labels: [] });
    expect(tags.tags).toMatchObject({
      StudyInstanceUID: study.studyInstanceUid,
      PatientID: study.patientId,
      AccessionNumber: study.accessionNumber,
      ModalitiesInStudy: 'CT',
      NumberOfStudyRelatedSeries: '2',
      NumberOfStudyRelatedInstances: '6',
    });
    expect(tags.series.map((series) => series.tags['SeriesInstanceUID']).sort()).toEqual(
      [...study.seriesInstanceUids].sort(),
    );
    expect((await client.study(studyId)).Series.length).toBe(2);
    expect(await client.metadata('studies', studyId)).toHaveProperty('LastUpdate');
  });

  it('lists its instances in order, with all that a sender needs', async () => {
    const { client, instances, studyId, instanceIds } = filled;
    const expected = instances
      .map((instance) => ({
        id: instanceIds.get(instance.sopInstanceUid),
        sopInstanceUid: instance.sopInstanceUid,
        seriesInstanceUid: instance.seriesInstanceUid,
        sopClassUid: instance.sopClassUid,
        transferSyntaxUid: instance.transferSyntaxUid,
        fileSizeBytes: instance.bytes.length,
        instanceNumber: instance.instanceNumber,
        origin: 'RestApi',
        remoteIp: '127.0.0.1',
      }))
      .sort((one, other) => (one.seriesInstanceUid < other.seriesInstanceUid ? -1 : 1));
    const listed = await client.studyInstances(studyId);
    expect(listed).toMatchObject(expected);
    expect(listed[0]?.receptionDate).toMatch(/^\d{8}T\d{6}$/);
  });

  it('is read together with others; missing ones are omitted', async () => {
    const { client, studyId, study, patientId } = filled;
    const whole = await client.study(studyId);
    const [read] = await client.studies.many([studyId]);
    expect(read).toMatchObject({
      ID: studyId,
      ParentPatient: patientId,
      MainDicomTags: { StudyInstanceUID: study.studyInstanceUid, AccessionNumber: study.accessionNumber },
      PatientMainDicomTags: { PatientID: study.patientId },
    });
    expect(read?.Series.toSorted()).toEqual(whole.Series.toSorted());
    expect((await client.studies.many([noResource, studyId])).map(({ ID }) => ID)).toEqual([studyId]);
    expect(await client.studies.many([])).toEqual([]);
  });

  it('that does not exist is not found, in every way', async () => {
    const { client } = filled;
    const missing = { name: 'OrthancError', code: 'not-found', status: 404 };
    await expect(client.study(noResource)).rejects.toMatchObject(missing);
    await expect(client.studyTags(noResource)).rejects.toMatchObject(missing);
    await expect(client.studyInstances(noResource)).rejects.toMatchObject(missing);
    await expect(client.metadata('studies', noResource)).rejects.toMatchObject(missing);
    await expect(client.instanceFile(noResource)).rejects.toMatchObject({ ...missing, orthancStatus: 17 });
    await expect(client.studies.archive(noResource)).rejects.toMatchObject({ name: 'OrthancError' });
  });
});

describe('instance files', () => {
  it('come as they were stored', async () => {
    const { client, instances, instanceIds } = filled;
    for (const instance of instances) {
      const id = present(instanceIds.get(instance.sopInstanceUid));
      const file = await client.instanceFile(id);
      expect(file).toMatchObject({ sizeBytes: instance.bytes.length, contentType: 'application/dicom' });
      expect((await collect(file.body)).equals(instance.bytes)).toBe(true);
    }
  });

  it('that are large arrive in limited pieces, many in parallel', async () => {
    const { client } = filled;
    const [large] = makeStudy({
      seed: 'large',
      modality: 'OT',
      instancesPerSeries: 1,
      rows: 1024,
      columns: 1024,
      frames: 6,
    });
    const bytes = present(large).bytes;
    expect(bytes.length).toBeGreaterThan(4 * 1024 * 1024);
    const stored = await client.uploadInstance(bytes);
    const wanted = createHash('md5').update(bytes).digest('hex');
    const sums = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const hash = createHash('md5');
        const file = await client.instanceFile(present(stored.ID));
        for await (const chunk of file.body) {
          expect(chunk.length).toBeLessThanOrEqual(1024 * 1024);
          hash.update(chunk);
          file.release(chunk);
        }
        return hash.digest('hex');
      }),
    );
    expect(new Set(sums)).toEqual(new Set([wanted]));
    await client.studies.delete(present(stored.ParentStudy));
  });

  it('survive connections that Orthanc closes after a second without use', async () => {
    const { client, instances, instanceIds } = filled;
    const [instance] = instances;
    const id = present(instanceIds.get(present(instance).sopInstanceUid));
    for (const idleMs of [1000, 900, 1100]) {
      await collect((await client.instanceFile(id)).body);
      await new Promise((resolve) => {
        setTimeout(resolve, idleMs);
      });
      expect((await collect((await client.instanceFile(id)).body)).length).toBe(present(instance).bytes.length);
    }
  });

  it('in another transfer syntax require a newer server here', async () => {
    const { client } = filled;
    await expect(client.instanceFile(noResource, { transcode: '1.2.840.10008.1.2.4.70' })).rejects.toMatchObject({
      code: 'unsupported',
    });
  });
});

describe('upload', () => {
  it('stores a buffer, a stream, and a stream that can be had again; storing twice changes nothing', async () => {
    const { client } = filled;
    const [one, two, three] = [...makeStudy({ seed: 'upload' })].map((instance) => instance.bytes);
    const pieces = (bytes: Buffer) => [bytes.subarray(0, 1000), bytes.subarray(1000)];
    const first = await client.uploadInstance(present(one));
    expect(first).toMatchObject({ Status: 'Success', ID: expect.any(String), ParentStudy: expect.any(String) });
    const second = Readable.from(pieces(present(two)));
    expect(await client.uploadInstance(second)).toMatchObject({ Status: 'Success' });
    const third = () => Readable.from(pieces(present(three)));
    const known = { sizeBytes: present(three).length };
    expect(await client.uploadInstance(third, known)).toMatchObject({ Status: 'Success' });
    expect(await client.uploadInstance(third)).toMatchObject({ Status: 'AlreadyStored' });
    expect((await client.studies.statistics(present(first.ParentStudy))).CountInstances).toBe(3);
    await client.studies.delete(present(first.ParentStudy));
  });

  it('stores all instances of a ZIP that was downloaded here', async () => {
    const { client, studyId, instances } = filled;
    const archive = await client.studies.archive(studyId);
    const zip = await collect(archive.body);
    await client.studies.delete(studyId);
    const results = await client.uploadZip(zip);
    expect(results.map((result) => result.Status)).toEqual(instances.map(() => 'Success'));
    expect(new Set(results.map((result) => result.ParentStudy))).toEqual(new Set([studyId]));
  });

  it('rejects a file that is not DICOM, and a ZIP as an instance', async () => {
    const { client, studyId } = filled;
    await expect(client.uploadInstance(Buffer.from('junk'))).rejects.toMatchObject({
      code: 'bad-request',
      status: 400,
      orthancStatus: 15,
    });
    const zip = await collect((await client.archive([studyId])).body);
    await expect(client.uploadInstance(zip)).rejects.toMatchObject({ code: 'protocol' });
  });
});

describe('find', () => {
  it('by tags, expanded or not, in pages', async () => {
    const { client, study, studyId } = filled;
    const query = { PatientID: study.patientId };
    expect(await client.findIds({ level: 'studies', query })).toEqual([studyId]);
    expect(await client.find({ level: 'studies', query })).toMatchObject([
      { ID: studyId, MainDicomTags: { StudyInstanceUID: study.studyInstanceUid } },
    ]);
    expect(await client.findIds({ level: 'studies', query: { PatientID: 'nobody*' } })).toEqual([]);
    expect(await client.count({ level: 'instances', query })).toBe(6);
    const pages = [];
    for (let since = 0; since < 6; since += 4) {
      pages.push(await client.findIds({ level: 'instances', query, since, limit: 4 }));
    }
    expect(pages.map((page) => page.length)).toEqual([4, 2]);
    expect(new Set(pages.flat()).size).toBe(6);
  });

  it.each([
    { labels: ['x'] },
    { requestedTags: ['ModalitiesInStudy'] },
    { parentStudy: 'x' },
    { orderBy: [{ Type: 'DicomTag', Key: 'StudyDate', Direction: 'ASC' }] },
  ] as const)('refuses what this server would ignore: %j', async (filter) => {
    const find = filled.client.findIds({ level: 'studies', query: {}, ...filter });
    await expect(find).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('rejects a limit of 0, and what Orthanc rejects', async () => {
    const { client } = filled;
    await expect(client.findIds({ level: 'studies', query: {}, limit: 0 })).rejects.toMatchObject({
      code: 'bad-request',
    });
    await expect(client.findIds({ level: 'studies', query: { NoSuchTag: 'x' } })).rejects.toMatchObject({
      name: 'OrthancError',
    });
  });

  it('looks up identifiers on all levels', async () => {
    const { client, study, studyId, patientId } = filled;
    expect(await client.lookup(study.studyInstanceUid)).toMatchObject([{ ID: studyId, Type: 'Study' }]);
    expect(await client.lookup(study.patientId)).toMatchObject([{ ID: patientId, Type: 'Patient' }]);
    expect(await client.lookup('nobody')).toEqual([]);
  });
});
