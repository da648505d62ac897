import { describe, expect, it } from 'vitest';
import { ruleConfig } from '../config/rule-config.ts';
import type { PriorTerms } from '../config/priors-config.ts';
import { choosePriors, type PriorCandidate, type StudyWithPriors } from './choose-priors.ts';
import { compileRules } from './compile-rules.ts';
import { routeStudy } from './route-study.ts';

const identity = { patientId: 'P', issuer: '', universalEntityId: '', universalEntityIdType: '' };
const study: StudyWithPriors = {
  studyInstanceUid: '1.1',
  identity,
  facts: {
    source: 'main',
    study: { StudyDate: '20250301', StudyTime: '101500', ModalitiesInStudy: ['CT'], StudyDescription: 'Chest' },
    series: [{ Modality: 'CT', BodyPartExamined: 'CHEST' }],
  },
  now: new Date('2025-03-01T12:00:00Z'),
};
const terms: PriorTerms = { rule: 'r', count: 2, from: 'source', first: false, wait: 120_000 };

function prior(
  uid: string,
  date: string,
  more: Partial<PriorCandidate> & { readonly tags?: object } = {},
): PriorCandidate {
  const { tags, ...rest } = more;
  return {
    studyInstanceUid: uid,
    from: 'source',
    identity,
    study: { StudyDate: date, ModalitiesInStudy: ['CT'], ...tags },
    series: [],
    ...rest,
  };
}

function choose(candidates: readonly PriorCandidate[], ...all: readonly Partial<PriorTerms>[]) {
  const { chosen, left } = choosePriors(
    study,
    candidates,
    all.map((one) => ({ ...terms, ...one })),
  );
  return {
    chosen: chosen.map(({ candidate }) => candidate.studyInstanceUid),
    left: Object.fromEntries(left.map(({ candidate, why }) => [candidate.studyInstanceUid, why])),
  };
}

describe('which earlier studies go along', () => {
  it('are the newest, and earlier than the study in any case', () => {
    const { chosen, left } = choose(
      [
        prior('oldest', '20200101'),
        prior('dotted', '2024.01.01'),
        prior('newest', '20250301', { tags: { StudyTime: '101459' } }),
        prior('same time', '20250301', { tags: { StudyTime: '101500' } }),
        prior('no time', '20250301'),
        prior('later', '20250302'),
        prior('no date', ''),
        prior('1.1', '20240101'),
      ],
      {},
    );
    expect(chosen).toEqual(['newest', 'dotted']);
    expect(left).toMatchObject({
      oldest: 'there are 2 newer ones that match',
      'same time': 'it is of the same day, and not earlier',
      'no time': 'it is of the same day, and one of the two has no Study Time',
      later: 'it is later than the study',
      'no date': 'it has no Study Date, so its order is unknown',
      '1.1': 'it is the study itself',
    });
  });

  it('are of the same patient, by Patient ID, issuer and its qualifiers', () => {
    const { chosen, left } = choose(
      [
        prior('issuer', '20240101', { identity: { ...identity, issuer: 'A' } }),
        prior('qualifier', '20240102', { identity: { ...identity, universalEntityId: '1.2.3' } }),
        prior('other', '20240103', { identity: { ...identity, patientId: 'Q' } }),
        // A response that does not name the issuer.
        prior('unsaid', '20240104', {
          identity: {
            patientId: 'P ',
            issuer: undefined,
            universalEntityId: undefined,
            universalEntityIdType: undefined,
          },
        }),
      ],
      {},
    );
    expect(chosen).toEqual(['unsaid']);
    expect(left['issuer']).toBe('the issuer of its Patient ID is another one than that of the study');
    expect(left['qualifier']).toContain('universal entity ID');
    expect(left['other']).toBe('the Patient ID is another one than that of the study');
  });

  it('meet the condition, or report without values why they do not', () => {
    const when = 'prior.ModalitiesInStudy.exists(m, m in study.ModalitiesInStudy) && prior.StudyDescription != "Dose"';
    const { chosen, left } = choose(
      [
        prior('ct', '20240101', { tags: { StudyDescription: 'Head' } }),
        prior('mr', '20240102', { tags: { ModalitiesInStudy: ['MR'], StudyDescription: 'Head' } }),
        prior('dose', '20240103', { tags: { StudyDescription: 'Dose' } }),
        prior('bare', '20240104'),
      ],
      { when },
    );
    expect(chosen).toEqual(['ct']);
    expect(left['mr']).toBe('`prior.ModalitiesInStudy.exists(m, m in study.ModalitiesInStudy)` is false');
    expect(left['dose']).toBe('`prior.StudyDescription != "Dose"` is false');
    expect(left['bare']).toContain('StudyDescription is missing');
    const byPart = 'priorSeries.exists(s, series.exists(t, t.BodyPartExamined == s.BodyPartExamined))';
    expect(
      choose([prior('chest', '20240101', { series: [{ BodyPartExamined: 'CHEST' }] }), prior('none', '20240102')], {
        when: byPart,
      }).chosen,
    ).toEqual(['chest']);
  });

  it('of several rules are united, each by its own terms', () => {
    const { chosen, left } = choose(
      [
        prior('a', '20240103'),
        prior('b', '20240102'),
        prior('c', '20240101', { tags: { ModalitiesInStudy: ['MR'] } }),
        prior('away', '20240104', { from: 'archive' }),
      ],
      { rule: 'one', count: 1 },
      { rule: 'two', count: 1, when: '"MR" in prior.ModalitiesInStudy' },
    );
    expect(chosen).toEqual(['a', 'c']);
    expect(left['b']).toBe(
      'rule one: there are 1 newer ones that match; rule two: `"MR" in prior.ModalitiesInStudy` is false',
    );
    expect(left['away']).toContain('not requested from archive');
    for (const from of ['archive', 'second']) {
      const away = prior('away', '20240104', { from: 'archive', alsoFrom: ['second'] });
      expect(choose([away], { from }).chosen).toEqual(['away']);
    }
  });
});

it('deliveries to one target carry the priors of all rules that ask for them there', () => {
  const rule = (raw: object) => ruleConfig.parse({ targets: ['pacs'], ...raw });
  const compiled = compileRules([
    rule({ name: 'one', targets: ['pacs', 'files'], priors: { targets: ['pacs'], maxAge: '5y' } }),
    rule({ name: 'two', priors: { count: 1, first: true, wait: '30s', from: 'archive' } }),
    rule({ name: 'three' }),
  ]);
  const { deliveries } = routeStudy(compiled, { ...study.facts, origin: {} });
  expect(deliveries.map(({ to, priors }) => [to, priors])).toEqual([
    [
      'pacs',
      [
        { rule: 'one', count: 2, maxAge: 157_788_000_000, from: 'source', first: false, wait: 120_000 },
        { rule: 'two', count: 1, from: 'archive', first: true, wait: 30_000 },
      ],
    ],
    ['files', undefined],
  ]);
});
