import { createHash } from 'node:crypto';
import { Secret, type ManifestInstance, type TransformConfig } from '@dicom-dispatch/core';
import { hashDataset, startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import { element, makeStudy, type StudyOptions } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTransform, readManifest, readStudy, type InstanceTransform } from '../index.ts';

let server: OrthancServer;
let orthanc: OrthancClient;
beforeAll(async () => {
  server = await startOrthanc({ overwriteInstances: true });
  orthanc = createOrthancClient({ url: server.url });
});
afterAll(async () => {
  await orthanc.close();
  await server.stop();
});

const plain: TransformConfig = { set: {}, remove: [], copy: {}, keep: [], removePrivateTags: false };
const anonymise: TransformConfig = { ...plain, anonymise: { keepPrivateTags: false, pseudonyms: true } };

async function upload(
  options: StudyOptions,
): Promise<{ orthancStudyId: string; studyInstanceUid: string; manifest: ManifestInstance[] }> {
  const study = makeStudy(options);
  let orthancStudyId = '';
  for (const instance of study) ({ ParentStudy: orthancStudyId } = await server.upload(instance.bytes));
  const { studyInstanceUid } = study;
  const manifest = await readManifest(orthanc, { source: 'main', orthancStudyId, studyInstanceUid });
  return { orthancStudyId, studyInstanceUid, manifest };
}

function transformOf(definition: TransformConfig, key = 'key'): InstanceTransform {
  const pseudonyms = { secret: new Secret(key), prefix: 'P-' };
  return createTransform({ orthanc, source: 'main', definition, pseudonyms });
}

/** Hash of the dataset of a sample's first instance. */
function firstHash(seed: string): string {
  const [first] = makeStudy({ seed });
  if (!first) throw new Error('an empty sample');
  return hashDataset(first.bytes);
}

async function bytesOf(transform: InstanceTransform, instance: ManifestInstance): Promise<Buffer> {
  const { body, sizeBytes } = await transform.open(instance);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  expect(sizeBytes).toBe(bytes.length);
  return bytes;
}

/** The result, as an Orthanc reads it. */
async function tagsOf(bytes: Buffer): Promise<Record<string, unknown>> {
  const { ID } = await server.upload(bytes);
  const tags = await orthanc.instances.tags(ID);
  const header = await orthanc.instances.header(ID);
  return { ...tags, ...header };
}

describe('tag morphing', () => {
  it('sets, removes and copies, and leaves everything else with its UIDs', async () => {
    const { manifest } = await upload({ seed: 'morph', extraTags: [element(0x00091001, 'LO', 'secret')] });
    const [instance] = manifest;
    if (!instance) throw new Error('no instance');
    const before = await orthanc.instances.tags(instance.sourceId);
    const transform = transformOf({
      ...plain,
      set: { InstitutionName: 'Example Hospital' },
      remove: ['StudyDescription'],
      copy: { IssuerOfPatientID: 'StationName', PatientComments: 'NoSuchTag' },
      removePrivateTags: true,
    });
    const after = await tagsOf(await bytesOf(transform, instance));
    expect(after).toMatchObject({
      PatientID: before['PatientID'],
      StudyInstanceUID: instance.studyInstanceUid,
      SeriesInstanceUID: instance.seriesInstanceUid,
      SOPInstanceUID: instance.sopInstanceUid,
      MediaStorageSOPInstanceUID: instance.sopInstanceUid,
      InstitutionName: 'Example Hospital',
      IssuerOfPatientID: before['StationName'],
    });
    expect(after).not.toHaveProperty('StudyDescription');
    expect(after).not.toHaveProperty('PatientComments');
    expect(JSON.stringify(after)).not.toContain('secret');
    expect(transform.show(instance)).toEqual(instance);
  });

  it('gives reproducible new UIDs, and preserves references', async () => {
    const { manifest } = await upload({ seed: 'uids', series: 2, instancesPerSeries: 2 });
    const transform = transformOf({ ...plain, uids: 'new' });
    const outs = [];
    for (const instance of manifest) {
      const shown = transform.show(instance);
      const out = await tagsOf(await bytesOf(transform, instance));
      expect(out).toMatchObject({
        StudyInstanceUID: shown.studyInstanceUid,
        SeriesInstanceUID: shown.seriesInstanceUid,
        SOPInstanceUID: shown.sopInstanceUid,
        MediaStorageSOPInstanceUID: shown.sopInstanceUid,
      });
      expect(shown.sopInstanceUid).toMatch(/^2\.25\.\d{1,39}$/);
      expect(shown.sopInstanceUid).not.toBe(instance.sopInstanceUid);
      outs.push(out);
    }
    expect(new Set(outs.map((out) => out['StudyInstanceUID'])).size).toBe(1);
    expect(new Set(outs.map((out) => out['SeriesInstanceUID'])).size).toBe(2);
    expect(new Set(outs.map((out) => out['PatientID'])).size).toBe(1);
    const frames = new Set(outs.map((out) => out['FrameOfReferenceUID']));
    expect(frames.size).toBe(1);
    const before = await orthanc.instances.tags(manifest[0]?.sourceId ?? '');
    expect(frames.has(before['FrameOfReferenceUID'])).toBe(false);
    expect(
      transformOf({ ...plain, uids: 'new' }, 'other key').show(manifest[0] as ManifestInstance).sopInstanceUid,
    ).not.toBe(outs[0]?.['SOPInstanceUID']);
  });
});

describe('anonymisation', () => {
  it('leaves nothing of the patient, and the same patient is the same in another study', async () => {
    const attributes = {
      PatientID: 'PID-4711',
      PatientName: 'Muster^Erika',
      AccessionNumber: 'ACC1',
      PatientBirthDate: '19700101',
    };
    const first = await upload({ seed: 'anon-1', attributes, extraTags: [element(0x00091001, 'LO', 'Erika')] });
    const second = await upload({
      seed: 'anon-2',
      modality: 'MR',
      attributes: { ...attributes, AccessionNumber: 'ACC2' },
    });
    const stranger = await upload({ seed: 'anon-3', attributes: { PatientID: 'PID-4712' } });
    const transform = transformOf(anonymise);
    const outs = [];
    for (const { manifest } of [first, second, stranger]) {
      const bytes = await bytesOf(transform, manifest[0] as ManifestInstance);
      expect(bytes.toString('latin1')).not.toMatch(/Muster|Erika|PID-471|ACC[12]|19700101/);
      outs.push(await tagsOf(bytes));
    }
    const [one, two, other] = outs;
    expect(one).toMatchObject({ PatientIdentityRemoved: 'YES', PatientID: expect.stringMatching(/^P-[0-9A-Z]{16}$/) });
    expect(two?.['PatientID']).toBe(one?.['PatientID']);
    expect(two?.['PatientName']).toBe(one?.['PatientID']);
    expect(other?.['PatientID']).not.toBe(one?.['PatientID']);
    expect(two?.['AccessionNumber']).not.toBe(one?.['AccessionNumber']);
    expect(String(one?.['AccessionNumber']).length).toBeLessThanOrEqual(16);
    expect(two?.['StudyInstanceUID']).not.toBe(one?.['StudyInstanceUID']);
  });

  it('gives the same bytes again', async () => {
    const { manifest } = await upload({ seed: 'again', modality: 'SR' });
    const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    const one = hash(await bytesOf(transformOf(anonymise), manifest[0] as ManifestInstance));
    const two = hash(await bytesOf(transformOf(anonymise), manifest[0] as ManifestInstance));
    expect(two).toBe(one);
  });

  it('references between instances stay valid', async () => {
    const target = '1.2.826.0.1.3680043.8.498.77';
    const { manifest } = await upload({ seed: 'refs', modality: 'CT', instancesPerSeries: 2 });
    const [one, two] = manifest;
    if (!one || !two) throw new Error('no instances');
    // An instance that refers to another one, created by the source's own engine.
    const { body } = await orthanc.instances.modify(one.sourceId, {
      Replace: {
        SourceImageSequence: [
          { ReferencedSOPClassUID: '1.2.840.10008.5.1.4.1.1.2', ReferencedSOPInstanceUID: two.sopInstanceUid },
          { ReferencedSOPClassUID: '1.2.840.10008.5.1.4.1.1.2', ReferencedSOPInstanceUID: target },
        ],
      },
      Keep: ['StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID', 'PatientID'],
      Force: true,
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    await server.upload(Buffer.concat(chunks));
    const transform = transformOf(anonymise);
    const out = await tagsOf(await bytesOf(transform, one));
    expect(out['SourceImageSequence']).toMatchObject([
      {
        ReferencedSOPClassUID: '1.2.840.10008.5.1.4.1.1.2',
        ReferencedSOPInstanceUID: transform.show(two).sopInstanceUid,
      },
      { ReferencedSOPInstanceUID: expect.stringMatching(/^2\.25\./) },
    ]);
    expect(JSON.stringify(out)).not.toContain(target);
  });

  it('keeps and sets attributes as configured', async () => {
    const { manifest } = await upload({ seed: 'keep', attributes: { StudyDescription: 'CT Thorax' } });
    const transform = transformOf({
      ...anonymise,
      anonymise: { keepPrivateTags: false, pseudonyms: true, profile: '2021b' },
      keep: ['StudyDescription', 'PatientSex'],
      set: { PatientName: 'Study 7', ClinicalTrialSubjectID: 'S-1' },
      uids: 'keep',
    });
    const [instance] = manifest;
    const out = await tagsOf(await bytesOf(transform, instance as ManifestInstance));
    expect(out).toMatchObject({
      StudyDescription: 'CT Thorax',
      PatientName: 'Study 7',
      ClinicalTrialSubjectID: 'S-1',
      SOPInstanceUID: instance?.sopInstanceUid,
      StudyInstanceUID: instance?.studyInstanceUid,
    });
    expect(out['PatientSex']).toBeTruthy();
  });

  it('names of files see nothing of the patient', async () => {
    const attributes = { PatientID: 'PID-4711', PatientName: 'Muster^Erika', StudyDescription: 'CT of Erika' };
    const { orthancStudyId, manifest } = await upload({ seed: 'show', attributes });
    const { tags } = await readStudy(orthanc, 'main', orthancStudyId);
    const transform = transformOf(anonymise);
    const shown = transform.showStudy(tags);
    expect(JSON.stringify([shown.study, ...shown.series])).not.toMatch(/Muster|Erika|PID-4711/);
    expect(shown.studyInstanceUid).toBe(transform.show(manifest[0] as ManifestInstance).studyInstanceUid);
    expect(shown.study['PatientID']).toMatch(/^P-/);
    expect([...shown.series.values()][0]).toMatchObject({ Modality: 'CT' });
    const byNumber = transformOf({ ...plain, set: { '0010,0020': 'NEW' }, remove: ['00100010'] }).showStudy(tags);
    expect(byNumber.study).toMatchObject({ PatientID: 'NEW' });
    expect(JSON.stringify(byNumber.study)).not.toContain('Muster');
  });

  it('leaves the patient anonymous without pseudonyms', async () => {
    const { manifest } = await upload({ seed: 'nobody', attributes: { PatientID: 'PID-9' } });
    const definition = { ...anonymise, anonymise: { keepPrivateTags: false, pseudonyms: false } };
    const bytes = await bytesOf(transformOf(definition), manifest[0] as ManifestInstance);
    expect(bytes.toString('latin1')).not.toContain('PID-9');
  });
});

describe('transcoding', () => {
  const lossless = '1.2.840.10008.1.2.4.70';
  it('changes the transfer syntax and nothing else', async () => {
    const { orthancStudyId, manifest } = await upload({ seed: 'transcode' });
    const transform = transformOf({ ...plain, transferSyntax: lossless });
    const [instance] = manifest as [ManifestInstance];
    const out = await tagsOf(await bytesOf(transform, instance));
    expect(out).toMatchObject({ TransferSyntaxUID: lossless, SOPInstanceUID: instance.sopInstanceUid });
    expect(transform.show(instance).transferSyntaxUid).toBe(lossless);
    // Losslessly there and back.
    const study = { source: 'main', orthancStudyId, studyInstanceUid: instance.studyInstanceUid };
    const again = (await readManifest(orthanc, study)).find((one) => one.sopInstanceUid === instance.sopInstanceUid);
    if (!again) throw new Error('the instance is gone');
    expect(again.transferSyntaxUid).toBe(lossless);
    const back = await bytesOf(transformOf({ ...plain, transferSyntax: '1.2.840.10008.1.2.1' }), again);
    // Pixel data are last.
    const [original] = makeStudy({ seed: 'transcode' });
    const pixels = Buffer.from(original?.bytes ?? []).subarray(-64 * 64 * 2);
    expect(back.subarray(-pixels.length).equals(pixels)).toBe(true);
  });

  it('leaves what is in it already', async () => {
    const { manifest } = await upload({ seed: 'already' });
    const bytes = await bytesOf(
      transformOf({ ...plain, transferSyntax: '1.2.840.10008.1.2.1' }),
      manifest[0] as ManifestInstance,
    );
    expect(hashDataset(bytes)).toBe(firstHash('already'));
  });

  it('cannot be combined with anonymisation, and reports this', async () => {
    const { manifest } = await upload({ seed: 'both' });
    await expect(
      transformOf(anonymise).open(manifest[0] as ManifestInstance, { transferSyntaxUid: lossless }),
    ).rejects.toMatchObject({ code: 'instance-unsupported' });
  });

  it('that the source cannot do concerns the instance, not the study', async () => {
    const { manifest } = await upload({ seed: 'cannot', modality: 'CT' });
    const transform = transformOf({ ...plain, transferSyntax: '1.2.840.10008.1.2.4.100' });
    await expect(transform.open(manifest[0] as ManifestInstance)).rejects.toMatchObject({
      code: 'instance-unsupported',
      fault: 'instance',
    });
  });
});

it('an instance that is gone is reported as such', async () => {
  const { manifest } = await upload({ seed: 'gone' });
  const [instance] = manifest as [ManifestInstance];
  await orthanc.instances.delete(instance.sourceId);
  await expect(transformOf(anonymise).open(instance)).rejects.toMatchObject({ code: 'source-instance-gone' });
});
