import { describe, expect, it } from 'vitest';
import { Secret } from '../secret.ts';
import { warningsOf } from '../../testing/warnings-of.ts';

const password = new Secret('correct horse battery');
const remedy = '${NAME} or { file: PATH }, or enter it in the console, which stores it encrypted';
const shown = 'is a secret in plain text, which is shown with the configuration';
const inAddress = `the password in the address ${shown}: remove it, and set the user name and the password as options, the password as ${remedy}`;
const unencrypted = (host: string): string =>
  `the password is sent to ${host} unencrypted: use https, or a private network`;
const noPassword =
  'Redis on another host is used without a password: anyone who can connect to it can change deliveries; set redis.password and requirepass or an ACL user there';
const noTls =
  'Redis on another host is used without TLS: use rediss:// or redis.tls, or a private network of the services';
const rules = (more: object): object => ({ rules: [{ name: 'r', targets: ['d'], ...more }] });

it.each<[string, object, string[]]>([
  [
    'checks of certificates that are off',
    { targets: { d: { type: 'dicom', tls: { verify: false, verifyHostname: false, other: false } } } },
    [
      'targets.d.tls.verify: is disabled: any certificate is accepted, so an attacker on the network can read and change the data; set its authority in tls.ca',
      'targets.d.tls.verifyHostname: is disabled: a certificate of any host of that authority is accepted; set tls.serverName to the name in its certificate',
    ],
  ],
  ['checks of certificates that are on', { targets: { d: { type: 'dicom', tls: { verify: true } } } }, []],
  [
    'priors of a target that cannot be searched',
    {
      targets: { d: { type: 'dicom' }, f: { type: 'folder', path: '/a' } },
      rules: [{ name: 'r', targets: ['d', 'f'], priors: { from: 'f', targets: ['d'] } }],
    },
    [
      'rules.0.priors.from: a target of type folder cannot be searched: only studies of the source are sent; use a target of type dicom, dicom-tls, dicomweb, orthanc',
    ],
  ],
  [
    'priors for the target that they come from, by its group',
    { groups: { g: { targets: ['d'] } }, ...rules({ targets: ['g'], priors: { from: 'd' } }) },
    ['rules.0.priors.from: "d" is also their target, and already has them: remove it from priors.targets'],
  ],
  [
    'priors without a wait',
    rules({ priors: { first: true, wait: 0 } }),
    ['rules.0.priors.wait: the study does not wait for them: set a time, or remove first'],
  ],
  ['priors first, with a wait', rules({ priors: { first: true } }), []],
  ['priors after the study', rules({ priors: { wait: 0 } }), []],
  [
    'priors of a disabled rule',
    {
      rules: [
        { name: 'r', targets: ['d'] },
        { name: 's', enabled: false, targets: ['d'], priors: { from: 'd' } },
      ],
    },
    [],
  ],
  [
    'passwords over http to other hosts',
    {
      sources: { a: { url: 'http://pacs.example', username: 'u', password } },
      targets: {
        d: { type: 'dicomweb', url: 'http://web.example', auth: { type: 'basic' } },
        e: { type: 'dicomweb', url: 'http://web.example/e', password },
        s: { type: 's3', endpoint: 'http://s3.example', secretKey: password },
      },
      ...rules({ targets: ['d', 'e', 's'] }),
      console: { notifications: { webhooks: { w: { url: 'http://hook.example', headers: { A: password } } } } },
    },
    [
      `sources.a.url: ${unencrypted('pacs.example')}`,
      `targets.d.url: ${unencrypted('web.example')}`,
      `targets.e.url: ${unencrypted('web.example')}`,
      `console.notifications.webhooks.w.url: ${unencrypted('hook.example')}`,
    ],
  ],
  [
    'http without passwords',
    {
      sources: { a: { url: 'http://pacs.example' } },
      targets: { d: { type: 'dicomweb', url: 'http://web.example', auth: { type: 'none' } } },
      console: { notifications: { webhooks: { w: { url: 'http://hook.example' } } } },
    },
    [],
  ],
  ['Redis elsewhere', { redis: { url: 'redis://redis.example' } }, [`redis.url: ${noPassword}`, `redis.url: ${noTls}`]],
  [
    'a cluster elsewhere',
    { redis: { cluster: ['127.0.0.1:6379', 'redis.example:6379'] } },
    [`redis.cluster: ${noPassword}`, `redis.cluster: ${noTls}`],
  ],
  ['a cluster on this host', { redis: { cluster: ['127.0.0.1:6379'] } }, []],
])('%s', (_, sections, expected) => {
  expect(warningsOf(sections)).toEqual(expected);
});

describe('a secret in plain text', () => {
  it('in an address is reported with its remedy', () => {
    expect(
      warningsOf({
        redis: { url: 'redis://:p@127.0.0.1' },
        targets: { d: { type: 'dicomweb', url: 'https://u:p@web.example' } },
        sources: { a: { url: 'http://u:p@127.0.0.1:8042' } },
      }),
    ).toEqual([
      'redis.url: a password in the address is shown with the configuration: write it as redis.password instead, as ${NAME} or { file: PATH }',
      `sources.a.url: ${inAddress}`,
      `targets.d.url: ${inAddress}`,
    ]);
  });

  it.each<[string, unknown, boolean]>([
    ['Authorization', 'Basic abc', true],
    ['X-Api-Key', 'abc', true],
    ['X-Any', 'Bearer abc', true],
    ['X-Any', '0123456789abcdef0', true],
    ['X-Any', '123e4567-e89b-12d3-a456-426614174000', true],
    ['X-Any', 'abcDEFghiJKLmno1', true],
    ['X-Any', 'a1b2c3d4e5f6g7h8', true],
    ['X-Any', 'prefix.0123456789abcdef', true],
    // Digits only, words, upper and lower case without digits, short ones, and what is secret already.
    ['X-Any', '1234567890123456', false],
    ['X-Any', 'hello-world-of-words', false],
    ['X-Any', 'abcDEFghiJKLmnop', false],
    ['X-Any', 'abcdefghijklmno1', false],
    ['X-Any', 'a1b2c3', false],
    ['X-Any', '0123456789abcde', false],
    ['X-Any', '', false],
    ['Accept', 'application/dicom+json', false],
    ['Authorization', new Secret('x'), false],
  ])('as header %s: %s is reported: %s', (name, value, isSecret) => {
    const found = warningsOf({ targets: { d: { type: 'dicomweb', url: 'https://web', headers: { [name]: value } } } });
    expect(found).toEqual(
      isSecret ? [`targets.d.headers.${name}: the value of ${name} ${shown}: write the whole value as ${remedy}`] : [],
    );
  });

  it.each<[string, string, boolean]>([
    ['https://hooks.example/plain', 'slack', true],
    ['https://hooks.example/plain', 'teams', true],
    ['https://hooks.example/a?sig=1', 'json', true],
    ['https://hooks.example/a?code=1', 'json', true],
    ['https://hooks.example/a?apikey=1', 'json', true],
    ['https://hooks.example/0123456789abcdef0', 'json', true],
    ['https://hooks.example/?id=0123456789abcdef0', 'json', true],
    ['https://u:p@hooks.example/', 'json', true],
    ['https://hooks.example/plain', 'json', false],
    ['https://hooks.example/a?page=1', 'json', false],
  ])('as address of a webhook: %s, %s is reported: %s', (url, format, isSecret) => {
    const found = warningsOf({ console: { notifications: { webhooks: { w: { url, format } } } } });
    const message = `the address ${shown}; everyone who knows it can post messages there: write the whole address as ${remedy}`;
    expect(found).toEqual(isSecret ? [`console.notifications.webhooks.w.url: ${message}`] : []);
  });

  it('as header of a webhook is reported', () => {
    const webhooks = { w: { url: 'https://hooks.example/', headers: { 'X-Token': 'abc' } } };
    expect(warningsOf({ console: { notifications: { webhooks } } })).toEqual([
      `console.notifications.webhooks.w.headers.X-Token: the value of X-Token ${shown}: write the whole value as ${remedy}`,
    ]);
  });
});
