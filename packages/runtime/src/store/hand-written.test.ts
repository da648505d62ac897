import { describe, expect, it } from 'vitest';
import { Lexer } from 'yaml';
import { configValue, editConfig, type ConfigEdit } from './edit-config.ts';
import { handWritten } from './testing/hand-written.ts';

type Plain = Record<string, unknown>;

/** The comments of a text, in their order. */
function commentsOf(text: string): string[] {
  return [...new Lexer().lex(text)].filter((token) => token.startsWith('#')).map((token) => token.trim());
}

/** Comments of one text that are not in another as often. */
function lost(before: string, after: string): string[] {
  const left = commentsOf(after);
  return commentsOf(before).filter((comment) => {
    const at = left.indexOf(comment);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/** The path of the first scalar below a value. */
function firstScalar(
  value: unknown,
  path: readonly (string | number)[] = [],
): readonly (string | number)[] | undefined {
  if (typeof value !== 'object' || value === null) return path;
  for (const [key, inner] of Object.entries(value)) {
    const found = firstScalar(inner, [...path, Array.isArray(value) ? Number(key) : key]);
    if (found) return found;
  }
  return undefined;
}

const valueOf = (text: string): Plain => configValue(text.replace(/^\uFEFF/, '')) as Plain;

/** Edits of each file, as far as they apply, and the resulting value. */
function editsOf(text: string): { readonly what: string; readonly edit: ConfigEdit; readonly value: Plain }[] {
  const value = valueOf(text);
  const targets = (value['targets'] ?? {}) as Plain;
  const rules = (value['rules'] ?? []) as unknown[];
  const [name = ''] = Object.keys(targets);
  const first = targets[name] as Plain;
  const scalar = firstScalar(first, ['targets', name]);
  const option = scalar?.length === 3 ? String(scalar[2]) : '';
  const moved = [...rules.slice(1, 2), rules[0], ...rules.slice(2)];
  return [
    {
      what: 'an option is set',
      edit: { kind: 'set' as const, path: scalar ?? [], value: 'changed' },
      value: { ...value, targets: { ...targets, [name]: { ...first, [option]: 'changed' } } },
    },
    {
      what: 'an option is added',
      edit: { kind: 'set' as const, path: ['targets', name, 'added'], value: 7 },
      value: { ...value, targets: { ...targets, [name]: { ...first, added: 7 } } },
    },
    {
      what: 'a target is added',
      edit: { kind: 'set' as const, path: ['targets', 'fresh'], value: { type: 'dummy', attempts: 3 } },
      value: { ...value, targets: { ...targets, fresh: { type: 'dummy', attempts: 3 } } },
    },
    {
      what: 'a target is renamed',
      edit: { kind: 'rename' as const, path: ['targets', name], name: 'renamed' },
      value: {
        ...value,
        targets: Object.fromEntries(Object.entries(targets).map(([key, one]) => [key === name ? 'renamed' : key, one])),
      },
    },
    ...(rules.length >= 2
      ? [
          {
            what: 'a rule is moved',
            edit: { kind: 'move' as const, path: ['rules', 0], to: 1 },
            value: { ...value, rules: moved },
          },
        ]
      : []),
  ];
}

describe('files as people write them', () => {
  it('are 50', () => expect(Object.keys(handWritten)).toHaveLength(50));

  it.each(Object.entries(handWritten))('%s: every comment survives every edit', (_, text) => {
    for (const { what, edit, value } of editsOf(text)) {
      const after = editConfig(text, [edit]);
      expect([what, valueOf(after)]).toEqual([what, value]);
      expect([what, lost(text, after)]).toEqual([what, []]);
      expect([what, after.startsWith('\uFEFF'), after.includes('\r\n')]).toEqual([
        what,
        text.startsWith('\uFEFF'),
        text.includes('\r\n'),
      ]);
    }
  });

  it.each(Object.entries(handWritten))('%s: an edit to what is there already changes no byte', (_, text) => {
    for (const [key, section] of Object.entries(valueOf(text)))
      expect(editConfig(text, [{ kind: 'set', path: [key], value: section }])).toBe(text);
  });
});
