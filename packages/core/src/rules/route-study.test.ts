import { describe, expect, it } from 'vitest';
import { ruleConfig } from '../config/rule-config.ts';
import { compileRules, explainRules, routeStudy, type RuleFacts } from '../index.ts';

const facts: RuleFacts = {
  source: 'main',
  study: { ModalitiesInStudy: ['CT', 'SR'], NumberOfStudyRelatedInstances: '120' },
  series: [{ Modality: 'CT' }, { Modality: 'SR' }],
  origin: {},
};
const ct = '"CT" in study.ModalitiesInStudy';
const mr = '"MR" in study.ModalitiesInStudy';

function rules(...raw: object[]): ReturnType<typeof compileRules> {
  return compileRules(
    raw.map((one) => ruleConfig.parse(one)),
    {
      groups: {
        both: { strategy: 'all', targets: ['a', 'b'] },
        either: { strategy: 'first-available', targets: ['a', 'b'] },
      },
    },
  );
}

function route(...raw: object[]): string[] {
  return routeStudy(rules(...raw), facts).deliveries.map((one) => `${one.to}: ${one.rules.join()}`);
}

describe('rules', () => {
  it('all that match apply, and no target gets a study twice', () => {
    const routing = routeStudy(
      rules(
        { name: 'ct', when: ct, targets: ['pacs', 'ai'] },
        { name: 'elsewhere', sources: ['other'], targets: ['x'], priority: 'stat' },
        { name: 'off', enabled: false, targets: ['y'], priority: 'stat' },
        { name: 'all', targets: ['pacs'], priority: 'urgent' },
      ),
      facts,
    );
    expect(routing).toMatchObject({ rules: ['ct', 'all'], targets: ['pacs', 'ai'], priority: 'urgent' });
    expect(routing.deliveries).toMatchObject([
      { to: 'pacs', rules: ['ct', 'all'], priority: 'urgent' },
      { to: 'ai', rules: ['ct'], priority: 'normal' },
    ]);
  });

  it('stop ends the list, where it matches', () => {
    const rest = { name: 'rest', targets: ['b'] };
    expect(route({ name: 'one', when: ct, targets: ['a'], stop: true }, rest)).toEqual(['a: one']);
    expect(route({ name: 'one', when: mr, targets: ['a'], stop: true }, rest)).toEqual(['b: rest']);
  });

  it('a fallback applies if nothing else matches, at any position', () => {
    const fallback = { name: 'else', fallback: true, targets: ['b'] };
    expect(route(fallback, { name: 'one', when: ct, targets: ['a'] })).toEqual(['a: one']);
    expect(route(fallback, { name: 'one', when: mr, targets: ['a'] })).toEqual(['b: else']);
  });

  it('a group that sends to all is its targets; any other chooses later', () => {
    expect(route({ name: 'one', targets: ['both'] })).toEqual(['a: one', 'b: one']);
    const [delivery] = routeStudy(rules({ name: 'one', targets: ['either'] }), facts).deliveries;
    expect(delivery).toMatchObject({ to: 'either', group: { strategy: 'first-available', members: ['a', 'b'] } });
  });

  it('waits for an incomplete study, and reports what is missing', () => {
    const waits = rules(
      { name: 'series', targets: ['a'], complete: { series: 3, timeout: '1m' } },
      { name: 'sr', targets: ['b'], complete: { when: 'series.exists(s, s.Modality == "SR")' } },
    );
    expect(routeStudy(waits, facts)).toMatchObject({
      rules: ['sr'],
      targets: ['b'],
      waiting: [{ rule: 'series', missing: ['3 series (2 are there)'], timeoutMs: 60_000 }],
    });
    expect(routeStudy(waits, facts, { hasWaited: () => true }).waiting).toEqual([]);
    expect(explainRules(waits, facts).map(({ outcome }) => outcome)).toEqual(['waits', 'applies']);
  });

  it('a waiting rule still stops, and no fallback replaces it', () => {
    const waits = { name: 'one', targets: ['a'], complete: { series: 3 }, stop: true };
    expect(route(waits, { name: 'two', targets: ['b'] }, { name: 'else', fallback: true, targets: ['c'] })).toEqual([]);
  });

  it('are explained one by one', () => {
    const explained = explainRules(
      rules(
        { name: 'no', when: mr, targets: ['a'] },
        { name: 'elsewhere', sources: ['other'], targets: ['a'] },
        { name: 'yes', when: ct, targets: ['a'], stop: true },
        { name: 'late', targets: ['a'] },
        { name: 'else', fallback: true, targets: ['a'] },
      ),
      facts,
    );
    expect(explained.map(({ rule, outcome }) => [rule, outcome])).toEqual([
      ['no', 'no-match'],
      ['elsewhere', 'no-match'],
      ['yes', 'applies'],
      ['late', 'stopped'],
      ['else', 'stopped'],
    ]);
    expect(explained[3]?.because).toBe('comes after yes, which stops');
  });

  it('explain what decided', () => {
    const explained = explainRules(
      rules(
        { name: 'elsewhere', sources: ['other'], targets: ['a'] },
        { name: 'waits', targets: ['a', 'b'], complete: { series: 3, instances: 200 } },
        { name: 'fallback', fallback: true, targets: ['a'] },
        { name: 'ct', when: ct, targets: ['both'], sources: ['main'], stop: true },
        { name: 'second-stop', targets: ['a'], stop: true },
        { name: 'late', targets: ['a'] },
      ),
      facts,
    );
    expect(explained).toMatchObject([
      { rule: 'elsewhere', matched: false, outcome: 'no-match', because: 'is not for source main', parts: [] },
      {
        rule: 'waits',
        targets: ['a', 'b'],
        matched: true,
        outcome: 'waits',
        because: 'matches every study; waits for 3 series (2 are there), 200 instances (120 are there)',
        parts: [],
      },
      { rule: 'fallback', matched: false, outcome: 'not-needed', because: 'is a fallback, and another rule matches' },
      { rule: 'ct', targets: ['both'], matched: true, outcome: 'applies', because: `\`${ct}\` is true` },
      { rule: 'second-stop', matched: false, outcome: 'stopped', because: 'comes after ct, which stops' },
      { rule: 'late', matched: false, outcome: 'stopped', because: 'comes after ct, which stops' },
    ]);
    // It has waited long enough.
    const waits = rules({ name: 'waits', targets: ['a'], complete: { series: 3 } });
    expect(explainRules(waits, facts, { hasWaited: (rule) => rule === 'waits' })[0]?.outcome).toBe('applies');
  });

  it('a fallback that stops ends the list of fallbacks', () => {
    const verdicts = explainRules(
      rules(
        { name: 'one', when: mr, targets: ['a'] },
        { name: 'first', fallback: true, stop: true, targets: ['a'] },
        { name: 'second', fallback: true, targets: ['b'] },
      ),
      facts,
    );
    expect(verdicts.map(({ outcome }) => outcome)).toEqual(['no-match', 'applies', 'stopped']);
  });

  it('unite their actions after success', () => {
    const onSuccess = { labels: ['sent'], metadata: { 1024: 'one' } };
    const united = routeStudy(
      rules(
        { name: 'one', targets: ['a'], onSuccess },
        { name: 'two', targets: ['a'], onSuccess: { labels: ['sent', 'ct'], metadata: { 1025: 'two' }, delete: true } },
        { name: 'none', targets: ['a'] },
        { name: 'other', when: mr, targets: ['a'], onSuccess: { labels: ['mr'] } },
        { name: 'last', targets: ['a'], onSuccess: { unprotect: true } },
      ),
      facts,
    ).onSuccess;
    expect(united).toEqual({
      labels: ['sent', 'ct'],
      metadata: { 1024: 'one', 1025: 'two' },
      unprotect: true,
      delete: true,
    });
    expect(routeStudy(rules({ name: 'one', targets: ['a'] }), facts).onSuccess).toBeUndefined();
  });

  it('waits for as long as its rule allows, each rule by itself', () => {
    const waits = rules(
      { name: 'one', targets: ['a'], complete: { series: 3 } },
      { name: 'two', targets: ['b'], complete: { series: 3, timeout: '0s' } },
    );
    const { rules: applying, waiting } = routeStudy(waits, facts, { hasWaited: (rule) => rule === 'one' });
    expect(applying).toEqual(['one']);
    expect(waiting).toEqual([{ rule: 'two', missing: ['3 series (2 are there)'], timeoutMs: 0 }]);
  });
});

describe('two rules to one target', () => {
  const night = { timeZone: 'UTC', windows: [{ from: '22:00', to: '06:00' }] };

  it('are one delivery that fulfils each of them', () => {
    const [one, ...others] = routeStudy(
      rules(
        { name: 'held', targets: ['a'], hold: true, late: 'never', instances: { only: 'series.Modality == "CT"' } },
        { name: 'night', targets: ['a'], schedule: night, late: 'all', instances: { exclude: ['SR/*'] } },
      ),
      facts,
    ).deliveries;
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      rules: ['held', 'night'],
      hold: false,
      late: 'all',
      selections: [{ only: 'series.Modality == "CT"' }, { exclude: ['SR/*'] }],
    });
    expect(one?.schedules).toBeUndefined();
  });

  it('the whole study is sent if one of them requires it', () => {
    const [one] = routeStudy(
      rules({ name: 'ct', targets: ['a'], instances: { exclude: ['SR/*'] } }, { name: 'all', targets: ['a'] }),
      facts,
    ).deliveries;
    expect(one?.selections).toBeUndefined();
  });

  it('are two deliveries when they want it in different shapes', () => {
    expect(route({ name: 'plain', targets: ['a'] }, { name: 'anon', targets: ['a'], transform: 'anon' })).toEqual([
      'a: plain',
      'a: anon',
    ]);
  });
});
