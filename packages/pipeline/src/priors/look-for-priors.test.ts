import { DispatchError, type PriorTerms, type TargetConfig } from '@dicom-dispatch/core';
import { startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import type { Puller } from '@dicom-dispatch/target-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPullTargets, type PullTargets } from '../testing/pull-target.ts';
import { lookForPriors, type PriorsSearch, type StudyWithTerms } from './look-for-priors.ts';

let server: OrthancServer;
let orthanc: OrthancClient;
let targets: PullTargets;
const { signal } = new AbortController();

function study(patient: string, date: string) {
  const attributes = { PatientID: patient, StudyDate: date };
  return makeStudy({ seed: `look ${patient} ${date}`, instancesPerSeries: 1, rows: 16, columns: 16, attributes });
}
async function upload(of: ReturnType<typeof study>): Promise<string> {
  let id = '';
  for (const { bytes } of of) ({ ParentStudy: id } = await server.upload(bytes));
  return id;
}
const own = study('P', '20250101');
const earlier = study('P', '20240101');
const ids = { own: '', earlier: '', alone: '', wild: '', nobody: '' };

beforeAll(async () => {
  [server, targets] = await Promise.all([startOrthanc(), openPullTargets()]);
  orthanc = await openSource({ url: server.url } as never);
  ids.own = await upload(own);
  ids.earlier = await upload(earlier);
  ids.alone = await upload(study('Q', '20250101'));
  ids.wild = await upload(study('W*', '20250101'));
  ids.nobody = await upload(study('', '20250101'));
});
afterAll(async () => {
  await orthanc?.close();
  await targets?.[Symbol.asyncDispose]();
  await server?.stop();
});

type MadeTarget = Partial<Puller<TargetConfig>>;
/** A target that lists these studies of the patient: UID and Study Date. */
const listing = (...studies: readonly (readonly [uid: string, date: string])[]): MadeTarget => ({
  async *find({ patientId }) {
    for (const [studyInstanceUid, StudyDate] of studies) {
      const tags = { PatientID: patientId ?? '', StudyDate };
      yield { studyInstanceUid, instanceCount: 1, tags, series: [] };
    }
  },
});
const silent: MadeTarget = {
  // eslint-disable-next-line require-yield
  async *find() {
    throw new DispatchError('target-unreachable', 'pacs does not respond');
  },
};
const term = (from: string, more: Partial<PriorTerms> = {}): PriorTerms => ({
  rule: 'r',
  count: 5,
  from,
  first: false,
  wait: 1,
  ...more,
});

function look(
  made: Readonly<Record<string, MadeTarget>>,
  terms: readonly PriorTerms[],
  { search = {}, ...more }: Partial<StudyWithTerms> & { search?: Partial<PriorsSearch> } = {},
) {
  const now = new Date('2025-06-01');
  return lookForPriors(
    { config: targets.with(made), orthanc, signal, now, withoutSilent: false, ...search },
    { source: 'main', orthancStudyId: ids.own, terms, ...more },
  );
}

describe('the priors of a study', () => {
  it('are those of its source', async () => {
    expect(await look({}, [term('source')])).toEqual({
      identity: expect.objectContaining({ patientId: 'P' }),
      chosen: [
        {
          studyInstanceUid: earlier.studyInstanceUid,
          orthancStudyId: ids.earlier,
          from: 'source',
          why: 'rule r: number 1 of the 5 newest earlier studies',
        },
      ],
      left: [],
      notes: [],
    });
  });

  it('are also those of a target, but what the source has is not pulled', async () => {
    const pacs = listing(['1.1', '20230101'], [earlier.studyInstanceUid, '20240101'], ['1.2', '20260101']);
    const { chosen, left, notes } = await look({ pacs }, [term('pacs')]);
    expect(
      chosen.map(({ studyInstanceUid, from, orthancStudyId }) => [studyInstanceUid, from, orthancStudyId]),
    ).toEqual([
      [earlier.studyInstanceUid, 'source', ids.earlier],
      ['1.1', 'pacs', undefined],
    ]);
    expect(left).toEqual([{ studyInstanceUid: '1.2', from: 'pacs', why: 'it is later than the study' }]);
    expect(notes).toEqual([]);
  });

  it('that two targets have may be requested from either; each target is queried once', async () => {
    let queries = 0;
    const counting: MadeTarget = {
      find(...args) {
        queries += 1;
        return listing(['1.1', '20230101']).find!(...args);
      },
    };
    const others = {
      first: counting,
      second: listing(['1.1', '20230101'], ['1.3', '20220101']),
      third: listing(['1.1', '20230101']),
    };
    const terms = [
      term('first', { count: 1 }),
      term('first', { count: 1 }),
      term('second', { rule: 's' }),
      term('third'),
    ];
    const { chosen } = await look(others, terms);
    expect(queries).toBe(1);
    expect(chosen.slice(1).map(({ studyInstanceUid, from, why }) => [studyInstanceUid, from, why])).toEqual([
      ['1.1', 'first', 'rule s: number 2 of the 5 newest earlier studies'],
      ['1.3', 'second', 'rule s: number 3 of the 5 newest earlier studies'],
    ]);
    // Only the third target is named by a rule that has not enough.
    const only = await look(others, [term('first', { count: 1 }), term('third', { rule: 't' })]);
    expect(only.chosen[1]).toMatchObject({ studyInstanceUid: '1.1', why: expect.stringContaining('rule t') });
  });

  it('are not those that proved not to fit, unless the source has them by now', async () => {
    const why = 'it is of another patient';
    const unfit = [
      { studyInstanceUid: '1.1', from: 'pacs', why },
      { studyInstanceUid: earlier.studyInstanceUid, from: 'pacs', why },
    ];
    const pacs = listing(['1.1', '20230101'], ['1.3', '20220101']);
    const { chosen, left } = await look({ pacs }, [term('pacs')], { unfit });
    expect(chosen.map(({ studyInstanceUid }) => studyInstanceUid)).toEqual([earlier.studyInstanceUid, '1.3']);
    expect(left).toEqual([{ studyInstanceUid: '1.1', from: 'pacs', why }]);
  });
});

describe('a note', () => {
  it('names a study without a Patient ID, for which nothing is searched', async () => {
    const found = await look({ silent }, [term('silent')], { orthancStudyId: ids.nobody });
    expect(found).toMatchObject({ identity: { patientId: '' }, chosen: [], left: [] });
    expect(found.notes).toEqual(['the study has no Patient ID: earlier studies cannot be searched']);
  });

  it('names a patient without another study', async () => {
    const none = ['the patient has no other study there'];
    expect((await look({}, [term('source')], { orthancStudyId: ids.alone })).notes).toEqual(none);
    // One that proved not to fit is another study, and one that does not match as well.
    const unfit = [{ studyInstanceUid: '1.1', from: 'pacs', why: 'it is of another patient' }];
    expect((await look({}, [term('source')], { orthancStudyId: ids.alone, unfit })).notes).toEqual([]);
    const later = { pacs: listing(['1.4', '20260101']) };
    expect((await look(later, [term('pacs')], { orthancStudyId: ids.alone })).notes).toEqual([]);
  });

  it('names a target that cannot be searched, and the others are', async () => {
    const made = { pacs: listing(['1.1', '20230101']) };
    const { chosen, notes } = await look(made, [term('files'), term('gone'), term('pacs')]);
    expect(chosen.at(-1)).toMatchObject({ studyInstanceUid: '1.1' });
    expect(notes).toEqual([
      'files was not queried (a target of type folder cannot be searched: "files")',
      'gone was not queried (there is no target "gone")',
    ]);
    expect((await look(made, [term('pacs')], { orthancStudyId: ids.wild })).notes).toEqual([
      'pacs was not queried (the Patient ID has a wildcard character: pacs cannot be searched for it exactly)',
      'the patient has no other study there',
    ]);
  });
});

describe('a target that does not respond', () => {
  it('is an error: it is queried again later', async () => {
    await expect(look({ silent }, [term('silent')])).rejects.toMatchObject({ code: 'target-unreachable' });
  });

  it('is named if the study waits no longer', async () => {
    const { chosen, notes } = await look({ silent }, [term('silent')], { search: { withoutSilent: true } });
    expect(chosen).toHaveLength(1);
    expect(notes).toEqual(['silent was not queried (pacs does not respond)']);
  });

  it('is no reason if the search was cancelled', async () => {
    const controller = new AbortController();
    const pacs: MadeTarget = {
      // eslint-disable-next-line require-yield
      async *find() {
        controller.abort();
        throw new DispatchError('cancelled', 'cancelled');
      },
    };
    const search = { withoutSilent: true, signal: controller.signal };
    await expect(look({ pacs }, [term('pacs')], { search })).rejects.toMatchObject({ code: 'cancelled' });
  });
});
