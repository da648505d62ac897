import { expect, it } from 'vitest';
import { Secret } from '../secret.ts';
import { warningsOf } from '../../testing/warnings-of.ts';

const pacs = { type: 'dicom', host: 'a', port: 104, calledAeTitle: 'A' };
const short = new Secret('fifteen letters');
const long = new Secret('sixteen letters!');
const toAll = (...targets: string[]): object[] => [{ name: 'r', targets }];
const keys = (key: Secret): object => ({
  pseudonyms: { secret: key },
  cache: { secret: [key, long] },
  sources: { a: { url: 'http://127.0.0.1:8042', pushSecret: key } },
  console: { notifications: { webhooks: { w: { url: 'https://a', secret: key } } } },
});
const transform = (definition: object): object => ({
  transforms: { t: definition },
  targets: { d: { type: 'dicom', transform: 't' } },
});
const oidc = (issuer: string, more: object = {}): object => ({ console: { oidc: { issuer, clientId: 'c', ...more } } });

const twice =
  'is the same place as the target d: a study that rules send to both is sent there twice; keep one of them';
const port = (number: number, other: string): string =>
  `port ${number} is also that of ${other}: on one host only one of them starts; use another port`;
const guessed = 'has 15 characters and can be guessed: use at least 16, e.g. of openssl rand -hex 32';
const everySeries = 'excludes every series, so nothing is sent: write a pattern of those to exclude, e.g. "SR/*"';
const alsoChanged = 'PatientID is also removed or copied by this transform: keep one of them';
const noTarget = (name: string): string => `"${name}" is not among the targets: use one of d`;

it.each<[string, object, string[]]>([
  [
    'targets at one place',
    { targets: { d: pacs, e: pacs, f: pacs }, rules: toAll('d', 'e', 'f') },
    [`targets.e: ${twice}`, `targets.f: ${twice}`],
  ],
  [
    'a key that can be guessed, in each place',
    keys(short),
    [
      `pseudonyms.secret: ${guessed}`,
      `cache.secret: ${guessed}`,
      `sources.a.pushSecret: ${guessed}`,
      `console.notifications.webhooks.w.secret: ${guessed}`,
    ],
  ],
  [
    'one port for the console and a separate router',
    { console: { listen: '127.0.0.1:8081' } },
    [`health.router: ${port(8081, 'console.listen')}`],
  ],
  [
    'the port of a source on this host',
    { console: { listen: '127.0.0.1:8042' } },
    [`console.listen: ${port(8042, 'the source a')}`],
  ],
  [
    'that port by another name of this host',
    { sources: { a: { url: 'http://localhost:8042' } }, console: { listen: '127.0.0.1:8042' } },
    [`console.listen: ${port(8042, 'the source a')}`],
  ],
  [
    'the port of http',
    { sources: { a: { url: 'http://127.0.0.1' } }, console: { listen: '127.0.0.1:80' } },
    [`console.listen: ${port(80, 'the source a')}`],
  ],
  [
    'the port of https',
    { sources: { a: { url: 'https://127.0.0.1' } }, console: { listen: '127.0.0.1:443' } },
    [`console.listen: ${port(443, 'the source a')}`],
  ],
  [
    'one port for the console and for pushes',
    {
      push: { listen: '127.0.0.1:8080' },
      sources: { a: { url: 'http://127.0.0.1:8042', pushSecret: long } },
    },
    [`push.listen: ${port(8080, 'console.listen')}`],
  ],
  [
    'half of a login',
    {
      sources: {
        a: { url: 'http://127.0.0.1:8042', username: 'u' },
        b: { url: 'http://127.0.0.1:8043', password: long },
      },
    },
    [
      'sources.a.username: is set without password: set both, or neither',
      'sources.b.password: is set without username: set both, or neither',
    ],
  ],
  [
    'a user in an address',
    { sources: { a: { url: 'http://u@127.0.0.1:8042' } } },
    ['sources.a.url: a user in the address is shown with the configuration: write it as username, with its password'],
  ],
  [
    'a sign-in without roles, over http',
    oidc('http://id.example'),
    [
      'console.oidc: no group has a role, so nobody can sign in: set oidc.roles, e.g. { operator: [radiology] }',
      'console.oidc.issuer: tokens of users are read unencrypted: use the https address of the identity provider',
    ],
  ],
  [
    'selections that exclude every series',
    {
      rules: [{ name: 'r', targets: ['d'], instances: { exclude: ['SR', '*'] } }],
      targets: { d: { type: 'dicom', instances: { exclude: ['**/*'] } } },
    },
    [`rules.0.instances.exclude.1: ${everySeries}`, `targets.d.instances.exclude.0: ${everySeries}`],
  ],
  [
    'the address of a resource of DICOMweb',
    { targets: { d: { type: 'dicomweb', url: 'https://web/dicom-web/studies/' } } },
    ['targets.d.url: ends with /studies, which is appended to it: write the base URL of the service, without /studies'],
  ],
  [
    'a first wait that is longer than any other',
    { targets: { d: { type: 'dicom', backoff: { first: '10m', max: '1m' } } } },
    ['targets.d.backoff.first: is longer than backoff.max, which is the longest wait between two attempts: swap them'],
  ],
  [
    'a tag that is set and removed',
    transform({ set: { PatientID: 'x' }, remove: ['PatientID'] }),
    [`transforms.t.set.PatientID: ${alsoChanged}`],
  ],
  [
    'a tag that is set and copied',
    transform({ set: { PatientID: 'x' }, copy: { PatientID: 'StudyID' } }),
    [`transforms.t.set.PatientID: ${alsoChanged}`],
  ],
  [
    'e-mails without a mail server',
    { console: { notifications: { emails: { m: { to: ['a@b.example'] } } } } },
    ['console.notifications.emails: no e-mail is sent without a mail server: set console.notifications.smtp'],
  ],
  [
    'unknown targets of tokens and notifications, and a password to a mail server without TLS',
    {
      console: {
        tokens: { t: { token: new Secret('x'.repeat(20)), targets: ['d', 'x'] } },
        notifications: {
          webhooks: { w: { url: 'https://a', targets: ['y'] } },
          emails: { m: { to: ['a@b.example'], targets: ['z'] } },
          smtp: { host: 'm', from: 'a@b.example', allowPlaintext: true },
        },
      },
    },
    [
      'console.notifications.smtp.allowPlaintext: password and patient data may be sent to the mail server unencrypted: use a server with STARTTLS or secure',
      `console.notifications.webhooks.w.targets.0: ${noTarget('y')}`,
      `console.notifications.emails.m.targets.0: ${noTarget('z')}`,
      `console.tokens.t.targets.1: ${noTarget('x')}`,
    ],
  ],
])('doubtful: %s', (_, sections, expected) => {
  expect(warningsOf(sections)).toEqual(expected);
});

it.each<[string, object]>([
  ['keys of 16 characters', keys(long)],
  [
    'targets at one place with different layouts',
    {
      targets: { d: { type: 'folder', path: '/a', layout: 'x' }, e: { type: 'folder', path: '/a', layout: 'y' } },
      rules: toAll('d', 'e'),
    },
  ],
  [
    'several targets of type dummy',
    { targets: { d: { type: 'dummy' }, e: { type: 'dummy' } }, rules: toAll('d', 'e') },
  ],
  ['a port of a source on another host', { sources: { a: { url: 'http://pacs:8080' } } }],
  ['one port on two loopback addresses', { console: { listen: '127.0.0.2:8081' } }],
  ['any free port, twice', { health: { router: '127.0.0.1:0', dispatcher: '127.0.0.1:0' } }],
  ['the port of the console for pushes, which are off', { push: { listen: '127.0.0.1:8080' } }],
  ['a sign-in over http on this host', oidc('http://localhost:9000', { roles: { viewer: ['x'] } })],
  ['a sign-in over https', oidc('https://id.example', { roles: { administrator: ['x'] } })],
  [
    'selections of a disabled rule',
    {
      rules: [
        { name: 'r', targets: ['d'], instances: { exclude: ['SR/*'] } },
        { name: 's', enabled: false, targets: ['d'], instances: { exclude: ['*'] } },
      ],
    },
  ],
  ['a path below /studies', { targets: { d: { type: 'dicomweb', url: 'https://web/studies/x' } } }],
  ['equal waits', { targets: { d: { type: 'dicom', backoff: { first: '10m', max: '10m' } } } }],
  ['different tags of a transform', transform({ set: { PatientID: 'x' }, remove: ['PatientName'] })],
  [
    'e-mails with a mail server',
    {
      console: {
        notifications: { emails: { m: { to: ['a@b.example'] } }, smtp: { host: 'm', from: 'a@b.example' } },
      },
    },
  ],
])('not doubtful: %s', (_, sections) => {
  expect(warningsOf(sections)).toEqual([]);
});

it('a disabled target is at no place', () => {
  const targets = { d: pacs, e: { ...pacs, enabled: false } };
  expect(warningsOf({ targets })).toEqual([
    'targets.e: no rule sends to this target: it receives manual deliveries only',
  ]);
});
