import { optionFields, type OptionField } from '@dicom-dispatch/core';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { describeChanges } from './describe-changes.ts';
import { editorProblems } from './editor-rights.ts';
import { fieldText, readForm, removedSecret, secretText, type FormValues } from './form-values.ts';

type Fields = readonly OptionField[];
type Plain = Readonly<Record<string, unknown>>;
const fieldsOf = (type: keyof typeof targetSchemas): Fields =>
  optionFields(targetSchemas[type] as unknown as z.ZodType);
const seal = async (text: string): Promise<string> => `v1.${Buffer.from(text).toString('base64url')}`;

/** The data of a form that shows an object, without changes. */
function shown(fields: Fields, value: Plain, path: readonly string[] = []): FormValues {
  return Object.assign(
    {},
    ...fields.map((field) => {
      const at = [...path, field.name];
      const inner = value[field.name];
      return field.kind === 'section'
        ? shown(field.fields, (inner ?? {}) as Plain, at)
        : { [at.join('.')]: fieldText(field, inner) };
    }),
  ) as FormValues;
}

const sftp = {
  type: 'sftp',
  host: 'files.example',
  port: '${PORT}',
  username: 'dispatch',
  password: '${PASSWORD}',
  privateKey: { file: 'id' },
  hostKey: { knownHosts: '/etc/known_hosts' },
  path: '/incoming',
  layout: '{StudyDate}/{SOPInstanceUID}.dcm',
  backoff: { first: '10s' },
  schedule: { windows: [{ days: ['mon'], from: '20:00', to: '22:00' }] },
  rateLimit: {},
  description: '007',
};

describe('a form of a target', () => {
  it.each(Object.keys(targetSchemas) as (keyof typeof targetSchemas)[])('of type %s contains each option', (type) => {
    const names = (fields: Fields): string[] => fields.flatMap(({ name, fields: inner }) => [name, ...names(inner)]);
    expect(names(fieldsOf(type))).toContain('concurrency');
    expect(fieldsOf(type).map(({ name }) => name)).not.toContain('type');
  });

  it('sent as it is shown changes nothing', async () => {
    const { type: _, ...options } = sftp;
    const read = await readForm(fieldsOf('sftp'), shown(fieldsOf('sftp'), sftp), sftp, seal);
    expect(read).toEqual({ value: options, problems: [], typed: new Set() });
  });

  it('parses numbers, lists, YAML and empty texts', async () => {
    const values = {
      ...shown(fieldsOf('dicom'), { host: 'a', calledAeTitle: 'A', tls: { ca: 'x' } }),
      port: '11112',
      calledAeTitle: '0042',
      earlyByte: 'false',
      transferSyntaxes: 'JPEG2000\nExplicitVRLittleEndian',
      connectTimeout: '5s',
      'tls.ca': '',
      'backoff.first': '1s',
    };
    const present = { host: 'a', calledAeTitle: 'A', tls: { ca: 'x' } };
    const { value, problems } = await readForm(fieldsOf('dicom'), values, present, seal);
    expect(problems).toEqual([]);
    expect(value).toEqual({
      host: 'a',
      calledAeTitle: '0042',
      port: 11_112,
      earlyByte: false,
      transferSyntaxes: ['JPEG2000', 'ExplicitVRLittleEndian'],
      connectTimeout: '5s',
      backoff: { first: '1s' },
    });
    const bad = await readForm(fieldsOf('rsync'), { via: '{ a: [' }, {}, seal);
    expect(bad.problems).toEqual([{ path: ['via'], message: expect.stringContaining('is not YAML') }]);
  });

  it('writes secrets as references, or sealed, and never shows them', async () => {
    const of = async (password: string): Promise<unknown> =>
      (await readForm(fieldsOf('sftp'), { ...shown(fieldsOf('sftp'), sftp), password }, sftp, seal)).value['password'];
    expect(await of('')).toBe('${PASSWORD}');
    expect(await of('${OTHER}')).toBe('${OTHER}');
    expect(await of('file: secrets/pw')).toEqual({ file: 'secrets/pw' });
    expect(await of('open sesame')).toEqual({ sealed: await seal('open sesame') });
    expect(await of(removedSecret)).toBeUndefined();
    expect(secretText({ sealed: 'v1.x' })).toBe('entered here, stored encrypted');
    expect(fieldsOf('sftp').find(({ name }) => name === 'password')?.kind).toBe('secret');
  });
});

describe('an editor', () => {
  const before = {
    console: { users: {} },
    targets: { a: { type: 'sftp', host: 'a', password: { sealed: 'v1.a' } }, b: { type: 'dicom', host: 'b' } },
    rules: [],
  };
  const withTargets = (targets: object): object => ({ ...before, targets: { ...before.targets, ...targets } });

  it.each<[string, object, RegExp | undefined]>([
    ['another port of a target', withTargets({ b: { type: 'dicom', host: 'b', port: 1 } }), undefined],
    [
      'a rule and a group',
      { ...before, groups: { g: { targets: ['a'] } }, rules: [{ name: 'x', targets: ['g'] }] },
      undefined,
    ],
    ['a typed secret', withTargets({ c: { type: 'sftp', host: 'c', password: { sealed: 'v1.new' } } }), undefined],
    ['another option of a target with a secret', withTargets({ a: { ...before.targets.a, path: '/x' } }), undefined],
    ['a user', { ...before, console: { users: { me: {} } } }, /^console: only an administrator/],
    [
      'a variable',
      withTargets({ b: { type: 'dicom', host: 'b', description: 'x ${KEY}' } }),
      /refer to the environment/,
    ],
    ['a file', withTargets({ c: { type: 'sftp', password: { file: '/etc/shadow' } } }), /to files/],
    [
      'the secret of another target',
      withTargets({ c: { type: 'sftp', password: { sealed: 'v1.a' } } }),
      /another target/,
    ],
    [
      'another host for a secret',
      withTargets({ a: { ...before.targets.a, host: 'evil' } }),
      /host is changed.*enter the secret/,
    ],
    ['code from outside', withTargets({ c: { type: 'package:./x.js' } }), /external handler/],
    ['a program', withTargets({ b: { type: 'rsync', onComplete: { command: '/bin/sh' } } }), /set programs/],
    ['a folder', withTargets({ c: { type: 'folder', path: '/etc' } }), /folders on this host/],
    ['a key', withTargets({ b: { type: 'dicom', host: 'b', tls: { key: '/etc/key' } } }), /files/],
    ['an authority', withTargets({ b: { type: 'dicom', host: 'b', tls: { ca: '/etc/shadow' } } }), /files/],
    [
      'known hosts',
      withTargets({ b: { type: 'sftp', host: 'b', hostKey: { knownHosts: '/etc/shadow' } } }),
      /may set programs, files/,
    ],
    ['a variable in a rule', { ...before, rules: [{ name: '${KEY}', targets: ['a'] }] }, /^rules: only/],
  ])('changing %s: %#', (_, after, words) => {
    const problems = editorProblems(before, after);
    if (words) expect(problems.join()).toMatch(words);
    else expect(problems).toEqual([]);
  });

  it('cannot send a secret of targetDefaults to another address', () => {
    const defaults = { ...before, targetDefaults: { sftp: { password: { sealed: 'v1.d' }, username: 'me' } } };
    const targets = { ...before.targets, c: { type: 'sftp', host: 'c' } };
    const all = { ...defaults, targets };
    expect(editorProblems(defaults, all).join()).toMatch(/secret of another target/);
    expect(editorProblems(all, { ...all, targets: { ...targets, c: { type: 'sftp', host: 'evil' } } }).join()).toMatch(
      /host is changed.*enter the secret/,
    );
    expect(editorProblems(all, { ...all, targetDefaults: {} }).join()).toMatch(
      /^targetDefaults: only an administrator/,
    );
    expect(
      editorProblems(all, { ...all, targets: { ...targets, c: { type: 'sftp', host: 'c', path: '/x' } } }),
    ).toEqual([]);
  });

  it.each<[string, object]>([
    ['description', { type: 'sftp', host: 'a', password: '${PW}', description: '${PW}' }],
    ['path', { type: 'sftp', host: 'a', path: '${PW}' }],
    ['transform', { type: 'sftp', host: 'a', password: '${PW}', transform: '${PW}' }],
  ])('cannot move a reference to %s, where it would be shown', (_, target) => {
    const old = { targets: { a: { type: 'sftp', host: 'a', password: '${PW}' } } };
    expect(editorProblems(old, { targets: { a: target } }).join()).toMatch(/another target or option/);
  });

  it('cannot move a reference within the rules, but the rule with it', () => {
    const [x, y] = [{ name: 'x', when: "study.PatientID == '${ID}'" }, { name: 'y' }];
    expect(editorProblems({ rules: [x, y] }, { rules: [y, x] })).toEqual([]);
    expect(editorProblems({ rules: [x, y] }, { rules: [y, { ...x, description: x.when }] })).toHaveLength(1);
    expect(editorProblems({ rules: [x, y] }, { rules: [x, { ...y, when: x.when }] })).toHaveLength(1);
  });

  const secretOf = { sealed: 'v1.a' };
  it.each<[string, Plain, Plain]>([
    [
      'entra',
      { type: 'azure', account: 'a', entra: { clientSecret: secretOf } },
      { entra: { clientSecret: secretOf, authority: 'https://evil.example' } },
    ],
    ['account', { type: 'azure', account: 'a', accountKey: secretOf }, { account: 'evil' }],
    ['bucket', { type: 's3', bucket: 'a', secretAccessKey: secretOf }, { bucket: 'evil' }],
    ['hostKey', { type: 'sftp', password: secretOf, hostKey: { fingerprint: 'x' } }, { hostKey: 'insecure-any' }],
    ['algorithms', { type: 'sftp', password: secretOf }, { algorithms: 'old' }],
    ['headers', { type: 'orthanc', auth: { password: secretOf } }, { headers: { host: 'evil' } }],
    ['tls', { type: 'orthanc', auth: { password: secretOf } }, { tls: { verify: false } }],
    ['gateway', { type: 'package:./x.js', apiKey: '${KEY}' }, { gateway: 'evil' }],
    ['path', { type: 'package:./x.js', apiKey: '${KEY}' }, { path: 'evil' }],
  ])('cannot send a secret elsewhere by %s', (name, target, change) => {
    const problems = editorProblems({ targets: { a: target } }, { targets: { a: { ...target, ...change } } });
    expect(problems).toEqual([expect.stringContaining(`${name} is changed, and the secret would be sent there`)]);
  });

  it('may enter a new secret beside another one, also for an external type', () => {
    const target = { type: 'package:./x.js', apiKey: '${KEY}', other: '${OTHER}' };
    const after = { targets: { a: { ...target, apiKey: { sealed: 'v1.new' }, concurrency: 3 } } };
    expect(editorProblems({ targets: { a: target } }, after, new Set(['v1.new']))).toEqual([]);
  });

  it('cannot pass a sealed secret off as typed', () => {
    const after = withTargets({ c: { type: 'sftp', password: { sealed: 'v1.old' } } });
    expect(editorProblems(before, after, new Set(['v1.new']))).toHaveLength(1);
    expect(editorProblems(before, after, new Set(['v1.old']))).toEqual([]);
  });
});

it('describes changes in words, rules by their names, without secrets', () => {
  const before = {
    targets: { a: { port: 1, password: { sealed: 'v1.a' } } },
    rules: [{ name: 'x' }, { name: 'y', hold: true }],
  };
  const after = { targets: { a: { port: 2 }, b: { type: 'dummy' } }, rules: [{ name: 'y' }, { name: 'x' }] };
  expect(describeChanges(before, after).map(({ words }) => words)).toEqual([
    'targets.a.port: 1 becomes 2',
    'targets.a.password is removed; it was "a secret"',
    'targets.b is added: {"type":"dummy"}',
    'rules.y.hold is removed; it was true',
    'order of rules: ["x","y"] becomes ["y","x"]',
  ]);
});
