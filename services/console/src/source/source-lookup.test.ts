import { startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { demoStudies } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testConfig } from '../testing/start-test-console.ts';
import { SourceLookup } from './source-lookup.ts';

const studies = demoStudies({ slices: 2, size: 200 });
let server: OrthancServer;
let lookup: SourceLookup;

beforeAll(async () => {
  server = await startOrthanc();
  for (const study of studies) for (const instance of study) await server.upload(instance.bytes);
  const config = testConfig({ sourceUrl: server.url });
  lookup = new SourceLookup(() => config);
});
afterAll(async () => {
  await lookup.reset();
  await server.stop();
});

describe('queries of the console to a source', () => {
  it('finds studies by accession number, part of a name, patient, description and UID', async () => {
    const { found } = await lookup.search('*');
    expect(found.length).toBe(studies.length);
    for (const one of found) {
      const { accessionNumber = '', patientName = '', patientId = '' } = one.label ?? {};
      for (const text of [accessionNumber, patientName, patientName.slice(0, 2), patientId, one.studyInstanceUid]) {
        const again = await lookup.search(text);
        expect(again.found.map(({ orthancStudyId }) => orthancStudyId)).toContain(one.orthancStudyId);
        expect(again.silent).toEqual([]);
      }
    }
  });

  it('finds a name by its words in any order and in each of its writings, and a study by its id in Orthanc', async () => {
    const found = async (text: string) => (await lookup.search(text)).found;
    const [study] = await found('sato');
    expect(study?.label?.patientName).toBe('Sato, Hanako · 佐藤 花子 · さとう はなこ');
    for (const text of [
      'Hanako Sato',
      'hanako, sat',
      '花子',
      '佐藤 花子',
      'はなこ さとう',
      // Without a space, as these names are often written.
      '佐藤花子',
      'さとうはなこ',
      study!.label!.patientName,
    ]) {
      expect(
        (await found(text)).map(({ orthancStudyId }) => orthancStudyId),
        text,
      ).toEqual([study!.orthancStudyId]);
    }
    expect(await found('Hanako Suzuki')).toEqual([]);
    const blind = new SourceLookup(() => testConfig({ sourceUrl: server.url, console: { patientData: false } }));
    for (const one of [lookup, blind]) {
      const byId = (await one.search(study!.orthancStudyId)).found;
      expect(byId.map(({ studyInstanceUid }) => studyInstanceUid)).toEqual([study!.studyInstanceUid]);
    }
    await blind.reset();
  });

  it('finds a name of many words with the given name first, and letters whose accents were entered separately', async () => {
    const Tags = {
      PatientName: 'Van der Berg^Anna Maria',
      AccessionNumber: 'Ä 47/11',
      SpecificCharacterSet: 'ISO_IR 100',
    };
    const { ParentStudy: id } = (await server.send('POST', '/tools/create-dicom', { Tags })) as { ParentStudy: string };
    for (const text of ['Anna Maria Van der Berg', 'Ä 47/11', 'A\u0308 47/11']) {
      const { found } = await lookup.search(text);
      expect(
        found.map(({ orthancStudyId }) => orthancStudyId),
        text,
      ).toEqual([id]);
    }
    await server.send('DELETE', `/studies/${id}`);
  });

  it('reads labels of many together, and omits deleted ones', async () => {
    const { found } = await lookup.search('*');
    const ids = found.map(({ orthancStudyId }) => orthancStudyId);
    const fresh = new SourceLookup(() => testConfig({ sourceUrl: server.url }));
    const labels = await fresh.labels('main', [...ids, '00000000-00000000-00000000-00000000-00000000']);
    expect([...labels.keys()].sort()).toEqual(ids.sort());
    await fresh.reset();
  });

  it('has a small image of a study, and none of a deleted one', async () => {
    const [study] = (await lookup.search('*')).found;
    const image = await lookup.thumbnail('main', study?.orthancStudyId ?? '');
    expect(image?.type).toBe('image/jpeg');
    expect(image?.bytes.length).toBeGreaterThan(500);
    expect(image?.bytes.length).toBeLessThan(200_000);
    expect(await lookup.thumbnail('main', 'nope')).toBeUndefined();
  });

  it('reports which source is unavailable', async () => {
    const away = new SourceLookup(() => testConfig({ sourceUrl: 'http://127.0.0.1:1' }));
    expect(await away.search('A1')).toEqual({ found: [], silent: ['main'], cut: [] });
    expect(await away.labels('main', ['x'])).toEqual(new Map());
    expect(await away.thumbnail('main', 'x')).toBeUndefined();
    await away.reset();
  });
});
