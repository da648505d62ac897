import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseConfig, Secret, targetOptions, type TargetSchema } from '../index.ts';

const orthanc = z.strictObject({ type: z.literal('orthanc'), ...targetOptions, url: z.string() });
const web = z.strictObject({ type: z.literal('dicomweb'), ...targetOptions, url: z.string() });
const disk = z.strictObject({ type: z.literal('disk'), ...targetOptions });
const schemas = [orthanc, web, disk] as unknown as TargetSchema[];
const sources = { a: { url: 'http://127.0.0.1:8042' }, b: { url: 'https://pacs.example/orthanc-b/' } };
const toA = { type: 'orthanc', url: 'http://localhost:8042/' };
const toB = { type: 'dicomweb', url: 'https://pacs.example/orthanc-b/dicom-web' };

function problems(raw: object): string[] {
  const parsed = parseConfig({ sources, ...raw }, schemas);
  return parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('studies that would go round', () => {
  it('from a source to itself, and between two', () => {
    expect(problems({ targets: { 'to-a': toA }, rules: [{ name: 'r', sources: ['a'], targets: ['to-a'] }] })).toEqual([
      expect.stringContaining(
        'rules.0.targets: every study would be sent in a loop, from a to a: "to-a" is the source a',
      ),
    ]);
    const ring = {
      targets: { 'to-a': toA, 'to-b': toB },
      groups: { g: { targets: ['to-a'] } },
      rules: [
        { name: 'there', sources: ['a'], targets: ['to-b'] },
        { name: 'back', sources: ['b'], targets: ['g'] },
      ],
    };
    expect(problems(ring)).toHaveLength(2);
    expect(problems(ring)[0]).toContain('from a to b to a');
  });

  it('are allowed where a rule has a condition, or they go one way', () => {
    const targets = { 'to-a': toA, 'to-b': toB };
    const there = { name: 'there', sources: ['a'], targets: ['to-b'] };
    expect(problems({ targets, rules: [there] })).toEqual([]);
    const back = { name: 'back', sources: ['b'], targets: ['to-a'], when: 'origin.RemoteAET != "A"' };
    expect(problems({ targets, rules: [there, back] })).toEqual([]);
  });

  it('are detected if a target names its source', () => {
    const targets = { x: { type: 'disk', source: 'a' } };
    expect(problems({ targets, rules: [{ name: 'r', targets: ['x'] }] })).toHaveLength(1);
  });
});

it('windows of a rule and its target that never meet are refused', () => {
  const window = (from: string, to: string): object => ({ windows: [{ from, to }] });
  const raw = (to: string, more: object = {}): object => ({
    targets: { d: { type: 'disk', schedule: window('20:00', '23:00') }, e: { type: 'disk' } },
    groups: { g: { targets: ['e', 'd'] } },
    rules: [{ name: 'r', targets: ['d'], schedule: window('08:00', to), ...more }],
  });
  const never = [
    'rules.0.schedule: its windows and those of the target "d" are never open at the same time: change them so that they overlap',
  ];
  expect(problems(raw('12:00'))).toEqual(never);
  expect(problems(raw('12:00', { targets: ['g'] }))).toEqual(never);
  expect(problems(raw('20:01'))).toEqual([]);
  expect(problems(raw('12:00', { enabled: false }))).toEqual([]);
  expect(problems(raw('12:00', { targets: ['e'] }))).toEqual([]);
  expect(problems(raw('12:00', { schedule: undefined }))).toEqual([]);
});

it('times that are longer than a timer can wait are refused, and other times are not', () => {
  const tooLong = 'is longer than 24d, the longest time that can be waited for: shorten it';
  const main = { url: 'http://127.0.0.1:8042' };
  const base = { targets: { d: { type: 'disk' } } };
  expect(problems({ ...base, sources: { main: { ...main, timeout: '25d', sweep: { every: '30d' } } } })).toEqual([
    `sources.main.timeout: ${tooLong}`,
    `sources.main.sweep.every: ${tooLong}`,
  ]);
  expect(problems({ ...base, dispatcher: { lockTime: '25d', graceTime: '25d' } })).toEqual([
    `dispatcher.lockTime: ${tooLong}`,
    `dispatcher.graceTime: ${tooLong}`,
  ]);
  expect(problems({ ...base, dispatcher: { lockTime: '24d' } })).toEqual([]);
  expect(problems({ targets: { d: { type: 'disk', giveUpAfter: '90d' } } })).toEqual([]);
});

describe('secrets that can be guessed are refused when the configuration is checked', () => {
  const base = { targets: { d: { type: 'disk' } } };
  const user = (password: string): string[] =>
    problems({ ...base, console: { users: { anna: { password: new Secret(password) } } } });

  it.each(['', 'abc', 'only-19-characters-'])('token "%s"', (token) => {
    const found = problems({ ...base, console: { tokens: { program: { token: new Secret(token) } } } });
    // A missing secret is reported where it is read.
    expect(found).toEqual(
      token === '' ? [] : [expect.stringMatching(/^console\.tokens\.program\.token: the token has \d+ char/)],
    );
  });

  it.each([
    ['only-19-characters-', ['has 19 characters: use at least 20, e.g. of openssl rand -hex 32']],
    ['exactly-20-character', []],
    [
      'with a space in its middle',
      ['has characters that are not allowed in a header: use printable ASCII without spaces, at most 1024'],
    ],
    ['x'.repeat(1024), []],
    [
      'x'.repeat(1025),
      ['has characters that are not allowed in a header: use printable ASCII without spaces, at most 1024'],
    ],
  ])('token "%s" is one that a header can have', (token, expected) => {
    const found = problems({ ...base, console: { tokens: { program: { token: new Secret(token) } } } });
    expect(found).toEqual(expected.map((text) => `console.tokens.program.token: the token ${text}`));
  });

  it('the address of a webhook behind a secret is checked, unless it is missing', () => {
    const hook = (url: string): string[] =>
      problems({ ...base, console: { notifications: { webhooks: { desk: { url: new Secret(url) } } } } });
    expect(hook('https://hooks.example/x')).toEqual([]);
    expect(hook('')).toEqual([]);
    expect(hook('hooks.example/x')).toEqual([
      'console.notifications.webhooks.desk.url: the value behind it is no URL with http:// or https://: correct it',
    ]);
  });

  it.each([
    ['short', /has 5 characters/],
    ['fourteen chars', /has 14 characters/],
    ['aaaaaaaaaaaaaaaaaaaa', /repeats/],
    ['abababababababababab', /repeats/],
    ['qwertyuiopasdfghjkl', /row of the keyboard/],
    ['0123456789abcdefghij', /row of the keyboard/],
    ['passwordpassword123', /common words/],
    ['Anna-Hospital-2024', /common words/],
    ['DicomDispatchAdmin!', /common words/],
  ])('password "%s"', (password, reason) => {
    expect(user(password)).toEqual([expect.stringMatching(reason)]);
  });

  it.each([
    'correct horse battery',
    'vera-looks-on-1',
    'Drei kleine Äpfel im Schnee',
    'дом у самого синего моря',
    'scrypt:32768:8:1:AAAAAAAAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  ])('but not password "%s"', (password) => {
    expect(user(password)).toEqual([]);
  });

  it('keys of cookies too', () => {
    const found = problems({ ...base, console: { secret: [new Secret('x'.repeat(16)), new Secret('short')] } });
    expect(found).toEqual([expect.stringMatching(/^console: secret has 5 characters/)]);
  });

  it('and a user is a viewer unless the configuration sets another role', () => {
    const parsed = parseConfig(
      { sources, ...base, console: { users: { anna: { password: new Secret('correct horse battery') } } } },
      schemas,
    );
    expect(parsed.ok && parsed.config.console.users?.['anna']?.role).toBe('viewer');
  });
});

it('a key of search hashes that can be guessed is refused', () => {
  const raw = { targets: { d: { type: 'disk' } } };
  expect(problems({ ...raw, records: { searchKey: new Secret('fifteen letters') } })).toEqual([
    'records.searchKey: the key has 15 characters: use at least 16, e.g. of openssl rand -hex 32',
  ]);
  expect(problems({ ...raw, records: { searchKey: new Secret('') } })).toEqual([]);
  expect(problems({ ...raw, records: { searchKey: [new Secret('0123456789abcdef')] } })).toEqual([]);
});

it('pseudonyms and new UIDs need a key', () => {
  const raw = { targets: { d: { type: 'disk' } }, transforms: { anon: { anonymise: {} } } };
  expect(problems(raw)[0]).toContain('set pseudonyms.secret');
  expect(problems({ ...raw, pseudonyms: { secret: new Secret('k') } })).toEqual([]);
  expect(problems({ ...raw, transforms: { j2k: { transferSyntax: '1.2.840.10008.1.2.4.90' } } })).toEqual([]);
});

it('references to unknown names are found at any place', () => {
  expect(
    problems({
      targets: { d: { type: 'disk', transform: 'x', source: 'z', instances: { only: 'instance.' } } },
      groups: { d: { targets: ['e'] } },
      rules: [
        {
          name: 'r',
          targets: ['f'],
          transform: 'y',
          complete: { when: 'nonsense' },
          instances: { only: 'instance.SizeBytes' },
        },
      ],
    }).sort(),
  ).toEqual([
    'groups.d.targets.0: "e" is not among the targets: use one of d',
    'groups.d: "d" is also the name of a target: rename the group',
    expect.stringContaining('rules.0.complete.when: the expression cannot be used: line 1, column 1'),
    'rules.0.targets.0: "f" is not among the targets and groups: use one of d, d',
    'rules.0.transform: "y" is not among the transforms, there are none',
    expect.stringContaining('targets.d.instances.only: the expression cannot be used'),
    'targets.d.source: "z" is not among the sources: use one of a, b',
    'targets.d.transform: "x" is not among the transforms, there are none',
  ]);
});

it.each([
  [{ set: { '0020000D': '1.2' } }, '0020000D cannot be set, copied or removed: say uids: keep or new'],
  [{ set: { SOPClassUID: '1.2' } }, 'SOPClassUID cannot be set, copied or removed: it defines what the instance is'],
  [{ copy: { PixelData: 'PatientID' } }, 'PixelData cannot be set or copied: its values are no texts'],
  [
    { set: { ItemDelimitationItem: 'x' } },
    'ItemDelimitationItem cannot be set, copied or removed: it is not part of a data set',
  ],
  [{ remove: ['0002,0016'] }, '0002,0016 cannot be set, copied or removed: it is not part of a data set'],
  [{ set: { '0028,0000': '1' } }, '0028,0000 cannot be set, copied or removed: it is not part of a data set'],
])('a transform changes nothing that makes a file what it is: %j', (definition, message) => {
  const found = problems({ targets: { d: { type: 'disk' } }, transforms: { t: definition } });
  expect(found.join()).toContain(message);
});

it('a transform does not touch identifiers but by its uids', () => {
  const raw = { targets: { d: { type: 'disk' } }, transforms: { t: { set: { SOPInstanceUID: '1.2' }, keep: ['A1'] } } };
  expect(problems(raw).join('\n')).toMatch(/SOPInstanceUID cannot be set[\s\S]*keep is for anonymise/);
});

it('accounts that are disabled count as absent, and not all of them can be', () => {
  const secret = new Secret('a-secret-of-more-than-20-characters');
  const of = (ada: boolean, script: boolean): object => ({
    targets: { d: { type: 'disk' } },
    rules: [{ name: 'r', targets: ['d'] }],
    console: {
      users: { ada: { password: secret, enabled: ada } },
      tokens: { script: { token: secret, enabled: script } },
      notifications: { webhooks: { desk: { url: 'http://127.0.0.1:1', enabled: false } } },
    },
  });
  const parsed = parseConfig({ sources, ...of(true, false) }, schemas);
  expect(parsed).toMatchObject({ ok: true });
  expect(parsed.ok && [parsed.config.console.users, parsed.config.console.tokens]).toMatchObject([{ ada: {} }, {}]);
  expect(parsed.ok && parsed.config.console.tokens).toEqual({});
  expect(parsed.ok && parsed.config.console.notifications?.webhooks).toEqual({});
  const nobody = 'all users and tokens are disabled, so nobody could sign in: enable one';
  expect(problems(of(false, false))).toEqual([`console.users: ${nobody}`]);
  const tokens = { script: { token: secret, enabled: false } };
  expect(problems({ ...of(true, true), console: { tokens } })).toEqual([`console.tokens: ${nobody}`]);
  const oidc = { issuer: 'https://id.example', clientId: 'c' };
  expect(problems({ ...of(true, true), console: { tokens, oidc } })).toEqual([]);
});
