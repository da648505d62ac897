import { describe, expect, it } from 'vitest';
import { renameReferences } from './rename-references.ts';

it('renames a source in conditions with either kind of quotes, and leaves those of other sources alone', () => {
  const rules = ['source == "other"', 'source == "main" && "CT" in study.ModalitiesInStudy', "source != 'main'"];
  const raw = { rules: rules.map((when, index) => ({ name: `r${index}`, when })) };
  expect(renameReferences(raw, 'sources', 'main', 'hospital')).toEqual({
    changes: [
      { path: ['rules', 1, 'when'], value: "source == 'hospital' && 'CT' in study.ModalitiesInStudy" },
      { path: ['rules', 2, 'when'], value: "source != 'hospital'" },
    ],
    open: [],
  });
});

const raw = {
  sources: { main: {}, other: {} },
  targets: {
    pacs: { type: 'orthanc', source: 'main', transform: 'anon' },
    disk: { type: 'folder', source: 'other', transform: 'other' },
  },
  targetDefaults: { orthanc: { source: 'main', transform: 'anon' } },
  groups: { both: { targets: ['pacs', 'disk'] } },
  rules: [
    { name: 'one', sources: ['other', 'main'], targets: ['both', 'pacs'], transform: 'anon' },
    { name: 'two', targets: ['disk'], priors: { from: 'pacs', targets: ['both', 'pacs'] } },
  ],
  console: {
    tokens: { script: { targets: ['pacs'] } },
    notifications: { webhooks: { desk: { targets: ['disk', 'pacs'] } }, emails: { desk: { targets: ['pacs'] } } },
  },
};

describe('a new name is needed wherever the former one is used', () => {
  const paths = (kind: Parameters<typeof renameReferences>[1], was: string): string[] => {
    const { changes, open } = renameReferences(raw, kind, was, 'new');
    expect(open).toEqual([]);
    expect(changes.every(({ value }) => value === 'new')).toBe(true);
    return changes.map(({ path }) => path.join('.')).sort();
  };

  it('of a source', () => {
    expect(paths('sources', 'main')).toEqual([
      'rules.0.sources.1',
      'targetDefaults.orthanc.source',
      'targets.pacs.source',
    ]);
  });

  it('of a target', () => {
    expect(paths('targets', 'pacs')).toEqual([
      'console.notifications.emails.desk.targets.0',
      'console.notifications.webhooks.desk.targets.1',
      'console.tokens.script.targets.0',
      'groups.both.targets.0',
      'rules.0.targets.1',
      'rules.1.priors.from',
      'rules.1.priors.targets.1',
    ]);
  });

  it('of a group', () => {
    expect(paths('groups', 'both')).toEqual(['rules.0.targets.0', 'rules.1.priors.targets.0']);
  });

  it('of a transform', () => {
    expect(paths('transforms', 'anon')).toEqual([
      'rules.0.transform',
      'targetDefaults.orthanc.transform',
      'targets.pacs.transform',
    ]);
  });

  it('and nowhere in a configuration without it', () => {
    expect(paths('targets', 'nowhere')).toEqual([]);
    for (const empty of [undefined, null, 'text', { rules: 'text' }, { rules: [null] }])
      expect(renameReferences(empty, 'targets', 'pacs', 'new')).toEqual({ changes: [], open: [] });
  });
});

describe('"source" in priors is the source of the study, not a target of this name', () => {
  const from = (name: string): object => ({ rules: [{ name: 'one', priors: { from: name } }] });

  it('and stays, if a target with this name gets another', () => {
    expect(renameReferences(from('source'), 'targets', 'source', 'new')).toEqual({ changes: [], open: [] });
  });

  it('so a target that gets this name must first be changed there', () => {
    expect(renameReferences(from('pacs'), 'targets', 'pacs', 'source')).toEqual({
      changes: [],
      open: ['rules.one.priors.from: "source" means the source there'],
    });
  });
});

describe('a source in an expression', () => {
  const renamed = (when: string, name = 'hospital') => renameReferences({ rules: [{ when }] }, 'sources', 'main', name);

  it.each([
    'study.StudyDescription == "main"',
    'study.source == "main"',
    '"source" == study.StudyDescription',
    'source == "other"',
    'resource == "main"',
  ])('%s does not name it', (when) => {
    expect(renamed(when)).toEqual({ changes: [], open: [] });
  });

  it.each(['source.startsWith("ma")', 'source in ["main", "other"]', 'source == "main" ? true : false'])(
    '%s is for an operator to change',
    (when) => {
      expect(renamed(when)).toEqual({
        changes: [],
        open: [
          'rules.0.when: the expression compares the source in a way that is changed by hand only: name "hospital" there first',
        ],
      });
    },
  );

  it('that is already changed stays unchanged', () => {
    expect(renamed('source in ["main", "hospital"]')).toEqual({ changes: [], open: [] });
    expect(renamed("source in ['main', 'hospital']")).toEqual({ changes: [], open: [] });
    expect(renamed('source in ["main", "hospital2"]').open).toHaveLength(1);
  });

  it('is found in each condition of a rule', () => {
    const when = 'source == "main"';
    const raw = { rules: [{ name: 'r', complete: { when }, priors: { when } }] };
    expect(renameReferences(raw, 'sources', 'main', 'b').changes).toEqual([
      { path: ['rules', 0, 'complete', 'when'], value: "source == 'b'" },
      { path: ['rules', 0, 'priors', 'when'], value: "source == 'b'" },
    ]);
    expect(renameReferences(raw, 'targets', 'main', 'b').changes).toEqual([]);
  });
});
