import type { TargetConfig } from '@dicom-dispatch/core';
import type { FindQuery, FoundStudy, Puller } from '@dicom-dispatch/target-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPullTargets, type PullTargets } from '../testing/pull-target.ts';
import { candidatesAtTarget } from './find-at-target.ts';

let targets: PullTargets;
beforeAll(async () => {
  targets = await openPullTargets();
});
afterAll(() => targets[Symbol.asyncDispose]());

const { signal } = new AbortController();
let read = 0;
const noTags: FoundStudy['tags'] = {};
const listing = (studies: Iterable<FoundStudy>, asked: unknown[] = []): Partial<Puller<TargetConfig>> => ({
  async *find(query: FindQuery, context) {
    asked.push(query, context.targetName, context.signal);
    for (const study of studies) {
      read += 1;
      yield study;
    }
  },
});
const find = (studies: Iterable<FoundStudy>, patientId = 'P', asked: unknown[] = []) =>
  candidatesAtTarget({ config: targets.with({ pacs: listing(studies, asked) }) }, 'pacs', patientId, signal);
const found = (
  studyInstanceUid: string,
  tags: FoundStudy['tags'] = {},
  modalities: readonly string[] = [],
): FoundStudy => ({
  studyInstanceUid,
  instanceCount: undefined,
  tags,
  series: modalities.map((modality, at) => ({
    seriesInstanceUid: `${studyInstanceUid}.${at}`,
    instanceCount: 1,
    tags: modality === '' ? noTags : { Modality: modality },
  })),
});

describe('a target', () => {
  it('is queried for exactly this Patient ID', async () => {
    const asked: unknown[] = [];
    expect(await find([], 'P 1', asked)).toEqual([]);
    expect(asked).toEqual([{ patientId: 'P 1' }, 'pacs', signal]);
  });

  it.each(['P*', '?1', 'P\\Q'])('is not queried for the Patient ID %s, which matches other patients', async (id) => {
    const asked: unknown[] = [];
    await expect(find([found('1')], id, asked)).rejects.toMatchObject({
      name: 'OperationError',
      code: 'invalid',
      message: 'the Patient ID has a wildcard character: pacs cannot be searched for it exactly',
    });
    expect(asked).toEqual([]);
  });

  it.each([
    ['files', 'invalid'],
    ['gone', 'not-found'],
  ])('%s cannot be queried', async (target, code) => {
    const search = candidatesAtTarget({ config: targets.with({}) }, target, 'P', signal);
    await expect(search).rejects.toMatchObject({ name: 'OperationError', code });
  });
});

describe('a study that a target lists', () => {
  it('has its tags, those of its series, and what is known of its patient', async () => {
    const tags = { PatientID: 'P', IssuerOfPatientID: 'A', StudyDate: '20240101', ModalitiesInStudy: 'SR\\CT\\\\CT' };
    expect(await find([found('1', tags, ['MR', ''])])).toEqual([
      {
        studyInstanceUid: '1',
        from: 'pacs',
        identity: { patientId: 'P', issuer: 'A', universalEntityId: undefined, universalEntityIdType: undefined },
        study: { ...tags, ModalitiesInStudy: ['CT', 'SR'] },
        series: [{ Modality: 'MR' }, {}],
      },
    ]);
  });

  it.each([
    ['of its series, if the target does not list them', undefined, ['PT', '', 'CT', 'PT'], ['CT', 'PT']],
    ['none, if the target lists none', '', ['CT'], []],
  ])('has the modalities %s', async (_which, listed, series, expected) => {
    const tags: FoundStudy['tags'] = listed === undefined ? {} : { ModalitiesInStudy: listed };
    expect((await find([found('1', tags, series)]))[0]?.study).toEqual({ ModalitiesInStudy: expected });
  });
});

describe('of many studies', () => {
  it('the newest 50 are candidates; those without a date come last', async () => {
    const dated = Array.from({ length: 49 }, (_, at) => found(`1.${at}`, { StudyDate: `202401${10 + (at % 20)}` }));
    const none = [found('2.1'), found('2.2')];
    const newest = found('3', { StudyDate: '20250101' });
    const candidates = await find([...none, ...dated, newest]);
    expect(candidates).toHaveLength(50);
    const dates = candidates.map(({ study }) => String(study['StudyDate']));
    expect(dates).toEqual(dates.toSorted().toReversed());
    expect(candidates[0]?.studyInstanceUid).toBe('3');
    expect(candidates.some(({ study }) => study['StudyDate'] === undefined)).toBe(false);
    expect((await find([...none, newest])).map(({ studyInstanceUid }) => studyInstanceUid)).toEqual([
      '3',
      '2.1',
      '2.2',
    ]);
  });

  it('the first 500 are read: the target may list without an end', async () => {
    function* endless(): Generator<FoundStudy> {
      for (let at = 0; ; at += 1) yield found(`1.${at}`, { StudyDate: String(20_000_000 + at) });
    }
    read = 0;
    const candidates = await find(endless());
    expect(read).toBe(500);
    expect(candidates.map(({ study }) => study['StudyDate'])).toEqual(
      Array.from({ length: 50 }, (_, at) => String(20_000_499 - at)),
    );
  });
});
