import { optionFields, ruleConfig, schemaAt, Secret, type OptionField } from '@dicom-dispatch/core';
import { readForm, type FormValues } from '@dicom-dispatch/operations';
import { configValue, editConfig } from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { z } from 'zod';
import { formFields } from '../pages/configuration/form-field.ts';
import { aboutKind, entryKinds, kindFields, singleKinds } from './entry-kinds.ts';

/*
 * The form of a valid configuration, submitted unchanged, results in the same configuration: for every option of every
 * part that has a form, with values that the schema accepts.
 */

type Plain = Readonly<Record<string, unknown>>;
type Schema = z.core.$ZodType;

/** Values of all forms that an option may have; the schema decides which of them it accepts. */
// prettier-ignore
const offers: readonly unknown[] = [
  'x', 'a b', "it's", '"q"', 'a: b # c', '- x', '${NAME}', '# x', 'true', '007', '1e3', '~', 'ä€😀',
  'two\nlines', 'a\n\nb', '<b>&amp;"</b>', 'pacs.example', '/srv/in', 'https://h.example/p?q=1&r=2',
  '250ms', '90s', '2h', '7d', '64MB', '1GiB', '2020-02-29', 'now', '1.2.840.10008.1.2.1', 'PatientID', '(0010,0010)',
  'AE^1', 'a@b.example', '127.0.0.1:9', '10.0.0.0/8', '{StudyInstanceUID}/{SOPInstanceUID}.dcm', '22:00-06:00',
  `"CT" in study.ModalitiesInStudy &&\n  source == 'main'`, 'Modality == "CT"', 'background', 'auto', 'explicit-le',
  0, 1, 2, 7, 104, 8080, 65_535, 100_000, 0.5, true, false,
  ['a'], ['a', 'b'], ['PatientID', '0010,0020'], ['1.2.840.10008.1.2.1'], ['a, b', 'c\nd'], ['failed'],
  ['10.0.0.0/8', '::1/128'], ['a@b.example'], { a: 'x' }, { 'X-A': 'b: c', 'X-B': '${NAME}' }, { PatientID: 'A^B' },
  { type: 'basic', username: 'me', password: { sealed: 'v1.AAAA' } }, { type: 'bearer', token: { sealed: 'v1.AAAA' } },
  { 'X-A': { sealed: 'v1.AAAA' }, accept: 'b' }, [{ sealed: 'v1.AAAA' }, { sealed: 'v1.BBBB' }],
  { days: ['mon', 'tue'], from: '22:00', to: '06:00' }, { first: '10s', max: '1h' }, { knownHosts: '/etc/known' },
];

interface Part {
  readonly title: string;
  readonly path: readonly (string | number)[];
  readonly schema: Schema;
  readonly fields: readonly OptionField[];
  /** Options that are always present. */
  readonly least: Plain;
}

const least: Readonly<Record<string, Plain>> = {
  dicom: { host: 'h', calledAeTitle: 'A' },
  'dicom-tls': { host: 'h', calledAeTitle: 'A' },
  dicomweb: { url: 'https://h' },
  folder: { path: '/srv/a' },
  orthanc: { url: 'http://h' },
  rsync: { host: 'h', path: '/in', via: { type: 'daemon', module: 'm' } },
  s3: { bucket: 'bucket', region: 'eu-1' },
  azure: { account: 'account', container: 'container', accountKey: '${NAME}' },
  sftp: { host: 'h', username: 'u', path: '/in', hostKey: { knownHosts: '/etc/k' }, password: '${NAME}' },
  xnat: { url: 'https://h', project: 'p' },
  groups: { targets: ['a'] },
  sources: { url: 'http://h' },
  users: { password: '${NAME}' },
  tokens: { token: '${NAME}' },
  webhooks: { url: 'http://h' },
  emails: { to: ['a@b.example'] },
  pseudonyms: { secret: '${NAME}' },
  rules: { targets: ['a'] },
};

const parts: readonly Part[] = [
  ...Object.entries(targetSchemas).map(([type, schema]) => ({
    title: `target ${type}`,
    path: ['targets', 'x'],
    schema: schema as unknown as Schema,
    fields: optionFields(schema as never),
    least: { type, ...least[type] },
  })),
  ...entryKinds.map((kind) => ({
    title: kind,
    path: [...aboutKind(kind).path, 'x'],
    schema: schemaAt([...aboutKind(kind).path, 'x']),
    fields: kindFields(kind),
    least: least[kind] ?? {},
  })),
  ...singleKinds.map((kind) => ({
    title: kind,
    path: aboutKind(kind).path,
    schema: schemaAt(aboutKind(kind).path),
    fields: kindFields(kind),
    least: least[kind] ?? {},
  })),
  {
    title: 'rule',
    path: ['rules', 0],
    schema: ruleConfig,
    fields: optionFields(ruleConfig).filter(({ name }) => name !== 'name'),
    least: { name: 'r', targets: ['a'] },
  },
];

/** A configuration with a value at a path, and with the entries to which values refer. */
function around({ path }: Part, value: unknown): Plain {
  const base: Record<string, unknown> = {
    sources: { main: { url: 'http://127.0.0.1:1' } },
    targets: { a: { type: 'dummy' }, b: { type: 'dummy' } },
    rules: [{ name: 'all', targets: ['a'] }],
    pseudonyms: { secret: '${NAME}' },
  };
  let at: Record<string | number, unknown> = base;
  for (const key of path.slice(0, -1)) at = (at[key] ??= {}) as Record<string | number, unknown>;
  at[path.at(-1) ?? ''] = value;
  return base;
}

/**
 * A value as the loader passes it to the schema: secrets are `Secret` objects, and names in other texts are resolved.
 */
function placed(value: unknown, secrets: ReadonlySet<string>, path: readonly string[] = []): unknown {
  if (secrets.has(path.join('.'))) return new Secret('a secret of more than 20 characters');
  if (typeof value === 'string') return value.replaceAll('${NAME}', 'name');
  if (Array.isArray(value)) return value.map((one, index) => placed(one, secrets, [...path, String(index)]));
  if (typeof value !== 'object' || value === null) return value;
  if (isSealed(value)) return new Secret('a secret of more than 20 characters');
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, placed(one, secrets, [...path, key])]));
}

const isSealed = (value: unknown): boolean => Object.keys(value ?? {}).join() === 'sealed';

function secretPaths(fields: readonly OptionField[], path: readonly string[] = []): string[] {
  return fields.flatMap((field) => {
    const at = [...path, field.name];
    return field.kind === 'secret' ? [at.join('.')] : secretPaths(field.fields, at);
  });
}

function parsed({ schema, fields }: Part, value: unknown): z.core.util.SafeParseResult<unknown> {
  return z.core.safeParse(schema, placed(value, new Set(secretPaths(fields))));
}

const isValid = (part: Part, value: unknown): boolean => parsed(part, value).success;

/** Values of an option that the schema accepts, together with the required options. */
function valuesOf(part: Part, field: OptionField, path: readonly string[]): readonly unknown[] {
  const own: readonly unknown[] =
    field.kind === 'secret'
      ? ['${NAME}', { sealed: 'v1.AAAA' }]
      : [...field.choices, ...(field.defaultText === undefined ? [] : [field.defaultText]), ...offers];
  return own.filter((value) => isValid(part, setIn(part.least, [...path, field.name], value)));
}

function setIn(into: Plain, [key = '', ...rest]: readonly string[], value: unknown): Plain {
  const inner = into[key];
  const below = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? (inner as Plain) : {};
  return { ...into, [key]: rest.length === 0 ? value : setIn(below, rest, value) };
}

/** All options, including those of sections, each with its possible values. */
function choicesOf(part: Part, fields: readonly OptionField[], path: readonly string[]): fc.Arbitrary<Edit>[] {
  return fields.flatMap((field) => {
    if (field.kind === 'section') return choicesOf(part, field.fields, [...path, field.name]);
    const values = valuesOf(part, field, path);
    return values.length === 0
      ? []
      : [fc.constantFrom(...values).map((value): Edit => ({ path: [...path, field.name], value }))];
  });
}

interface Edit {
  readonly path: readonly string[];
  readonly value: unknown;
}

/** A part with some of its options, valid as a whole. */
function partsLike(part: Part): fc.Arbitrary<Plain> {
  const choices = choicesOf(part, part.fields, []);
  if (choices.length === 0) return fc.constant(part.least);
  return fc.array(fc.oneof(...choices), { maxLength: 12 }).map((edits) => {
    // Incompatible options are omitted.
    let made = part.least;
    for (const { path, value } of edits) {
      const next = setIn(made, path, value);
      if (isValid(part, next)) made = next;
    }
    return made;
  });
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
const unescape = (text: string): string =>
  text.replaceAll(/&(amp|lt|gt|quot|#39);/g, (_, name) => entities[name] ?? '');

/** A form as a browser submits it: the values of its controls. An input has no line ends; a text area loses a leading one. */
function sent(markup: string): FormValues {
  const values: Record<string, string> = {};
  for (const [, name = '', attributes = ''] of markup.matchAll(
    /<input\s+(?:type="password"\s+)?name="([^"]*)"([^>]*)>/g,
  ))
    values[unescape(name)] = unescape(/\bvalue="([^"]*)"/.exec(attributes)?.[1] ?? '').replaceAll(/[\r\n]/g, '');
  for (const [, name = '', text = ''] of markup.matchAll(/<textarea\s+name="([^"]*)"[^>]*>\n?([^]*?)<\/textarea>/g))
    values[unescape(name)] = unescape(text);
  for (const [, name = '', options = ''] of markup.matchAll(/<select\s+name="([^"]*)"[^>]*>([^]*?)<\/select>/g)) {
    const chosen = /<option value="([^"]*)"\s+selected>/.exec(options) ?? /<option value="([^"]*)"/.exec(options);
    values[unescape(name)] = unescape(chosen?.[1] ?? '');
  }
  return values;
}

const formOf = (part: Part, value: Plain): FormValues =>
  sent(
    formFields(part.fields, value)
      .map(({ text }) => text)
      .join('\n'),
  );
const seal = async (): Promise<string> => 'v1.new';

describe('a valid configuration', () => {
  const all = parts.map((part) => ({ part, values: partsLike(part) }));

  it('of the least that is needed is valid for every part', () => {
    for (const { part } of all)
      expect([part.title, parsed(part, part.least)]).toMatchObject([part.title, { success: true }]);
  });

  it('is the same after form, YAML and schema, 500 random ones', async () => {
    const random = fc.oneof(...all.map(({ part, values }) => values.map((value) => ({ title: part.title, value }))));
    await fc.assert(
      fc.asyncProperty(random, async ({ title, value }) => {
        const part = parts.find((one) => one.title === title) as Part;
        const fixed = Object.fromEntries(
          Object.entries(part.least).filter(([name]) => name === 'type' || name === 'name'),
        );
        const shown = formOf(part, value);
        // Submitted as shown: nothing changes, in the same notation.
        const kept = await readForm(part.fields, shown, value, seal);
        expect(kept.problems).toEqual([]);
        expect({ ...fixed, ...kept.value }).toEqual(value);
        // Written to a file and read again.
        const text = stringify(around(part, { ...fixed, ...part.least }), { lineWidth: 0 });
        const written = editConfig(text, [{ kind: 'set', path: part.path, value: { ...fixed, ...kept.value } }]);
        expect(configValue(written)).toEqual(around(part, value));
        // Entered into an empty form: the notation may differ, the meaning is the same.
        const typed = await readForm(part.fields, withSecrets(shown, part, value), {}, seal);
        expect(typed.problems).toEqual([]);
        expect(meaning(part, { ...fixed, ...typed.value })).toEqual(meaning(part, value));
      }),
      { numRuns: 500 },
    );
  });
});

/** Secrets, also those in YAML, are never shown: they must be entered in an empty form. */
function withSecrets(shown: FormValues, part: Part, value: Plain): FormValues {
  const secrets = secretPaths(part.fields).flatMap((path) => {
    let at: unknown = value;
    for (const key of path.split('.')) at = (at as Plain | undefined)?.[key];
    return at === undefined ? [] : [[path, '${NAME}'] as const];
  });
  const inYaml = part.fields
    .filter((field) => field.secretsIn(value[field.name]).length > 0)
    .map(({ name }) => [name, stringify(entered(value[name]))] as const);
  return { ...shown, ...Object.fromEntries([...secrets, ...inYaml]) };
}

/** A value as it is entered: with plain text instead of encrypted secrets. */
function entered(value: unknown): unknown {
  if (isSealed(value)) return 'a word';
  if (Array.isArray(value)) return value.map(entered);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, entered(one)]));
}

function meaning(part: Part, value: Plain): unknown {
  const result = parsed(part, {
    ...value,
    ...(value['headers'] !== undefined && { headers: sealedHeaders(value['headers']) }),
  });
  return result.success ? JSON.parse(JSON.stringify(result.data)) : result.error.issues;
}

/** Headers are encrypted when they are entered. */
function sealedHeaders(headers: unknown): Plain {
  return Object.fromEntries(
    Object.entries(headers as Plain).map(([name, value]) => [
      name,
      name !== 'accept' && typeof value === 'string' && !value.includes('${') ? { sealed: 'v1.new' } : value,
    ]),
  );
}
