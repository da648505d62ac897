import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  givesNewUids,
  groupOfOption,
  needsSecret,
  needsSignIn,
  parseConfig,
  schedule,
  Secret,
  share,
  targetAuditConfig,
  targetExamples,
  targetOptions,
  transformConfig,
  webhookAddressOf,
  type TargetSchema,
} from '../index.ts';
import { consoleConfig } from './console-config.ts';
import { recordsConfig } from './records-config.ts';
import { secretKeys } from './secret.ts';
import { isWebhookAddress } from './notifications-config.ts';

const net = z.strictObject({
  type: z.literal('net'),
  ...targetOptions,
  timeout: z.int().optional(),
  tls: z
    .strictObject({
      cert: z.string().optional(),
      key: z.string().optional(),
      profile: z.string().optional(),
      minVersion: z.string().optional(),
    })
    .optional(),
});

/** Problems of a configuration with these sections. */
function problems(sections: object): string[] {
  const raw = { sources: { main: { url: 'http://127.0.0.1:8042' } }, targets: { a: { type: 'net' } }, ...sections };
  const parsed = parseConfig(raw, [net] as unknown as TargetSchema[]);
  return parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('TLS', () => {
  const target = (tls: object): object => ({ targets: { a: { type: 'net', tls } } });

  it('needs certificate and key together, wherever it is configured', () => {
    const withoutKey = 'is set without key: also set the file of its private key';
    const withoutCert = 'is set without cert: also set the file of the certificate';
    expect(problems(target({ cert: 'c' }))).toEqual([`targets.a.tls.cert: ${withoutKey}`]);
    expect(problems(target({ key: 'k' }))).toEqual([`targets.a.tls.key: ${withoutCert}`]);
    expect(problems(target({ cert: 'c', key: 'k' }))).toEqual([]);
    expect(problems(target({}))).toEqual([]);
    expect(problems({ redis: { url: 'rediss://x', tls: { cert: 'c' } } })).toEqual([`redis.tls.cert: ${withoutKey}`]);
    expect(problems({ sources: { main: { url: 'https://x', tls: { key: 'k' } } } })).toEqual([
      `sources.main.tls.key: ${withoutCert}`,
    ]);
  });

  it('1.3 is not part of the extended profile, which is for TLS 1.2', () => {
    expect(problems(target({ profile: 'bcp195-extended', minVersion: 'TLSv1.3' }))).toEqual([
      expect.stringContaining('targets.a.tls.minVersion: TLSv1.3 is not supported by the profile bcp195-extended'),
    ]);
    expect(problems(target({ profile: 'bcp195-extended', minVersion: 'TLSv1.2' }))).toEqual([]);
    expect(problems(target({ profile: 'bcp195', minVersion: 'TLSv1.3' }))).toEqual([]);
  });
});

describe('the longest wait', () => {
  const longest = 'is longer than 24d, the longest time that can be waited for: shorten it';

  it('is 24 days', () => {
    expect(problems({ sources: { main: { url: 'http://x', timeout: '25d' } } })).toEqual([
      `sources.main.timeout: ${longest}`,
    ]);
    expect(problems({ sources: { main: { url: 'http://x', sweep: { every: '25d' } } } })).toEqual([
      `sources.main.sweep.every: ${longest}`,
    ]);
    expect(problems({ dispatcher: { graceTime: '25d' } })).toEqual([`dispatcher.graceTime: ${longest}`]);
    expect(problems({ targets: { a: { type: 'net', timeout: 2 ** 31 } } })).toEqual([`targets.a.timeout: ${longest}`]);
    expect(problems({ targets: { a: { type: 'net', timeout: 2 ** 31 - 1 } } })).toEqual([]);
    expect(problems({ dispatcher: { graceTime: '24d' } })).toEqual([]);
  });

  it('limits only times that are waited for', () => {
    expect(problems({ records: { keep: '400d' } })).toEqual([]);
    expect(problems({ targets: { a: { type: 'net', backoff: { max: '30d' } } } })).toEqual([]);
  });
});

describe('a token', () => {
  const of = (text: string): string[] => problems({ console: { tokens: { script: { token: new Secret(text) } } } });

  it('can be sent in a header', () => {
    expect(of('a-token-of-20-chars!')).toEqual([]);
    expect(of('x'.repeat(1024))).toEqual([]);
    for (const bad of [
      'a token with blanks in it',
      'ein-tökén-mit-umlauten',
      'x'.repeat(1025),
      'line-one-of-token\nline-two',
    ])
      expect(of(bad)).toEqual([expect.stringContaining('characters that are not allowed in a header')]);
  });
});

it('an address of a webhook has http:// or https://, also if it is a secret', () => {
  const of = (url: string): string[] =>
    problems({ console: { notifications: { webhooks: { desk: { url: new Secret(url) } } } } });
  expect(of('https://hooks.example/x?key=1')).toEqual([]);
  expect(of('')).toEqual([]);
  expect(of('hooks.example/x')).toEqual([
    'console.notifications.webhooks.desk.url: the value behind it is no URL with http:// or https://: correct it',
  ]);
  expect(['http://x', 'https://x/?a=b'].every(isWebhookAddress)).toBe(true);
  expect(['ftp://x', 'x http://x', 'https://', 'https://x/#y', ''].some(isWebhookAddress)).toBe(false);
  expect(webhookAddressOf({ url: 'http://x' })).toBe('http://x');
  expect(webhookAddressOf({ url: new Secret('http://y') })).toBe('http://y');
});

describe('a share', () => {
  it.each([
    ['5%', 0.05],
    ['0.1%', 0.001],
    ['100%', 1],
    ['12.5%', 0.125],
  ])('%s is %d', (text, value) => {
    expect(share.parse(text)).toBeCloseTo(value, 10);
  });

  it.each(['0%', '0.05%', '101%', '5', 'x5%', '5%x', '100.5%'])('%s is none', (text) => {
    expect(share.safeParse(text).error?.message).toContain('a share is a percentage from 0.1% to 100%');
  });
});

describe('an audit of a target', () => {
  it('names elements by keyword or tag, and private ones together', () => {
    const ignore = ['PatientID', '0010,0020', '00100020', 'private'];
    expect(targetAuditConfig.parse({ ignore })).toMatchObject({ ignore, rate: 10, content: false });
    expect(targetAuditConfig.safeParse({ ignore: ['PatinetID'] }).error?.issues).toMatchObject([
      { path: ['ignore', 0], message: '"PatinetID" is not a DICOM keyword; the nearest is PatientID' },
    ]);
    expect(targetAuditConfig.safeParse({ ignore: ['Wombat'] }).error?.message).toContain(
      'give a tag that is not in PS3.6 by its number',
    );
    expect(targetAuditConfig.safeParse({ ignore: ['privat'] }).success).toBe(false);
  });

  it('is made at most once a minute, of a time longer than 0', () => {
    expect(targetAuditConfig.safeParse({ every: '59s' }).error?.message).toContain('at least 1m');
    expect(targetAuditConfig.parse({ every: '60s', since: '1ms' })).toMatchObject({ every: 60_000, since: 1 });
    expect(targetAuditConfig.safeParse({ since: 0 }).error?.message).toContain('longer than 0');
  });
});

describe('a transform', () => {
  const of = (raw: object): string[] =>
    transformConfig.safeParse(raw).error?.issues.map(({ message }) => message) ?? [];

  it('gives new UIDs if it anonymises, unless it keeps them, and needs a key for them and for pseudonyms', () => {
    const facts = (raw: object): boolean[] => {
      const transform = transformConfig.parse(raw);
      return [givesNewUids(transform), needsSecret(transform)];
    };
    expect(facts({})).toEqual([false, false]);
    expect(facts({ uids: 'new' })).toEqual([true, true]);
    expect(facts({ uids: 'keep' })).toEqual([false, false]);
    expect(facts({ anonymise: {} })).toEqual([true, true]);
    expect(facts({ anonymise: { pseudonyms: false } })).toEqual([true, true]);
    expect(facts({ anonymise: {}, uids: 'keep' })).toEqual([false, true]);
    expect(facts({ anonymise: { pseudonyms: false }, uids: 'keep' })).toEqual([false, false]);
  });

  it.each([
    '0008,0016',
    '00080016',
    '0008,0018',
    '0020000D',
    'SeriesInstanceUID',
    '0002,0010',
    '0000,0100',
    'FFFE,E000',
    '0010,0000',
    'CommandField',
    'Item',
  ])('does not set %s', (tag) => {
    expect(of({ set: { [tag]: 'x' } })).toEqual([expect.stringContaining(`${tag} cannot be set, copied or removed`)]);
    expect(of({ remove: [tag] })).toHaveLength(1);
    expect(of({ copy: { [tag]: 'PatientID' } })).toHaveLength(1);
  });

  it.each(['PatientID', '0010,0020', '0009,1001', '0008,0008', '0010,00AA'])('sets, copies and removes %s', (tag) => {
    expect(of({ set: { [tag]: 'x' }, remove: ['PatientName'], copy: { [tag]: 'PatientID' } })).toEqual([]);
  });

  it('removes pixel data, and does not set or copy it', () => {
    for (const tag of ['PixelData', '7fe0,0010', '7FE00008', 'DoubleFloatPixelData']) {
      expect(of({ remove: [tag] })).toEqual([]);
      expect(of({ set: { [tag]: 'x' } })).toEqual([`${tag} cannot be set or copied: its values are no texts`]);
    }
  });

  it('compresses only without loss, and does not anonymise in the same step', () => {
    expect(of({ transferSyntax: '1.2.840.10008.1.2.4.90' })).toEqual([]);
    expect(of({ transferSyntax: '1.2.840.10008.1.2.4.91' })).toEqual([
      expect.stringContaining('lossy compression makes another instance'),
    ]);
    expect(of({ transferSyntax: '1.2.840.10008.1.2.4.90', anonymise: {} })).toEqual([
      expect.stringContaining('cannot anonymise and transcode an instance in one go'),
    ]);
    expect(of({ transferSyntax: 'JPEG' })).toEqual(['a UID has digits and dots']);
  });

  it('keeps tags only from an anonymisation', () => {
    expect(of({ keep: ['StudyDate'], anonymise: {} })).toEqual([]);
    expect(of({ keep: [], set: {} })).toEqual([]);
    expect(of({ keep: ['StudyDate'] })).toEqual(['keep is for anonymise: nothing else removes tags']);
  });
});

describe('a schedule', () => {
  it('has a time zone of the IANA database', () => {
    const windows = [{ from: '00:00', to: '24:00' }];
    expect(schedule.parse({ windows }).timeZone).toBe('UTC');
    expect(schedule.parse({ timeZone: 'Europe/Berlin', windows }).timeZone).toBe('Europe/Berlin');
    expect(schedule.safeParse({ timeZone: 'Europe/Atlantis', windows }).error?.message).toContain('not a time zone');
  });

  it.each(['24:00', '7:00', '12:60', '12:00:00', 'noon', '25:00'])('does not begin at %s', (from) => {
    expect(schedule.safeParse({ windows: [{ from, to: '12:00' }] }).error?.message).toContain('a time of day is HH:MM');
  });

  it.each(['24:01', '7:00', '12:60', '24:00:00'])('does not end at %s', (to) => {
    expect(schedule.safeParse({ windows: [{ from: '00:00', to }] }).error?.message).toContain('a time of day is HH:MM');
  });
});

it('records are kept for an hour at least, or for ever', () => {
  expect(recordsConfig.parse({ keep: 'forever' }).keep).toBe('forever');
  expect(recordsConfig.parse({ keep: '1h' }).keep).toBe(3_600_000);
  expect(recordsConfig.parse({}).keep).toBe(90 * 86_400_000);
  expect(recordsConfig.safeParse({ keep: '59m' }).error?.message).toContain('at least 1h');
});

it('a key that is rotated is one secret, or a list of them', () => {
  const [one, two] = [new Secret('1'), new Secret('2')];
  expect(secretKeys.parse(one)).toEqual([one]);
  expect(secretKeys.parse([one, two])).toEqual([one, two]);
  for (const bad of ['text', [], [one, 'text'], Array.from({ length: 6 }, () => one)])
    expect(secretKeys.safeParse(bad).success).toBe(false);
});

it('a sign-in is required with users, tokens or a provider', () => {
  const of = (raw: object): boolean => needsSignIn(consoleConfig.parse(raw));
  const password = new Secret('x');
  expect(of({})).toBe(false);
  expect(of({ users: {}, tokens: {} })).toBe(false);
  expect(of({ users: { ada: { password } } })).toBe(true);
  expect(of({ tokens: { script: { token: password } } })).toBe(true);
  expect(of({ oidc: { issuer: 'https://x', clientId: 'c' } })).toBe(true);
});

it('an option is in the group of its type, in that of all types, or in the last', () => {
  const groups = { basic: ['host', 'concurrency'], security: ['tls'] };
  expect(
    ['host', 'tls', 'concurrency', 'rateLimit', 'enabled', 'other'].map((one) => groupOfOption(one, groups)),
  ).toEqual(['basic', 'security', 'basic', 'speed', 'basic', 'advanced']);
});

it('example values of types are listed by their path', () => {
  const about = { displayName: '', purpose: '', icon: '', groups: {} };
  expect(
    targetExamples({ net: { ...about, example: { host: 'x', port: '1' } }, disk: { ...about, example: {} } }),
  ).toEqual({
    'targets.net.host': 'x',
    'targets.net.port': '1',
  });
});
