import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { makeCertificates, startOrthanc, tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { ConfigError } from '@dicom-dispatch/runtime';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../read-config.ts';
import { findWarnings } from './find-warnings.ts';

const run = (command: string, ...args: string[]): Buffer => execFileSync(command, args, { stdio: 'pipe' });
const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

let folder: TempFolder;
beforeAll(async () => {
  folder = await tempFolder('warnings');
  vi.stubEnv('DISPATCH_TEST_SECRET', 'a long secret of this test');
  vi.stubEnv('DISPATCH_TEST_SHORT', 'short');
  vi.stubEnv('DISPATCH_TEST_TOKEN', 'a-token-of-27-characters-ok');
  vi.stubEnv('DISPATCH_TEST_URL', 'redis://:word@127.0.0.1:6379');
  vi.stubEnv('DISPATCH_TEST_HOOK', 'https://hooks.example/services/T0/B0/word');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await folder.remove();
});

/** A configuration of one source, one target and one rule, with some sections replaced. */
function yaml(sections: Readonly<Record<string, string>> = {}): string {
  const all = {
    sources: '{ main: { url: http://127.0.0.1:8042 } }',
    targets: '{ pacs: { type: dicom, host: pacs, calledAeTitle: PACS } }',
    rules: '[{ name: all, targets: [pacs] }]',
    redis: `{ dataFolder: ${folder.path}/none }`,
    ...sections,
  };
  return Object.entries(all)
    .map(([name, text]) => `${name}: ${text}\n`)
    .join('');
}

/** Output of `config check`: problems if it cannot be used, otherwise warnings; without the name of the file. */
async function check(text: string): Promise<string[]> {
  const file = `${folder.path}/dispatch.yaml`;
  await writeFile(file, text);
  try {
    const [config, text] = [await readConfig(file), await readFile(file, 'utf8')];
    return (await findWarnings(file, { config, text })).map((line) => line.slice(file.length + 1));
  } catch (error) {
    if (error instanceof ConfigError)
      return error
        .format()
        .split('\n')
        .map((line) => `! ${line.slice(file.length + 1)}`);
    throw error;
  }
}

const rule = (when: string, more = ''): Readonly<Record<string, string>> => ({
  rules: `[{ name: all, targets: [pacs], when: '${when}'${more} }]`,
});
const target = (text: string): Readonly<Record<string, string>> => ({ targets: `{ pacs: { ${text} } }` });
const dicom = 'type: dicom, host: pacs, calledAeTitle: PACS';

describe('conditions', () => {
  it.each([
    [
      'study.ModalitiesInStudy == "CT"',
      'compares a list with a text, so it is never true; it is a list: write "CT" in',
    ],
    ['study.ModalitiesInStudy != "CT"', 'so it is always true'],
    ['"CT" == study.ModalitiesInStudy', 'compares a text with a list'],
    ['study.ModalitiesInStudy.contains("CT")', 'can never be evaluated'],
    ['study.ModalitiesInStudy.startsWith("C")', 'can never be evaluated'],
    ['study.ModalitiesInStudy > "CT"', 'can never be evaluated'],
    ['study.Modality == "CT"', 'study.Modality has the value of one instance only'],
    ['study.SeriesDescription == "x"', 'series.exists(s, s.SeriesDescription == "…")'],
    ['study["BodyPartExamined"] == "CHEST"', 'study.BodyPartExamined has the value of one instance only'],
    ['study.PatientAge > 60', 'can never be evaluated, so it counts as false'],
    ['study.PatientWeight == 80', 'compares a text with a number, so it is never true'],
    ['study.StudyDate < now', 'date(study.StudyDate) < now'],
    [
      'source == "main" || study.NumberOfStudyRelatedInstances > 5',
      '`study.NumberOfStudyRelatedInstances > 5` can never',
    ],
    ['"CT" in study.StudyDescription', 'the right side of `in` must be a list'],
    ['"CT" in series', 'is never true: the list has no such elements; write series.exists(s, s.Modality == "CT")'],
    ['study.ModalitiesInStudy.exists(m, m == 3)', '`m == 3` compares a text with a number'],
    ['study.StudyID in [1, 2]', 'is never true: the list has no such elements; compare texts with texts'],
    ['study.AccessionNumber', 'is a text, neither true nor false'],
    ['source == "main" && study.StudyDescription', '`study.StudyDescription` is a text'],
    ['!study.StudyDescription', 'is a text, neither true nor false'],
    ['series.exists(s, s.KVP > 100)', '`s.KVP > 100` can never be evaluated'],
    [
      'series.exists(s, s.Modality == "CT" && s.SeriesNumber == 3)',
      '`s.SeriesNumber == 3` compares a text with a number',
    ],
    ['series.exists(s, s.SeriesDescription)', 'is a text, neither true nor false'],
    ['study.PatientSex == "M" && study.PatientSex == "F"', 'are never true at the same time'],
    [
      '"CT" in study.ModalitiesInStudy && (study.StudyID == "1" && study.StudyID == "2")',
      'are never true at the same time',
    ],
    ['source == "archive"', 'is never true: the sources of this rule are main'],
    ['source == "main" || source == "Main"', '`source == "Main"` is never true'],
    [
      '"ct" in study.ModalitiesInStudy',
      '"ct" is never a value of ModalitiesInStudy, whose codes are written in capitals: "CT"',
    ],
    ['study.PatientSex == "female"', '"female" is never a value of PatientSex'],
    ['series.exists(s, s.Modality in ["Mr", "CT"])', '"Mr" is never a value of Modality'],
    ['origin.ArrivedAt == "20240101"', 'compares a time with a text'],
  ])('%s', async (when, expected) => {
    expect(await check(yaml(rule(when)))).toEqual([expect.stringMatching(/^3:\d+: rules\[0\]\.when: /)]);
    expect((await check(yaml(rule(when))))[0]).toContain(expected);
  });

  it.each([
    'source == "main"',
    '"CT" in study.ModalitiesInStudy',
    'series.exists(s, s.Modality == "CT" && s.KVP == "120")',
    'series.exists(s, double(s.SliceThickness) < 3.0)',
    'age(study) > 60.0',
    'date(study.StudyDate) < now',
    'now - date(study.StudyDate, study.StudyTime) < duration("24h")',
    'int(study.PatientWeight) > 80',
    'has(study.AccessionNumber) && study.AccessionNumber.startsWith("A")',
    'glob(study.StudyDescription, "*thorax*") || study.PatientSex == "M" || study.PatientSex == "F"',
    'study.StudyDescription.matches("^CT.*")',
    'origin.RemoteAET == "MODALITY" && now.getHours("Europe/Berlin") >= 20',
    'study["OurTag"] == "x"',
    'size(series) > 3 && size(study.StudyDescription) > 0',
    'has(study.StudyID) ? study.StudyID == "1" : true',
    'study.ModalitiesInStudy == ["CT"]',
    'true',
  ])('%s: nothing', async (when) => {
    expect(await check(yaml(rule(when)))).toEqual([]);
  });

  it('names those of complete.when, and not those of rules that are off', async () => {
    const complete = rule('true', ', complete: { when: "study.Modality", timeout: 1h }');
    expect(await check(yaml(complete))).toEqual([
      expect.stringContaining('rules[0].complete.when: `study.Modality` is a text'),
      expect.stringContaining('rules[0].complete.when: study.Modality has the value of one instance only'),
    ]);
    const off = `[{ name: all, targets: [pacs] }, { name: off, enabled: false, targets: [pacs], when: study.Modality }]`;
    expect(await check(yaml({ rules: off }))).toEqual([]);
  });
});

describe('rules and targets', () => {
  it.each<[string, Readonly<Record<string, string>>, (string | RegExp)[]]>([
    ['no rules', { rules: '[]' }, ['rules: there are no rules: studies are only sent manually']],
    [
      'only rules that are off',
      { rules: '[{ name: a, enabled: false, targets: [pacs] }]' },
      ['every rule is disabled'],
    ],
    [
      'a rule behind one that ends the list',
      { rules: '[{ name: a, targets: [pacs], stop: true }, { name: b, targets: [pacs] }]' },
      ['rules[1]: never applies: the rule "a" above it matches every study and stops the evaluation'],
    ],
    [
      'rules of other sources behind one',
      {
        sources: '{ main: { url: http://127.0.0.1:8042 }, other: { url: http://127.0.0.1:8043 } }',
        rules:
          '[{ name: a, sources: [main], targets: [pacs], stop: true }, { name: b, sources: [other], targets: [pacs] }, { name: c, sources: [main], targets: [pacs] }]',
      },
      ['rules[2]: never applies'],
    ],
    [
      'a rule behind one that ends the list for some',
      { rules: '[{ name: a, targets: [pacs], stop: true, when: \'source == "main"\' }, { name: b, targets: [pacs] }]' },
      [],
    ],
    [
      'a fallback beside a rule for every study',
      { rules: '[{ name: a, fallback: true, targets: [pacs] }, { name: b, targets: [pacs] }]' },
      ['rules[0].fallback: never applies: fallback rules are for studies that no other rule matches, and "b" matches'],
    ],
    [
      'a target that no rule names',
      { targets: `{ pacs: { ${dicom} }, other: { type: dummy } }` },
      ['targets.other: no rule sends to this target'],
    ],
    [
      'two sources at one address',
      { sources: '{ main: { url: http://127.0.0.1:8042 }, again: { url: http://127.0.0.1:8042/ } }' },
      ['sources.again.url: is also the address of the source main'],
    ],
    [
      'only a source that is off',
      { sources: '{ main: { url: http://127.0.0.1:8042, enabled: false } }' },
      ['sources: every source is disabled (enabled: false): studies are only sent manually'],
    ],
    [
      'a rule of sources that are off',
      {
        sources: '{ main: { url: http://127.0.0.1:8042 }, off: { url: http://127.0.0.1:8043, enabled: false } }',
        rules: '[{ name: a, targets: [pacs] }, { name: b, sources: [off], targets: [pacs] }]',
      },
      ['rules[1].sources: only disabled sources: the rule applies to no new study until one of them is enabled'],
    ],
    [
      'a source that starts in years',
      { sources: '{ main: { url: http://127.0.0.1:8042, startFrom: 2999-01-31 } }' },
      ['sources.main.startFrom: 2999-01-31 is in the future: a source that is first followed with it routes no study'],
    ],
    [
      'a source that starts at a date',
      { sources: '{ main: { url: http://127.0.0.1:8042, startFrom: 2024-02-29 } }' },
      [],
    ],
    [
      'a group that no rule names',
      { groups: '{ both: { targets: [pacs] } }' },
      ['groups.both: no rule uses this group'],
    ],
    [
      'a target that rules name by a group',
      { groups: '{ both: { targets: [pacs] } }', rules: '[{ name: a, targets: [both] }]' },
      [],
    ],
    ['a target that is off', target(`${dicom}, enabled: false`), ['wait until it is enabled']],
    [
      'a transform that nobody uses',
      { transforms: '{ t: { remove: [PatientName] } }' },
      ['no rule and no target uses it'],
    ],
  ])('%s', async (_, sections, expected) => {
    const found = await check(yaml(sections));
    expect(found).toEqual(expected.map((text) => expect.stringContaining(String(text))));
  });
});

describe('what others on the network reach', () => {
  const secret = '"${DISPATCH_TEST_SECRET}"';
  const users = `users: { anna: { password: ${secret} } }`;
  it.each<[string, Readonly<Record<string, string>>, string[]]>([
    ['console off loopback without users', { console: '{ listen: 0.0.0.0:8080 }' }, ['the console will not start']],
    ['console off loopback without TLS', { console: `{ listen: 0.0.0.0:8080, ${users} }` }, ['unencrypted']],
    [
      'console behind a proxy with TLS',
      { console: `{ listen: 0.0.0.0:8080, publicUrl: https://dispatch.example, ${users} }` },
      [],
    ],
    [
      'console behind a proxy without TLS',
      { console: `{ listen: 10.0.0.1:8080, publicUrl: http://dispatch.example, ${users} }` },
      ['console.publicUrl: passwords and pages are sent unencrypted'],
    ],
    ['console on IPv6 loopback', { console: '{ listen: "[::1]:8080" }' }, []],
    [
      'health off loopback',
      { health: '{ router: 0.0.0.0:8081 }' },
      ['health.router: health and metrics are available'],
    ],
    [
      'push without TLS',
      {
        sources: `{ main: { url: http://127.0.0.1:8042, pushSecret: ${secret} } }`,
        push: '{ listen: 0.0.0.0:8083 }',
      },
      ['push.listen: the secret of the plugin'],
    ],
    ['push that nobody uses', { push: '{ listen: 0.0.0.0:8083 }' }, []],
    [
      'Redis elsewhere without password and TLS',
      { redis: '{ url: redis://redis.example:6379 }' },
      [
        'redis.url: Redis on another host is used without a password',
        'redis.url: Redis on another host is used without TLS',
      ],
    ],
    ['Redis elsewhere with both', { redis: `{ url: rediss://redis.example:6379, password: ${secret} }` }, []],
    [
      'Sentinels elsewhere',
      { redis: `{ sentinel: { name: m, addresses: ["10.0.0.1:26379"] }, password: ${secret} }` },
      ['redis.sentinel: Redis on another host is used without TLS'],
    ],
    [
      'a source elsewhere with a password over http',
      { sources: `{ main: { url: http://orthanc.example:8042, username: a, password: ${secret} } }` },
      ['sources.main.url: the password is sent to orthanc.example unencrypted'],
    ],
    [
      'a source elsewhere with a password over https',
      { sources: `{ main: { url: https://orthanc.example, username: a, password: ${secret} } }` },
      [],
    ],
    [
      'a target elsewhere with a password over http',
      target(`type: dicomweb, url: http://web.example, auth: { type: basic, username: a, password: ${secret} }`),
      ['targets.pacs.url: the password is sent to web.example'],
    ],
    ['a target elsewhere over http', target('type: dicomweb, url: http://web.example'), []],
    [
      'a certificate that is not checked',
      target(`type: dicom-tls, host: pacs, calledAeTitle: P, tls: { verify: false }`),
      ['targets.pacs.tls.verify: is disabled: any certificate is accepted'],
    ],
    [
      'a name that is not checked',
      target(`type: dicom-tls, host: pacs, calledAeTitle: P, tls: { verifyHostname: false }`),
      ['tls.verifyHostname: is disabled'],
    ],
    [
      'a certificate of a website that is not checked',
      target('type: dicomweb, url: https://web.example, tls: { verify: false }'),
      ['targets.pacs.tls.verify: is disabled'],
    ],
  ])('%s', async (_, sections, expected) => {
    expect(await check(yaml(sections))).toEqual(expected.map((text) => expect.stringContaining(text)));
  });
});

describe('files that are no configuration', () => {
  it('identifies UTF-16, and aliases with unlimited expansion', async () => {
    const file = `${folder.path}/odd.yaml`;
    const wrong = async (): Promise<string> => {
      try {
        await readConfig(file);
        return 'good';
      } catch (error) {
        return (error as ConfigError).format();
      }
    };
    for (const [bom, order] of [
      [[0xff, 0xfe], (text: Buffer) => text],
      [[0xfe, 0xff], (text: Buffer) => text.swap16()],
    ] as const) {
      await writeFile(file, Buffer.concat([Buffer.from(bom), order(Buffer.from(yaml(), 'utf16le'))]));
      expect(await wrong()).toBe(`${file}:1:1: is written in UTF-16: save it as UTF-8`);
    }
    await writeFile(file, Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(yaml())]));
    expect(await wrong()).toBe('good');
    await writeFile(file, Buffer.from([...Buffer.from('sources: '), 0xe4, 0x0a]));
    expect(await wrong()).toBe(`${file}:1:1: is not UTF-8: save it as UTF-8`);
    const levels = Array.from({ length: 12 }, (_, at) =>
      at === 0 ? 'x0: &x0 [a, a]' : `x${at}: &x${at} [*x${at - 1}, *x${at - 1}, *x${at - 1}]`,
    );
    await writeFile(file, levels.join('\n'));
    expect(await wrong()).toContain(
      `${file}:1:1: has aliases (*name) that expand to too much data: replace the aliases by their content`,
    );
    await writeFile(file, 'a: *nowhere');
    expect(await wrong()).toContain('nowhere');
  });

  it.each<[string, () => string | Buffer, string]>([
    ['UTF-16 without its mark', () => Buffer.from('sources: {}', 'utf16le'), 'is written in UTF-16: save it as UTF-8'],
    ['a merge key of nobody', () => 'targets: { a: { <<: *nope } }', 'has a merge key (<<) that names no map'],
    ['lists without end', () => `a: ${'['.repeat(5_000)}`, 'has lists or maps that are nested too deeply'],
    [
      'a map of many keys',
      () => `notes:\n${Array.from({ length: 6_000 }, (_, at) => `  k${at}: 1\n`).join('')}`,
      'has a map of 6000 keys, at most 5000',
    ],
    ['a key that is there twice', () => 'redis: {}\nredis: {}\n', '2:1: is not YAML: Map keys must be unique'],
    [
      'a tag that includes a file',
      () => yaml({ rules: '!include rules.yaml' }),
      'has a tag that is not known (!include',
    ],
    ['a map as key', () => '? { a: b }\n: c\n', 'A key must be a name, not a map or list'],
    [
      'a reference with a default',
      () => yaml(target('type: orthanc, url: "http://${HOST:-a}"')),
      '${HOST:-a} is not a reference: write ${NAME}',
    ],
    ['a map instead of a list', () => yaml({ rules: '{}' }), 'rules: {} is not a list: write [a, b]'],
    ['a file without anything', () => '', 'sources: is missing: a map is required'],
    ['a number below its bound', () => yaml(target(`${dicom}, attempts: 0`)), 'attempts: 0: use at least 1'],
    ['a number without end', () => yaml(target(`${dicom}, attempts: .inf`)), 'Infinity is not a number'],
    [
      'a file for the audit log alone',
      () => yaml({ console: '{ audit: { file: /nowhere/audit.log }, listen: 1 }' }),
      'console.listen: 1 is not a text',
    ],
    ['a timeout of years', () => yaml(target(`${dicom}, timeout: 999999d`)), 'timeout: is longer than 24d'],
    ['two documents', () => `${yaml()}---\n${yaml()}`, 'has more than one document (---): keep one'],
    ['a secret in an endless file', () => yaml({ redis: '{ url: { file: /dev/zero } }' }), 'larger than 64 KiB'],
    ['a secret in an empty file', () => yaml({ redis: '{ url: { file: /dev/null } }' }), '/dev/null is empty'],
    [
      'a duration in words',
      () => yaml({ dispatcher: '{ graceTime: 30 seconds }' }),
      'a duration is a number with a unit',
    ],
    ['a size below zero', () => yaml({ cache: '{ maxMemory: -1GB }' }), 'a size is a number with a unit'],
    ['a port that is none', () => yaml({ console: '{ listen: "127.0.0.1:99999" }' }), 'a port is at most 65535'],
    ['a database that is none', () => yaml({ redis: '{ url: redis://a/one }' }), 'the number of the database'],
    ['Redis at port 0', () => yaml({ redis: '{ url: redis://a:0 }' }), 'a URL such as redis://HOST:6379'],
    ['a password in what is refused', () => yaml({ sources: '{ main: { url: ftp://me:word@a } }' }), 'ftp://***@a'],
    ['a host with a port', () => yaml(target('type: dicom, host: "pacs:104", calledAeTitle: P')), 'a host has no port'],
    ['a source with a query', () => yaml({ sources: '{ main: { url: "http://a:1/?b" } }' }), 'a URL without query'],
    [
      'a source that is asked without pause',
      () => yaml({ sources: '{ main: { url: "http://a:1", pollInterval: 0 } }' }),
      'at least 10ms',
    ],
  ])('says of %s what is wrong, with its line', async (_, text, words) => {
    const file = `${folder.path}/wrong.yaml`;
    await writeFile(file, text());
    const error: unknown = await readConfig(file).catch((thrown: unknown) => thrown);
    if (!(error instanceof ConfigError)) throw error;
    expect(error.format()).toMatch(/:[1-9]\d*:[1-9]\d*: /);
    expect(error.format()).toContain(words);
    expect(error.format()).not.toContain('word@');
  });
});

describe('files and folders on this host', () => {
  it('names certificates that are not there, and a certificate without its key', async () => {
    const tls = 'type: dicom-tls, host: pacs, calledAeTitle: P, tls:';
    expect(await check(yaml(target(`${tls} { ca: /nowhere/ca.pem }`)))).toEqual([
      expect.stringContaining('targets.pacs.tls.ca: /nowhere/ca.pem does not exist on this host'),
    ]);
    expect(await check(yaml(target(`${tls} { cert: /nowhere/cert.pem }`)))).toEqual([expect.stringContaining('! 2:')]);
    const { ca, expiredServer: expired, server } = await makeCertificates();
    expect(
      await check(yaml(target(`${tls} { ca: ${ca.certFile}, cert: ${server.certFile}, key: ${server.keyFile} }`))),
    ).toEqual([]);
    expect(
      await check(yaml(target(`${tls} { ca: ${server.keyFile}, cert: ${expired.certFile}, key: ${ca.certFile} }`))),
    ).toEqual([
      expect.stringContaining('has no certificate in PEM form'),
      expect.stringContaining('has a certificate that expired on '),
      expect.stringContaining('has no private key in PEM form'),
    ]);
    expect(await check(yaml(target(`${tls} { key: /nowhere/key.pem }`)))).toEqual([
      expect.stringContaining('targets.pacs.tls.key: is set without cert'),
    ]);
    expect(await check(yaml(target(`${tls} { profile: bcp195-extended, minVersion: TLSv1.3 }`)))).toEqual([
      expect.stringContaining('targets.pacs.tls.minVersion: TLSv1.3 is not supported by the profile bcp195-extended'),
    ]);
  });

  it('names folders in memory, and shares that are not mounted', async () => {
    await mkdir(`${folder.path}/files`);
    const at = (path: string): string => yaml(target(`type: folder, path: ${path}`));
    expect(await check(at(`${folder.path}/files`))).toEqual([]);
    expect(await check(at('/dev/shm'))).toEqual([
      expect.stringContaining('targets.pacs.path: /dev/shm is in memory (tmpfs)'),
    ]);
    for (const root of ['/', '/srv/..']) {
      expect(await check(at(root))).toEqual([
        expect.stringContaining(`targets.pacs.path: ${root} is the root of the file system`),
      ]);
    }
    expect(await check(at('/mnt/no-such-share/images'))).toEqual([
      expect.stringContaining('is on the system disk and not on a mount: mount the share'),
    ]);
  });
});

describe('what every account on this host can change', () => {
  it('is named: the configuration, its secrets and programs, and the folders that they are in', async () => {
    const at = (name: string): string => `${folder.path}/${name}`;
    await mkdir(at('open'));
    for (const name of ['closed.pw', 'shared.pw', 'open/in.pw', 'open/handler.js']) await writeFile(at(name), 'word');
    const secret = (name: string): string =>
      yaml(
        target(
          `type: orthanc, url: "http://127.0.0.1:1", auth: { type: basic, username: u, password: { file: ${name} } }`,
        ),
      );
    expect(await check(secret('closed.pw'))).toEqual([]);
    await chmod(at('shared.pw'), 0o646);
    expect(await check(secret('shared.pw'))).toEqual([
      expect.stringContaining(
        `targets.pacs.auth.password: ${at('shared.pw')}, a secret, can be changed by every account on this host: chmod o-w`,
      ),
    ]);
    expect(await check(secret('open/in.pw'))).toEqual([]);
    await chmod(at('open'), 0o777);
    expect(await check(secret('open/in.pw'))).toEqual([
      expect.stringContaining(`can be replaced by every account on this host, since all can write to ${at('open')}`),
    ]);
    if (canMount) {
      run('mount', '--bind', at('open'), at('open'));
      try {
        run('mount', '-o', 'remount,bind,ro', at('open'));
        expect(await check(secret('open/in.pw'))).toEqual([]);
      } finally {
        run('umount', at('open'));
      }
    }
    // Like /tmp: other users may add files, but cannot replace existing ones.
    await chmod(at('open'), 0o1777);
    expect(await check(secret('open/in.pw'))).toEqual([]);
    const file = at('dispatch.yaml');
    await chmod(file, 0o666);
    await writeFile(`${file}.key`, '', { mode: 0o644 });
    expect(await check(yaml())).toEqual([
      expect.stringContaining('the configuration, can be changed by every account on this host'),
      expect.stringMatching(/dispatch.yaml.key can be read by every account on this host: .*chgrp GROUP .*chmod 640/),
    ]);
    await rm(`${file}.key`);
    await chmod(file, 0o644);
  });
});

it.runIf(canMount)('the key of sealed secrets on a read-only mount: its mode is set where it is mounted', async () => {
  const secret = `${folder.path}/secret`;
  await mkdir(secret, { mode: 0o777 });
  await writeFile(`${secret}/key`, '', { mode: 0o644 });
  run('mount', '--bind', secret, secret);
  process.env['DICOM_DISPATCH_KEY_FILE'] = `${secret}/key`;
  try {
    run('mount', '-o', 'remount,bind,ro', secret);
    expect(await check(yaml())).toEqual([
      expect.stringMatching(
        /secret\/key can be read by every account on this host: it is on a read-only mount: .*0440/,
      ),
    ]);
  } finally {
    delete process.env['DICOM_DISPATCH_KEY_FILE'];
    run('umount', secret);
  }
});

describe('values that contradict each other', () => {
  const f = (): string => `type: folder, path: ${folder.path}`;
  const web = 'url: "http://127.0.0.1:1"';
  const stow = 'type: dicomweb, url: "http://127.0.0.1:1"';
  it.each<[string, () => Readonly<Record<string, string>>, string]>([
    [
      'two targets at one place',
      () => ({
        targets: `{ pacs: { ${f()} }, again: { ${f()}/ } }`,
        rules: '[{ name: all, targets: [pacs, again] }]',
      }),
      'targets.again: is the same place as the target pacs',
    ],
    [
      'console and health at one port',
      () => ({ console: '{ listen: "127.0.0.1:8081" }' }),
      'health.router: port 8081 is also that of console.listen',
    ],
    [
      'health at the port of the console, by another name of the address',
      () => ({ console: '{ listen: "127.0.0.1:8081" }', health: '{ router: "localhost:8081" }' }),
      'health.router: port 8081 is also that of console.listen',
    ],
    [
      'the console at the port of Orthanc',
      () => ({ console: '{ listen: "127.0.0.1:8042" }' }),
      'console.listen: port 8042 is also that of the source main',
    ],
    [
      'a password without user',
      () => ({ sources: '{ main: { url: http://127.0.0.1:8042, password: "${DISPATCH_TEST_SECRET}" } }' }),
      'sources.main.password: is set without username',
    ],
    [
      'a user without password',
      () => ({ sources: '{ main: { url: http://127.0.0.1:8042, username: a } }' }),
      'sources.main.username: is set without password',
    ],
    [
      'a user in the address of a source',
      () => ({ sources: '{ main: { url: http://a@127.0.0.1:8042 } }' }),
      'write it as username, with its password',
    ],
    [
      'groups that have no role',
      () => ({ console: '{ oidc: { issuer: https://id.example, clientId: a } }' }),
      'console.oidc: no group has a role, so nobody can sign in',
    ],
    [
      'a key that can be guessed',
      () => ({ cache: '{ secret: "${DISPATCH_TEST_SHORT}" }' }),
      'cache.secret: has 5 characters and can be guessed',
    ],
    ['every series excluded', () => rule('true', ', instances: { exclude: ["*"] }'), 'excludes every series'],
    [
      'the address of all studies',
      () => target('type: dicomweb, url: https://a.example/dicom-web/studies'),
      'targets.pacs.url: ends with /studies',
    ],
    ['a back-off that shrinks', () => target(`${dicom}, backoff: { first: 1h, max: 1m }`), 'longer than backoff.max'],
    [
      'a tag that is set and removed',
      () => ({
        transforms: '{ t: { set: { PatientID: a }, remove: [PatientID] } }',
        rules: '[{ name: all, targets: [pacs], transform: t }]',
      }),
      'transforms.t.set.PatientID: PatientID is also removed',
    ],
    [
      'e-mails without a server',
      () => ({ console: '{ notifications: { emails: { a: { to: [a@b.example] } } } }' }),
      'no e-mail is sent without a mail server',
    ],
    [
      'notifications of a target that is not there',
      () => ({ console: `{ notifications: { webhooks: { a: { ${web}, targets: [nope] } } } }` }),
      'webhooks.a.targets[0]: "nope" is not among the targets: use one of pacs',
    ],
    [
      'a token for a target that is not there',
      () => ({ console: '{ tokens: { a: { token: "${DISPATCH_TEST_TOKEN}", targets: [nope] } } }' }),
      'tokens.a.targets[0]: "nope" is not among the targets',
    ],
    [
      'a folder that is not there',
      () => target('type: folder, path: /nowhere/x'),
      'does not exist on this host: create',
    ],
    ['a file as folder', () => target('type: folder, path: /etc/passwd'), '/etc/passwd is not a folder on this host'],
    [
      'host keys that are not there',
      () =>
        target(
          'type: sftp, host: a, username: u, password: "${DISPATCH_TEST_SECRET}", hostKey: { knownHosts: /nowhere/k }, path: /in',
        ),
      'targets.pacs.hostKey.knownHosts: /nowhere/k does not exist on this host: correct the path',
    ],
    [
      'a storage folder that is not there',
      () => ({ sources: '{ main: { url: http://127.0.0.1:8042, storageFolder: /nowhere/s } }' }),
      'sources.main.storageFolder: /nowhere/s does not exist on this host',
    ],
    ['data in a file', () => ({ redis: '{ dataFolder: /etc/passwd }' }), '/etc/passwd is not a folder'],
  ])('%s', async (_, sections, expected) => {
    expect(await check(yaml(sections()))).toEqual([expect.stringContaining(expected)]);
  });

  it.each<[string, Readonly<Record<string, string>>]>([
    [
      'two AE titles at one receiver',
      { targets: `{ pacs: { ${dicom} }, two: { type: dicom, host: pacs, calledAeTitle: TWO } }` },
    ],
    [
      'two targets at one address with different identities',
      {
        targets: `{ pacs: { ${stow}, headers: { X-Tenant: a }, identity: a }, two: { ${stow}, headers: { X-Tenant: b }, identity: b } }`,
      },
    ],
    [
      'one port of two addresses',
      { console: '{ listen: "127.0.0.1:8081" }', health: '{ router: "127.0.0.2:8081", dispatcher: "127.0.0.2:8042" }' },
    ],
    ['ports that are chosen when it starts', { health: '{ router: "127.0.0.1:0", dispatcher: "127.0.0.1:0" }' }],
  ])('%s: nothing', async (_, sections) => {
    const rules = '[{ name: all, targets: [pacs] }, { name: two, targets: [pacs] }]';
    const found = await check(yaml({ rules, ...sections }));
    expect(found.filter((line) => !line.includes('no rule sends'))).toEqual([]);
  });

  it.each(['0.0.0.0', '[::]'])('one port of an address and of %s', async (every) => {
    const sections = { console: '{ listen: "127.0.0.1:8081" }', health: `{ router: "${every}:8081" }` };
    expect(await check(yaml(sections))).toContainEqual(
      expect.stringContaining('health.router: port 8081 is also that of console.listen'),
    );
  });
});

describe('secrets in plain text', () => {
  const web = (headers: string): Readonly<Record<string, string>> =>
    target(`type: orthanc, url: "http://127.0.0.1:1", headers: ${headers}`);
  const hook = (options: string): Readonly<Record<string, string>> => ({
    console: `{ notifications: { webhooks: { it: { ${options} } } } }`,
  });

  it.each([
    [{ redis: '{ url: "redis://:word@127.0.0.1:6379" }' }, 'redis.url: a password in the address is shown'],
    [web('{ X-Api-Key: word }'), 'targets.pacs.headers.X-Api-Key: the value of X-Api-Key is a secret in plain text'],
    [web('{ X-Site: Bearer word }'), 'the value of X-Site is a secret in plain text'],
    [web('{ X-Site: word5f0a1b2c3d4e5f }'), 'the value of X-Site is a secret in plain text'],
    [web('{ X-Site: 5f0a1b2c-3d4e-4f60-8172-93a4b5c6d7e8 }'), 'the value of X-Site is a secret in plain text'],
    [web('{ X-Site: main-0123456789abcdef }'), 'the value of X-Site is a secret in plain text'],
    [web('{ X-Site: aBcdefghijKlmnop7qr }'), 'the value of X-Site is a secret in plain text'],
    [hook('url: "http://127.0.0.1:1", headers: { Authorization: word }'), 'the value of Authorization is a secret'],
    [
      hook('url: "https://hooks.example/services/T0/B0/word", format: slack'),
      'webhooks.it.url: the address is a secret',
    ],
    [
      hook('url: "https://hooks.example/invoke?api-version=1&sig=word", format: teams'),
      'webhooks.it.url: the address is',
    ],
    [hook('url: "https://chat.example/hooks/word5f0a1b2c3d4e5f"'), 'everyone who knows it can post messages there'],
    [{ sources: '{ main: { url: "http://me:word@127.0.0.1:1" } }' }, 'sources.main.url: the password in the address'],
    [hook('url: "http://me:word@127.0.0.1:1"'), 'webhooks.it.url: the address is a secret'],
  ])('%j are told', async (sections, expected) => {
    const found = await check(yaml(sections));
    expect(found).toEqual([expect.stringContaining(expected)]);
    expect(found[0]).not.toMatch(/: word|word@|word5|[/=]word/);
  });

  it.each([
    { redis: '{ url: "redis://127.0.0.1:6379" }' },
    { redis: '{ url: "${DISPATCH_TEST_URL}" }' },
    web('{ X-Api-Key: "${DISPATCH_TEST_SECRET}", X-Site: 7b, Accept-Language: de }'),
    web('{ X-Project-Id: radiology-archive-2, X-Study: 1.2.840.113619.2.55.3 }'),
    hook('url: "https://chat.example/hooks/pacs"'),
    hook('url: "https://desk.example/incidents?api-version=2024-10-01-preview"'),
    hook('url: "${DISPATCH_TEST_HOOK}", format: slack'),
  ])('%j: nothing', async (sections) => {
    expect(await check(yaml(sections))).toEqual([]);
  });
});

describe('priors', () => {
  const withPriors = (priors: string, targets = 'pacs'): Readonly<Record<string, string>> => ({
    targets: `{ pacs: { ${dicom} }, archive: { ${dicom} }, files: { type: folder, path: ${folder.path} } }`,
    rules: `[{ name: all, targets: [${targets}], priors: { ${priors} } }, { name: rest, targets: [archive, files] }]`,
  });
  it.each([
    ['from: files', 'rules[0].priors.from: a target of type folder cannot be searched'],
    ['from: pacs', 'rules[0].priors.from: "pacs" is also their target'],
    ['first: true, wait: 0', 'rules[0].priors.wait: the study does not wait'],
    ['when: \'prior.ModalitiesInStudy == "CT"\'', 'it is a list: write "CT" in prior.ModalitiesInStudy'],
    ['when: \'prior.StudyID == "1" && prior.StudyID == "2"\'', 'are never true at the same time'],
    ['when: \'prior.Modality == "CT"\'', 'write "CT" in prior.ModalitiesInStudy, or priorSeries.exists('],
    ['from: nobody', '"nobody" is not among the targets: use one of source, pacs, archive, files'],
    ['targets: [files]', '"files" is not among the targets of this rule: use one of pacs'],
    ['when: \'prior.StudyDescriptoin == "CT"\'', 'is not a DICOM keyword; the nearest is StudyDescription'],
    ['when: \'origin.RemoteAET == "CT"\'', 'origin'],
  ])('%s', async (priors, text) => {
    expect((await check(yaml(withPriors(priors)))).join('\n')).toContain(text);
  });

  it('that can be met are not warned about', async () => {
    const good =
      'from: archive, maxAge: 5y, first: true, targets: [pacs], when: "prior.ModalitiesInStudy.exists(m, m in study.ModalitiesInStudy) && priorSeries.exists(s, s.BodyPartExamined == \'CHEST\')"';
    const all = await check(yaml(withPriors(good)));
    expect(all.filter((line) => line.includes('priors'))).toEqual([]);
  });
});

it('a value that a transform sets and that its VR does not allow is named with its line', async () => {
  const transforms = "{ dated: { set: { StudyDate: '20241301' } } }";
  const all = await check(yaml({ transforms, rules: '[{ name: all, targets: [pacs], transform: dated }]' }));
  expect(all.find((line) => line.includes('transforms.dated.set.StudyDate'))).toContain('DA does not allow');
});

it('a transfer syntax that the source cannot make is named, with the plugin that is missing', async () => {
  await using orthanc = await startOrthanc();
  const syntax = '1.2.840.10008.1.2';
  const dicom = '{ type: dicom, host: pacs, calledAeTitle: PACS,';
  const sections = (url: string): Readonly<Record<string, string>> => ({
    sources: `{ main: { url: ${url} } }`,
    transforms: `{ jls: { transferSyntax: ${syntax}.4.80 }, j2k: { transferSyntax: ${syntax}.4.90 }, htj2k: { transferSyntax: ${syntax}.4.201 } }`,
    targets: `
  first: ${dicom} transcode: always, transferSyntaxes: [${syntax}.4.90, ${syntax}.1] }
  either: ${dicom} transcode: fallback, transferSyntaxes: [${syntax}.4.90, ${syntax}.1] }
  none: ${dicom} transcode: fallback, transferSyntaxes: [${syntax}.4.90] }`,
    rules: `
  - { name: one, targets: [first, either, none], transform: jls }
  - { name: two, targets: [first], transform: j2k }
  - { name: three, targets: [first], transform: htj2k }`,
  });
  const about = async (url: string): Promise<string[]> =>
    (await check(yaml(sections(url)))).filter((line) => line.includes('cannot be created'));
  const answer = await about(orthanc.url);
  expect(answer).toHaveLength(4);
  for (const place of ['transforms.j2k', 'targets.first', 'targets.none']) {
    const line = answer.find((one) => one.includes(place));
    expect(line, place).toContain('install the Orthanc plugin gdcm there');
  }
  expect(answer.find((line) => line.includes('transforms.htj2k'))).toContain('Orthanc has no encoder for it');
  // The plugins of an unavailable source are unknown.
  expect(await about('http://127.0.0.1:1')).toHaveLength(1);
});
