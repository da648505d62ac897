import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { configValue, editConfig } from './edit-config.ts';

const file = `# Configuration of the hospital
sources:
  main:   { url: http://127.0.0.1:8042 }   # on this machine

# --- where studies go ---
targets:
    # the PACS; ask Anna before you change it
    pacs:
        type: dicom
        host:   pacs.example      # CNAME
        port: 104
        calledAeTitle: 'PACS'
        backoff: &slow
            first: 10s
            max: 1h
    archive:
        type: folder
        path: "/srv/archive"
        backoff: *slow            # the same
    # old:
    #     type: dummy

rules:
    # everything
    - name: all
      targets: [ pacs,archive ]

    - name: ct     # only CT
      when: >-
        'CT' in
        study.ModalitiesInStudy
      targets:
      - archive
`;

/** Lines that are in one text and not in the other. */
function changed(before: string, after: string): { gone: string[]; come: string[] } {
  const [a, b] = [before.split('\n'), after.split('\n')];
  return { gone: a.filter((line) => !b.includes(line)), come: b.filter((line) => !a.includes(line)) };
}

describe('an edit of a configuration file', () => {
  it('changes the lines that it concerns and no others', () => {
    const after = editConfig(file, [{ kind: 'set', path: ['targets', 'pacs', 'port'], value: 11_112 }]);
    expect(changed(file, after)).toEqual({ gone: ['        port: 104'], come: ['        port: 11112'] });
    const host = editConfig(file, [{ kind: 'set', path: ['targets', 'pacs', 'host'], value: 'new.example' }]);
    expect(changed(file, host).come).toEqual([expect.stringMatching(/host: new\.example +# CNAME/)]);
  });

  it('of a whole target preserves equal parts, with their comments', () => {
    const pacs = { ...(configValue(file) as { targets: { pacs: object } }).targets.pacs, port: 105, attempts: 3 };
    const after = editConfig(file, [{ kind: 'set', path: ['targets', 'pacs'], value: pacs }]);
    expect(changed(file, after)).toEqual({
      gone: ['        port: 104'],
      come: ['        port: 105', '        attempts: 3'],
    });
  });

  it('adds, removes and renames, and preserves the order', () => {
    const added = editConfig(file, [
      { kind: 'set', path: ['targets', 'web'], value: { type: 'dicomweb', url: 'https://x' } },
    ]);
    expect(Object.keys((configValue(added) as { targets: object }).targets)).toEqual(['pacs', 'archive', 'web']);
    expect(changed(file, added).gone).toEqual([]);
    const removed = editConfig(added, [{ kind: 'remove', path: ['targets', 'web'] }]);
    expect(configValue(removed)).toEqual(configValue(file));
    const renamed = editConfig(file, [{ kind: 'rename', path: ['targets', 'pacs'], name: 'main-pacs' }]);
    expect(Object.keys((configValue(renamed) as { targets: object }).targets)).toEqual(['main-pacs', 'archive']);
    expect(renamed).toContain('# the PACS; ask Anna before you change it\n    main-pacs:');
  });

  it('of a list keeps each element with its comment', () => {
    const list = 'x:\n  - a # one\n  - b # two\n  - c # three\n';
    const after = (value: readonly string[]): string => editConfig(list, [{ kind: 'set', path: ['x'], value }]);
    expect(after(['b', 'c'])).toBe('x:\n  - b # two\n  - c # three\n');
    expect(after(['a', 'd', 'c'])).toBe('x:\n  - a # one\n  - d # two\n  - c # three\n');
    expect(after(['c', 'a', 'e'])).toBe('x:\n  - c # three\n  - a # one\n  - e\n');
  });

  it('moves an element before the anchor that it refers to', () => {
    const list = 'rules:\n  - n: 1\n    t: &list [a] # anchor\n  - n: 2\n    t: *list # alias\n';
    const after = editConfig(list, [{ kind: 'move', path: ['rules', 1], to: 0 }]);
    expect(configValue(after)).toEqual({
      rules: [
        { n: 2, t: ['a'] },
        { n: 1, t: ['a'] },
      ],
    });
    expect(after).toMatch(/# alias[^]*# anchor/);
  });

  it('keeps the comment of an alias that becomes a map, and a byte order mark', () => {
    const after = editConfig('\uFEFFa: &a { x: 1 }\nb: *a # as a\n', [{ kind: 'set', path: ['b', 'x'], value: 2 }]);
    expect([after.startsWith('\uFEFF'), after.includes('# as a'), configValue(after)]).toEqual([
      true,
      true,
      { a: { x: 1 }, b: { x: 2 } },
    ]);
  });

  it('removes a rule with its comment, and no other', () => {
    const after = editConfig(file, [{ kind: 'remove', path: ['rules', 0] }]);
    expect(after).not.toContain('name: all');
    expect(after).toContain('- name: ct     # only CT');
    expect(after).toContain("      when: >-\n        'CT' in\n        study.ModalitiesInStudy\n");
  });

  it('moves a rule with its comments, and changes no line', () => {
    const sorted = (text: string): string[] => text.split('\n').filter(Boolean).sort();
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const after = editConfig(file, [{ kind: 'move', path: ['rules', from], to }]);
      expect((configValue(after) as { rules: { name: string }[] }).rules.map(({ name }) => name)).toEqual([
        'ct',
        'all',
      ]);
      expect(sorted(after)).toEqual(sorted(file));
      expect(after).toMatch(/ {4}# everything\n {4}- name: all\n/);
      expect(after).toContain('- name: ct     # only CT');
      expect(editConfig(after, [{ kind: 'move', path: ['rules', 0], to: 1 }])).toContain(
        '# everything\n    - name: all',
      );
    }
    const listed = editConfig(file, [{ kind: 'move', path: ['rules', 0, 'targets', 1], to: 0 }]);
    expect(configValue(listed)).toMatchObject({ rules: [{ targets: ['archive', 'pacs'] }, {}] });
    expect(() => editConfig(file, [{ kind: 'move', path: ['targets', 'pacs'], to: 1 }])).toThrow('no list');
  });

  it('of what is anchored changes nothing elsewhere', () => {
    const after = editConfig(file, [{ kind: 'set', path: ['targets', 'pacs', 'backoff', 'max'], value: '2h' }]);
    expect(configValue(after)).toMatchObject({
      targets: { pacs: { backoff: { max: '2h' } }, archive: { backoff: { first: '10s', max: '1h' } } },
    });
    const gone = editConfig(file, [{ kind: 'remove', path: ['targets', 'pacs'] }]);
    expect(configValue(gone)).toMatchObject({ targets: { archive: { backoff: { first: '10s', max: '1h' } } } });
    const alias = editConfig(file, [{ kind: 'set', path: ['targets', 'archive', 'backoff', 'first'], value: '1s' }]);
    expect(configValue(alias)).toMatchObject({
      targets: { pacs: { backoff: { first: '10s' } }, archive: { backoff: { first: '1s', max: '1h' } } },
    });
    const untouched = editConfig(file, [{ kind: 'set', path: ['targets', 'archive', 'path'], value: '/srv/new' }]);
    expect(untouched).toContain('backoff: &slow');
    expect(untouched).toContain('backoff: *slow            # the same');
  });

  it('makes sections that are missing or empty, also in an empty file', () => {
    expect(configValue(editConfig('', [{ kind: 'set', path: ['targets', 'a'], value: { type: 'dummy' } }]))).toEqual({
      targets: { a: { type: 'dummy' } },
    });
    const empty = 'targets:\n  # none yet\nrules: []\n';
    const after = editConfig(empty, [{ kind: 'set', path: ['targets', 'a', 'type'], value: 'dummy' }]);
    expect(configValue(after)).toEqual({ targets: { a: { type: 'dummy' } }, rules: [] });
    expect(after).toContain('# none yet');
  });

  describe('with merge keys', () => {
    const merging = `x-common: &common # for all
  attempts: 3
  backoff: { first: 1s, max: 1h }
targets:
  a:
    <<: *common # as the others
    type: dummy
  b: { <<: *common, type: dummy, attempts: 4 }
`;
    const targets = (text: string): Record<string, object> =>
      (configValue(text) as { targets: Record<string, object> }).targets;
    const { a = {} } = targets(merging);

    it('preserves them while their content is unchanged', () => {
      expect(a).toEqual({ type: 'dummy', attempts: 3, backoff: { first: '1s', max: '1h' } });
      const one = editConfig(merging, [{ kind: 'set', path: ['targets', 'a', 'enabled'], value: false }]);
      const whole = editConfig(merging, [{ kind: 'set', path: ['targets', 'a'], value: { ...a, enabled: false } }]);
      expect(changed(merging, one)).toEqual({ gone: [], come: ['    enabled: false'] });
      expect(whole).toBe(one);
      expect(editConfig(merging, [{ kind: 'set', path: ['targets', 'a'], value: a }])).toBe(merging);
    });

    it('sets an option in addition to them', () => {
      const after = editConfig(merging, [{ kind: 'set', path: ['targets', 'a'], value: { ...a, attempts: 9 } }]);
      expect(changed(merging, after)).toEqual({ gone: [], come: ['    attempts: 9'] });
    });

    it('expands them if an edit removes a part of their content', () => {
      const { attempts: _, ...fewer } = a as { attempts: number };
      for (const after of [
        editConfig(merging, [{ kind: 'remove', path: ['targets', 'a', 'attempts'] }]),
        editConfig(merging, [{ kind: 'set', path: ['targets', 'a'], value: fewer }]),
      ]) {
        expect(targets(after)).toEqual({ ...targets(merging), a: fewer });
        expect(after).toContain('b: { <<: *common, type: dummy, attempts: 4 }');
      }
      const part = editConfig(merging, [{ kind: 'set', path: ['targets', 'a', 'backoff', 'max'], value: '2h' }]);
      expect(targets(part)).toEqual({ ...targets(merging), a: { ...a, backoff: { first: '1s', max: '2h' } } });
    });

    it('changes nothing elsewhere when the anchor is edited', () => {
      const after = editConfig(merging, [{ kind: 'set', path: ['x-common', 'attempts'], value: 7 }]);
      expect(targets(after)).toEqual(targets(merging));
      expect(configValue(after)).toMatchObject({ 'x-common': { attempts: 7 } });
    });
  });

  it('preserves Windows line ends', () => {
    const after = editConfig('a: 1\r\nb: 2 # two\r\n', [{ kind: 'set', path: ['a'], value: 3 }]);
    expect(after).toBe('a: 3\r\nb: 2 # two\r\n');
  });

  it('rejects invalid YAML', () => {
    expect(() => editConfig('a: [', [{ kind: 'set', path: ['a'], value: 1 }])).toThrow();
  });
});

const key = fc.stringMatching(/^[a-z][a-z0-9-]{0,7}$/);
const leaf = fc.oneof(
  fc.stringMatching(/^[ -~äöü]{0,20}$/),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom('1', 'true', 'null', '${NAME}', '30s', '# no comment', 'a: b', '- x', '{x}', "it's", 'two\nlines\n'),
);
const value = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(key, tie('any'), { maxKeys: 3 }).map((one) => ({ ...one })),
  ),
})).any;
const root = fc.dictionary(key, value, { minKeys: 1, maxKeys: 5 }).map((one) => ({ ...one }));

it('gives the requested value after an edit, for any file and notation', () => {
  fc.assert(
    fc.property(
      root,
      value,
      fc.constantFrom(2, 3, 4),
      fc.boolean(),
      fc.nat(),
      (before, fresh, indent, indentSeq, at) => {
        const commented = stringify(before, { indent, indentSeq })
          .split('\n')
          .map((line) => (/^[a-z]/.test(line) ? `# about ${line.replaceAll(/[^a-z]/g, '')}\n${line}` : line))
          .join('\n');
        const names = Object.keys(before);
        const name = names[at % names.length] ?? '';
        const set = editConfig(commented, [{ kind: 'set', path: [name], value: fresh }]);
        expect(parse(set)).toEqual({ ...before, [name]: fresh });
        expect(Object.keys(parse(set) as object)).toEqual(names);
        for (const comment of commented.split('\n').filter((line) => line.startsWith('# about')))
          expect(set.split('\n')).toContain(comment);
        const removed = editConfig(commented, [{ kind: 'remove', path: [name] }]);
        const { [name]: _, ...rest } = before;
        expect(parse(removed) ?? {}).toEqual(rest);
      },
    ),
    { numRuns: 500 },
  );
});
