import { readFile } from 'node:fs/promises';
import { Secret, transformConfig, type ManifestInstance, type TransformConfig } from '@dicom-dispatch/core';
import {
  startHttpServer,
  startLyingProxy,
  startOrthanc,
  type LyingProxy,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import { element, makeStudy, type Element, type StudyOptions } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTransform, openInstance, readManifest, type InstanceTransform, type KeepTransformed } from '../index.ts';
import { DataSetWalker, type WalkedElement } from '../inspect/data-set-walker.ts';
import { findInFileHead } from '../inspect/file-head.ts';

let server: OrthancServer;
let proxy: LyingProxy;
let orthanc: OrthancClient;
beforeAll(async () => {
  server = await startOrthanc({ overwriteInstances: true });
  proxy = await startLyingProxy({ url: server.url });
  orthanc = createOrthancClient({ url: proxy.url });
});
afterAll(async () => {
  await orthanc.close();
  await proxy.stop();
  await server.stop();
});

const anonymise = { anonymise: {} };

function transformOf(definition: object, keep?: KeepTransformed): InstanceTransform {
  const parsed: TransformConfig = transformConfig.parse(definition);
  const pseudonyms = { secret: new Secret('key'), prefix: 'P-' };
  return createTransform({ orthanc, source: 'main', definition: parsed, pseudonyms, keep });
}

async function store(bytes: Buffer): Promise<ManifestInstance> {
  const { ID, ParentStudy: orthancStudyId } = await server.upload(bytes);
  const studyInstanceUid = (await orthanc.studies.read(orthancStudyId)).MainDicomTags['StudyInstanceUID'] ?? '';
  const manifest = await readManifest(orthanc, { source: 'main', orthancStudyId, studyInstanceUid });
  const instance = manifest.find(({ sourceId }) => sourceId === ID);
  if (!instance) throw new Error('the instance is not listed');
  return instance;
}

async function storeSample(seed: string, options: StudyOptions): Promise<ManifestInstance> {
  const [sample] = makeStudy({ instancesPerSeries: 1, rows: 16, columns: 16, ...options, seed });
  if (!sample) throw new Error('an empty sample');
  return store(sample.bytes);
}

async function storeCase(name: string): Promise<ManifestInstance> {
  return store(await readFile(new URL(`../../../../test/fixtures/cases/${name}.dcm`, import.meta.url)));
}

async function bytesOf(transform: InstanceTransform, instance: ManifestInstance): Promise<Buffer> {
  const { body } = await transform.open(instance);
  return Buffer.concat(await Array.fromAsync(body));
}

/** Path to text of the result, parsed only by our code. */
function walk(bytes: Buffer): Map<string, string> {
  const found = new Map<string, string>();
  const walker = new DataSetWalker(({ path, value }: WalkedElement) => {
    found.set(path, value?.toString('utf8').replace(/[\0 ]+$/, '') ?? '');
  });
  walker.add(bytes.subarray(144 + bytes.readUInt32LE(140)));
  walker.end();
  return found;
}

const patient = { PatientID: 'PID-4711', PatientName: 'Muster^Erika' };

/** Identifying data, as in sequences of real orders and references. */
function nested(): Element[] {
  return [
    element(0x00080050, 'SH', 'ACC-NESTED'),
    element(0x00080080, 'LO', 'Nested Hospital'),
    element(0x00081110, 'SQ', [
      [
        element(0x00081150, 'UI', '1.2.840.10008.3.1.2.3.1'),
        element(0x00081155, 'UI', '1.2.826.0.1.55.1'),
        element(0x00100020, 'LO', 'PID-4711'),
      ],
    ]),
    element(0x00081140, 'SQ', [
      [element(0x00081155, 'UI', '1.2.826.0.1.55.2'), element(0x00204000, 'LT', 'comment on Erika')],
    ]),
    element(0x00090010, 'LO', 'CREATOR'),
    element(0x00091001, 'LO', 'secret of Erika'),
    element(0x00100010, 'PN', 'Muster^Erika'),
    element(0x00100020, 'LO', 'PID-4711'),
    element(0x00100030, 'DA', '19700101'),
    element(0x00102160, 'SH', 'group of Erika'),
    element(0x0040a370, 'SQ', [
      [element(0x00321060, 'LO', 'order for Erika'), element(0x00080050, 'SH', 'ACC-DEEPER')],
    ]),
  ];
}

describe('anonymisation', () => {
  const secrets = /Muster|Erika|PID-4711|ACC-|Nested Hospital|19700101|1\.2\.826\.0\.1\.55/;

  it.each(['explicit-le', 'implicit-le', 'explicit-be', 'deflated'] as const)(
    'leaves nothing in sequences, however deep (%s)',
    async (transferSyntax) => {
      const instance = await storeSample(`nested ${transferSyntax}`, {
        transferSyntax,
        attributes: patient,
        extraTags: [element(0x0040a370, 'SQ', [nested(), nested()])],
      });
      const transform = transformOf(anonymise);
      const bytes = await bytesOf(transform, instance);
      const { ID } = await server.upload(bytes);
      const tags = await orthanc.instances.tags(ID, { format: 'short' });
      expect(JSON.stringify(tags)).not.toMatch(secrets);
      if (transferSyntax !== 'deflated') expect(bytes.toString('latin1')).not.toMatch(secrets);
      const pseudonym = tags['0010,0020'];
      expect(pseudonym).toMatch(/^P-/);
      // The same patient has the same pseudonym at every level; references get the UIDs of the instances.
      expect(tags['0040,a370']).toMatchObject([
        { '0010,0020': pseudonym, '0010,0030': '' },
        { '0010,0020': pseudonym },
      ]);
      expect(tags).toMatchObject({ '0012,0062': 'YES', '0012,0063': expect.stringContaining('PS3.15') });
      expect(tags['0012,0064']).toMatchObject([{ '0008,0100': '113100', '0008,0102': 'DCM' }]);
    },
  );

  it('finds sequences of undefined length, and those received as UN', async () => {
    const [sample] = makeStudy({
      instancesPerSeries: 1,
      rows: 16,
      columns: 16,
      seed: 'undefined',
      attributes: patient,
    });
    const bytes = sample?.bytes ?? Buffer.alloc(0);
    const at = bytes.indexOf(Buffer.from([0xe0, 0x7f, 0x10, 0x00]));
    const item = Buffer.concat([
      Buffer.from([0x10, 0, 0x20, 0, 0x4c, 0x4f, 8, 0]),
      Buffer.from('PID-4711'),
      Buffer.from([0x40, 0, 0x70, 0xa3, 0x53, 0x51, 0, 0, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x10, 0, 0x10, 0, 0x50, 0x4e, 12, 0]),
      Buffer.from('Muster^Erika'),
      Buffer.from([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0]),
      Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]),
    ]);
    const sequence = Buffer.concat([
      Buffer.from([0x40, 0, 0x70, 0xa3, 0x53, 0x51, 0, 0, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]),
      item,
      Buffer.from([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0]),
      Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]),
      // UN of undefined length: Implicit VR Little Endian inside.
      Buffer.from([0x40, 0, 0x7c, 0xa3, 0x55, 0x4e, 0, 0, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x10, 0, 0x20, 0, 8, 0, 0, 0]),
      Buffer.from('PID-4711'),
      Buffer.from([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0]),
      Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]),
      // UN of a defined length, which DCMTK does not parse: Content Template Sequence.
      Buffer.from([0x40, 0, 0x04, 0xa5, 0x55, 0x4e, 0, 0, 24, 0, 0, 0]),
      Buffer.from([0xfe, 0xff, 0, 0xe0, 16, 0, 0, 0]),
      Buffer.from([0x10, 0, 0x20, 0, 8, 0, 0, 0]),
      Buffer.from('PID-4711'),
    ]);
    const instance = await store(Buffer.concat([bytes.subarray(0, at), sequence, bytes.subarray(at)]));
    const out = await bytesOf(transformOf(anonymise), instance);
    expect(out.toString('latin1')).not.toMatch(secrets);
    expect(walk(out).get('0040,a370[0].0010,0020')).toMatch(/^P-/);
  });

  it('leaves nothing around the data set: preamble, file meta, overlays, what follows the pixels', async () => {
    const [sample] = makeStudy({
      instancesPerSeries: 1,
      rows: 16,
      columns: 16,
      seed: 'around',
      attributes: patient,
      extraTags: [
        element(0x60000010, 'US', 8),
        element(0x60000011, 'US', 8),
        element(0x60003000, 'OW', Buffer.from('Erika   ')),
        element(0x60004000, 'LT', 'overlay of Erika'),
        element(0x00880200, 'SQ', [[element(0x00280010, 'US', 2), element(0x7fe00010, 'OW', Buffer.from('Erika   '))]]),
      ],
    });
    const file = sample?.bytes ?? Buffer.alloc(0);
    const metaEnd = 144 + file.readUInt32LE(140);
    const meta = Buffer.concat([
      file.subarray(132, metaEnd),
      Buffer.from([2, 0, 0x16, 0, 0x41, 0x45, 8, 0]),
      Buffer.from('ERIKA_AE'),
      Buffer.from([2, 0, 0, 1, 0x55, 0x49, 6, 0]),
      Buffer.from('1.2.3\0'),
      Buffer.from([2, 0, 2, 1, 0x4f, 0x42, 0, 0, 8, 0, 0, 0]),
      Buffer.from('Erika   '),
    ]);
    meta.writeUInt32LE(meta.length - 12, 8);
    const odd = Buffer.concat([
      Buffer.from('Muster^Erika'.padEnd(128)),
      Buffer.from('DICM'),
      meta,
      file.subarray(metaEnd),
      // Digital Signatures Sequence with a certificate, and trailing padding.
      Buffer.from([0xfa, 0xff, 0xfa, 0xff, 0x53, 0x51, 0, 0, 24, 0, 0, 0]),
      Buffer.from([0xfe, 0xff, 0, 0xe0, 16, 0, 0, 0, 0, 4, 0x05, 1, 0x44, 0x54, 8, 0]),
      Buffer.from('19700101'),
      Buffer.from([0xfc, 0xff, 0xfc, 0xff, 0x4f, 0x42, 0, 0, 8, 0, 0, 0]),
      Buffer.from('Erika   '),
    ]);
    const instance = await store(odd);
    const out = await bytesOf(transformOf(anonymise), instance);
    expect(out.toString('latin1')).not.toMatch(/Muster|Erika|ERIKA|19700101/);
    // The stored file would not pass.
    expect(findInFileHead(odd.subarray(0, 132 + meta.length))).toBe('preamble');
    const withoutPreamble = Buffer.concat([Buffer.alloc(128), odd.subarray(128, 132 + meta.length)]);
    expect(findInFileHead(withoutPreamble)).toBe('0002,0016');
    expect([...walk(out).keys()].filter((path) => /^(60|ff)/.test(path))).toEqual(['6000,0010', '6000,0011']);
  });

  it('removes attributes defined neither by the Standard nor by a private creator, at every level', async () => {
    const unknown = element(0x00189998, 'LO', 'made up for Erika');
    const instance = await storeSample('unknown tags', {
      attributes: patient,
      extraTags: [unknown, element(0x0040a370, 'SQ', [[element(0x00189998, 'UN', 'Erika too ')]])],
    });
    const bytes = await bytesOf(transformOf(anonymise), instance);
    expect(bytes.includes('Erika')).toBe(false);
    expect([...walk(bytes).keys()].filter((path) => path.endsWith('0018,9998'))).toEqual([]);
  });

  it('names of people that the table does not list go as well; one under the tag of something else is refused', async () => {
    const extraTags = [
      element(0x00100033, 'LO', '19700101'),
      element(0x00142006, 'PN', 'Muster^Erika'),
      element(0x0040a160, 'UT', 'told by Erika'),
      element(0x00420010, 'ST', 'Report on Erika'),
      element(0x60020022, 'LO', 'overlay of Erika'),
    ];
    const listed = await bytesOf(transformOf(anonymise), await storeSample('unlisted', { extraTags }));
    expect(listed.toString('latin1')).not.toMatch(secrets);
    const kept = transformOf({ ...anonymise, keep: ['DocumentTitle', '0010,0020'] });
    const stays = walk(await bytesOf(kept, await storeSample('unlisted', { extraTags, attributes: patient })));
    expect([stays.get('0042,0010'), stays.get('0010,0020')]).toEqual(['Report on Erika', 'PID-4711']);
    const odd = await storeSample('odd VR', { extraTags: [element(0x0008103f, 'PN', 'Erika')] });
    await expect(bytesOf(transformOf(anonymise), odd)).rejects.toMatchObject({
      code: 'transform-incomplete',
      message: expect.stringContaining('(0008,103f)'),
    });
  });

  it('keeps retired attributes, by number and by keyword', async () => {
    const extraTags = [
      element(0x00101050, 'LO', 'plan'),
      element(0x00324000, 'LT', 'comment'),
      element(0x00184000, 'LT', 'comment of Erika'),
    ];
    const instance = await storeSample('retired', { attributes: patient, extraTags });
    const out = walk(await bytesOf(transformOf({ ...anonymise, keep: ['0010,1050', 'StudyComments'] }), instance));
    expect([out.get('0010,1050'), out.get('0032,4000'), out.has('0018,4000')]).toEqual(['plan', 'comment', false]);
    expect(out.has('0012,0064')).toBe(false);
    const copied = walk(await bytesOf(transformOf({ ...anonymise, copy: { InstitutionName: '0010,1050' } }), instance));
    expect(copied.get('0012,0063')).toContain('with exceptions');
  });

  it('holds inside of private sequences that are kept', async () => {
    const extraTags = [element(0x00090010, 'LO', 'CREATOR'), element(0x00091001, 'SQ', [nested()])];
    const instance = await storeSample('kept private', { attributes: patient, extraTags });
    const out = await bytesOf(transformOf({ anonymise: { keepPrivateTags: true } }), instance);
    expect(walk(out).get('0009,1001[0].0010,0020')).toMatch(/^P-/);
    // Private attributes themselves are kept.
    expect(out.toString('latin1').replaceAll('secret of Erika', '')).not.toMatch(secrets);
  });

  it('what an engine leaves is found, and the instance is refused by name', async () => {
    const instance = await storeSample('left', {
      attributes: patient,
      extraTags: [element(0x00090010, 'LO', 'CREATOR'), element(0x00091001, 'LO', 'secret of Erika')],
    });
    // Simulates a response to a request to change tags: without the actions of the profile, and with private tags.
    proxy.lie(({ path }) =>
      path.endsWith('/anonymize') ? { kind: 'other', path: path.replace('anonymize', 'modify') } : undefined,
    );
    const { body } = await transformOf(anonymise).open(instance);
    await expect(Array.fromAsync(body)).rejects.toMatchObject({
      code: 'transform-incomplete',
      fault: 'instance',
      disposition: 'permanent',
      message: expect.stringContaining('(0009,0010)'),
    });
    proxy.beHonest();
  });

  it('an answer that is cut off is an error of the source', async () => {
    const instance = await storeSample('cut', { attributes: patient });
    for (const bytes of [700, 1300]) {
      proxy.lie(({ path }) => (path.endsWith('/anonymize') ? { kind: 'short', bytes, framing: 'chunked' } : undefined));
      const { body } = await transformOf(anonymise).open(instance);
      await expect(Array.fromAsync(body)).rejects.toMatchObject({ code: 'source-bytes-wrong', disposition: 'retry' });
    }
    proxy.beHonest();
  });

  it('lists the options that it meets in (0012,0063) and (0012,0064), and claims nothing else', async () => {
    const instance = await storeSample('method', {
      attributes: { ...patient, PatientSex: 'F', StudyDescription: 'Thorax' },
    });
    const retained = walk(await bytesOf(transformOf({ ...anonymise, keep: ['PatientSex'], uids: 'keep' }), instance));
    expect(retained.get('0012,0064[0].0008,0100')).toBe('113100');
    expect([retained.get('0012,0064[1].0008,0100'), retained.get('0012,0064[2].0008,0100')]).toEqual([
      '113108',
      '113110',
    ]);
    const beyond = walk(await bytesOf(transformOf({ ...anonymise, keep: ['StudyDescription'] }), instance));
    expect(beyond.get('0008,1030')).toBe('Thorax');
    expect(beyond.get('0012,0063')).toContain('with exceptions');
    expect(beyond.has('0012,0064')).toBe(false);
  });
});

describe('a cache that mixes up responses of the source', () => {
  it.each(['tags', 'modify'])('%s of another instance are rejected, even with the same UIDs', async (what) => {
    const first = await storeCase('tiny-same-uids-patient-A');
    const second = await storeCase('tiny-same-uids-patient-B');
    const other = await storeSample('mixed up', { attributes: patient });
    const transform = transformOf({ set: { InstitutionName: 'Müller' } });
    for (const instance of [second, other]) {
      proxy.lie(({ path }) =>
        path === `/instances/${first.sourceId}/${what}`
          ? { kind: 'other', path: `/instances/${instance.sourceId}/${what}` }
          : undefined,
      );
      await expect(bytesOf(transform, first)).rejects.toMatchObject({
        code: 'source-bytes-wrong',
        disposition: 'retry',
      });
    }
    proxy.beHonest();
    expect(walk(await bytesOf(transform, first)).get('0010,0020')).toBe('PATIENT-A');
  });
});

describe('private attributes', () => {
  it('are removed at every depth without anonymisation too', async () => {
    const instance = await storeSample('private', {
      attributes: patient,
      extraTags: [
        element(0x00090010, 'LO', 'CREATOR'),
        element(0x00091001, 'LO', 'secret'),
        element(0x0040a370, 'SQ', [nested()]),
      ],
    });
    const out = walk(await bytesOf(transformOf({ removePrivateTags: true }), instance));
    expect([...out.keys()].filter((path) => /[0-9a-f]{3}[13579bdf],[0-9a-f]{4}$/.test(path))).toEqual([]);
    expect(out.get('0040,a370[0].0010,0010')).toBe('Muster^Erika');
    expect(out.get('0010,0020')).toBe('PID-4711');
  });

  const item = (...bytes: number[]): Buffer => Buffer.from([0xfe, 0xff, 0, 0xe0, bytes.length, 0, 0, 0, ...bytes]);
  const creator = [...Buffer.from('CREATOR ')];
  const inImplicitVr = item(0x09, 0, 0x10, 0, 8, 0, 0, 0, ...creator);
  const inExplicitVr = item(0x09, 0, 0x10, 0, 0x4c, 0x4f, 8, 0, ...creator);
  const noSequence = item(...Buffer.alloc(16, 0xff));

  it.each([
    ['in Implicit VR', inImplicitVr],
    ['in Explicit VR', inExplicitVr],
    ['that is none', noSequence],
  ])('a sequence in UN %s is found where they must go, and left as it is elsewhere', async (what, value) => {
    const unknown = await storeSample(`un ${what}`, {
      extraTags: [element(0x0040a504, 'UN', value), element(0x00410010, 'LO', 'C'), element(0x00411004, 'UN', value)],
    });
    await expect(bytesOf(transformOf({ removePrivateTags: true }), unknown)).rejects.toMatchObject({
      code: 'transform-incomplete',
      remedy: expect.stringContaining('Add 0040,a504 to the remove list'),
    });
    const removed = await bytesOf(transformOf({ removePrivateTags: true, remove: ['0040,a504'] }), unknown);
    expect(removed.includes('CREATOR')).toBe(false);
    const set = await bytesOf(transformOf({ set: { InstitutionName: 'X' } }), unknown);
    expect(set.includes(value)).toBe(true);
  });
});

describe('texts that the character set of the instance cannot hold', () => {
  const set = { InstitutionName: 'Müller 山田 Hospital' };

  it('raise it to UTF-8, with all other texts', async () => {
    const instance = await storeSample('raise', {
      attributes: { SpecificCharacterSet: 'ISO_IR 100', PatientName: Buffer.from('Jörg^Gröber', 'latin1') },
      extraTags: [element(0x0040a370, 'SQ', [[element(0x00321060, 'LO', Buffer.from('Prüfung', 'latin1'))]])],
    });
    const out = walk(await bytesOf(transformOf({ set }), instance));
    expect(out.get('0008,0005')).toBe('ISO_IR 192');
    expect(out.get('0008,0080')).toBe(set.InstitutionName);
    expect(out.get('0010,0010')).toBe('Jörg^Gröber');
    expect(out.get('0040,a370[0].0032,1060')).toBe('Prüfung');
  });

  it('and of one with code extensions', async () => {
    const out = walk(await bytesOf(transformOf({ set }), await storeCase('tiny-iso2022')));
    expect(out.get('0008,0005')).toBe('ISO_IR 192');
    expect(out.get('0008,0080')).toBe(set.InstitutionName);
    expect(out.get('0010,0010')).toBe('Yamada^Tarou=山田^太郎=やまだ^たろう');
  });

  it('and long texts that Orthanc does not return, the longest if they are plain', async () => {
    const long = (text: string) => ({
      attributes: { SpecificCharacterSet: 'ISO_IR 100', ImageComments: Buffer.from(text, 'latin1') },
      extraTags: [
        element(0x00090010, 'LO', 'CREATOR'),
        element(
          0x00091001,
          'FD',
          Array.from({ length: 50 }, (_, index) => -index / 3),
        ),
      ],
    });
    const plain = await storeSample('long', long('plain '.repeat(60)));
    const out = walk(await bytesOf(transformOf({ set }), plain));
    expect(out.get('0008,0080')).toBe(set.InstitutionName);
    expect(out.get('0020,4000')).toBe('plain '.repeat(60).trim());
    const umlauts = await storeSample('long umlauts', long('äöü '.repeat(90)));
    const rewritten = walk(await bytesOf(transformOf({ set }), umlauts));
    expect(rewritten.get('0020,4000')).toBe('äöü '.repeat(90).trim());
    const longest = await storeSample('longest umlauts', long('äöü '.repeat(9_000)));
    await expect(bytesOf(transformOf({ set }), longest)).rejects.toMatchObject({
      code: 'transform-incomplete',
      message: expect.stringContaining('(0020,4000)'),
    });
  });

  it('leave it as it is where they fit', async () => {
    const attributes = { SpecificCharacterSet: 'ISO_IR 100', PatientName: Buffer.from('Jörg', 'latin1') };
    const instance = await storeSample('fits', { attributes });
    const bytes = await bytesOf(transformOf({ set: { InstitutionName: 'Müller Hospital' } }), instance);
    expect(walk(bytes).get('0008,0005')).toBe('ISO_IR 100');
    expect(bytes.includes(Buffer.from('Müller Hospital', 'latin1'))).toBe(true);
  });

  it.each([
    ['set to UTF-8', 'ISO_IR 100', { set: { SpecificCharacterSet: 'ISO_IR 192' } }, 'ISO_IR 192'],
    ['set to one that has them, by number', 'ISO_IR 100', { set: { '0008,0005': 'ISO_IR 101' } }, 'ISO_IR 101'],
    ['set where there was none', '', { set: { SpecificCharacterSet: 'ISO_IR 100' } }, 'ISO_IR 100'],
  ])('all texts follow a character set that is %s', async (_what, before, definition, after) => {
    const attributes = { SpecificCharacterSet: before, PatientName: Buffer.from('J\xf6rg', 'latin1') };
    const out = await bytesOf(transformOf(definition), await storeSample(`follows ${after} ${before}`, { attributes }));
    expect(walk(out).get('0008,0005')).toBe(after);
    const name = after === 'ISO_IR 192' ? Buffer.from('Jörg') : Buffer.from('J\xf6rg', 'latin1');
    expect(out.includes(name)).toBe(true);
  });

  it.each([
    ['of code extensions', 'ISO 2022 IR 100\\ISO 2022 IR 144', 'J\xf6rg=\x1b-L\xbb\xee', 'Jörg=Лю'],
    ['without the code extension of all', 'ISO 2022 IR 6\\ISO 2022 IR 126', 'D=\x1b-F\xc4\xe9', 'D=Δι'],
    ['under a name that devices write', 'ISO-IR 100', 'J\xf6rg', 'Jörg'],
    ['in UTF-8 that is not declared', '', 'J\xc3\xb6rg', 'Jörg'],
  ])('are read as they are stored, %s, and items by their own set', async (_what, characterSet, name, read) => {
    const instance = await storeSample(`stored ${characterSet}`, {
      attributes: { SpecificCharacterSet: characterSet, PatientName: Buffer.from(name, 'latin1') },
      extraTags: [
        element(0x0040a370, 'SQ', [
          [element(0x00080005, 'CS', 'ISO_IR 144'), element(0x00321060, 'LO', Buffer.from([0xbb, 0xee, 0xda]))],
        ]),
      ],
    });
    const out = walk(await bytesOf(transformOf({ set }), instance));
    expect(out.get('0010,0010')).toBe(read);
    expect(out.get('0040,a370[0].0032,1060')).toBe('Люк');
  });

  it.each([
    ['ISO_IR 192', 'J\xc3\xb6rg^Gr\xf6', { set: { SpecificCharacterSet: 'ISO_IR 100' } }],
    ['ISO_IR 192', 'J\xf6rg', { copy: { InstitutionName: 'PatientName' } }],
    ['ISO_IR 166', '\xa1\xdb', { set }],
    ['\\ISO 2022 IR 87', 'Yamada=\x1b$B;3\xff\xff\x1b(B', { set }],
  ])('are refused by name where they cannot be read: %s %j', async (characterSet, name, definition) => {
    const attributes = { SpecificCharacterSet: characterSet, PatientName: Buffer.from(name, 'latin1') };
    await expect(
      bytesOf(transformOf(definition), await storeSample(`unread ${name}`, { attributes })),
    ).rejects.toMatchObject({ code: 'instance-unsupported', message: expect.stringContaining('(0010,0010)') });
  });

  it('are copied however long they are; what is no text is refused', async () => {
    const attributes = { SpecificCharacterSet: 'ISO_IR 192', ImageComments: 'x'.repeat(400) };
    const instance = await storeSample('copied', { attributes });
    const out = walk(await bytesOf(transformOf({ copy: { PatientComments: 'ImageComments' } }), instance));
    expect(out.get('0010,4000')).toBe(attributes.ImageComments);
    const sequence = element(0x0040a370, 'SQ', [[element(0x00080050, 'SH', 'ACC')]]);
    const copied = bytesOf(
      transformOf({ copy: { PatientComments: '0040,a370' } }),
      await storeSample('copied sequence', { attributes, extraTags: [sequence] }),
    );
    await expect(copied).rejects.toMatchObject({ message: expect.stringContaining('(0040,a370) is to be copied') });
  });

  it('are read once however many are copied, not for those without a character set; nothing empty or binary is', async () => {
    const attributes = {
      SpecificCharacterSet: 'ISO_IR 192',
      StudyDescription: Buffer.from('Schädel'),
      ImageComments: 'x',
    };
    const empty = Buffer.alloc(0);
    const extraTags = [
      element(0x001021c0, 'US', empty),
      element(0x00189306, 'FD', empty),
      element(0x00091001, 'UN', Buffer.from([1, 2, 3, 4])),
    ];
    const instance = await storeSample('copied once', { modality: 'CT', attributes, extraTags });
    let files = 0;
    proxy.lie(({ path }) => {
      if (path.endsWith('/file')) files += 1;
      return undefined;
    });
    const none = { PatientComments: 'PregnancyStatus', TextComments: '0018,9306', MedicalAlerts: '0009,1001' };
    const codes = walk(await bytesOf(transformOf({ copy: { ...none, ReasonForStudy: 'Modality' } }), instance));
    expect(codes.get('0032,1030')).toBe('CT');
    expect(['0010,4000', '4000,4000', '0010,2000'].filter((path) => codes.has(path))).toEqual([]);
    expect(files).toBe(0);
    const copy = { PatientComments: 'StudyDescription', ReasonForStudy: 'ImageComments' };
    const out = await bytesOf(transformOf({ copy, set: { SpecificCharacterSet: 'ISO_IR 100' } }), instance);
    expect(walk(out).get('0032,1030')).toBe('x');
    const copied = Buffer.concat([
      Buffer.from([0x10, 0, 0, 0x40, 0x4c, 0x54, 8, 0]),
      Buffer.from('Sch\xe4del ', 'latin1'),
    ]);
    expect(out.includes(copied)).toBe(true);
    expect(files).toBe(1);
    proxy.beHonest();
  });

  it('are refused in a sequence that Orthanc does not parse', async () => {
    // Requesting Service in an item of a UN of a defined length: in Implicit VR.
    const item = Buffer.concat([
      Buffer.from('feff00e00e0000003200331006000000', 'hex'),
      Buffer.from('Pr\xfcfun', 'latin1'),
    ]);
    const instance = await storeSample('UN text', {
      attributes: { SpecificCharacterSet: 'ISO_IR 100' },
      extraTags: [element(0x0040a504, 'UN', item)],
    });
    await expect(bytesOf(transformOf({ set }), instance)).rejects.toMatchObject({
      code: 'instance-unsupported',
      message: expect.stringContaining('(0040,a504[0].0032,1033) is in a sequence that the source cannot read'),
    });
  });

  it.each([
    ['taken away', 'ISO_IR 100', { remove: ['SpecificCharacterSet'] }],
    ['emptied', 'ISO_IR 100', { set: { SpecificCharacterSet: '' } }],
    ['set to one without them', 'ISO_IR 100', { set: { SpecificCharacterSet: 'ISO_IR 144' } }],
    ['not known, and another text needs UTF-8', 'ISO_IR 999', { set }],
  ])('are refused by name where the character set is %s', async (what, before, definition) => {
    const attributes = { SpecificCharacterSet: before, PatientName: Buffer.from('J\xf6rg', 'latin1') };
    const instance = await storeSample(`lost ${what}`, { attributes });
    await expect(bytesOf(transformOf(definition), instance)).rejects.toMatchObject({
      code: 'instance-unsupported',
      message: expect.stringContaining('(0010,0010)'),
    });
  });

  it('are refused by name in a character set that is set and cannot hold them', async () => {
    const instance = await storeSample('refused', { attributes: { SpecificCharacterSet: 'ISO_IR 100' } });
    await expect(
      transformOf({ set: { ...set, SpecificCharacterSet: 'ISO_IR 100' } }).open(instance),
    ).resolves.toBeDefined();
    await expect(
      transformOf({ set: { ...set, SpecificCharacterSet: 'ISO_IR 101' } }).open(instance),
    ).rejects.toMatchObject({ code: 'instance-unsupported', message: expect.stringContaining('ISO_IR 101') });
  });
});

describe('values that a transform writes', () => {
  it('are refused by name if their VR does not allow them, however they come about', async () => {
    const attributes = { StudyDescription: 'More than sixteen characters', AccessionNumber: 'A'.repeat(20) };
    const instance = await storeSample('unfit', { attributes });
    const unfit: readonly (readonly [object, string])[] = [
      [
        { set: { AccessionNumber: '12345678901234567' } },
        'AccessionNumber would have 17 characters, and SH has at most 16',
      ],
      [{ set: { '0008,0020': '15.06.2024' } }, 'StudyDate would have 10 characters, and DA has at most 8'],
      [{ set: { StudyDate: '2024-6-1' } }, 'StudyDate would have a value that DA does not allow'],
      [{ set: { InstanceNumber: 'one' } }, 'InstanceNumber would have a value that IS does not allow'],
      [{ set: { OtherPatientIDs: `A\\${'B'.repeat(65)}` } }, 'OtherPatientIDs would have 65 characters'],
      [{ set: { PatientName: `A=${'\u{20000}'.repeat(65)}` } }, 'PatientName would have 65 characters'],
      [{ copy: { AccessionNumber: 'StudyDescription' } }, 'AccessionNumber would have 28 characters'],
    ];
    for (const [definition, message] of unfit) {
      await expect(transformOf(definition).open(instance)).rejects.toMatchObject({
        code: 'instance-unsupported',
        message: expect.stringContaining(message),
      });
    }
    const name = ['A', 'B', 'C'].map((letter) => letter.repeat(64)).join('=');
    const set = { PatientName: name, OtherPatientIDs: `A\\${'B'.repeat(64)}`, StudyTime: '1201', PatientAge: '' };
    // A value that is copied is as it was.
    const after = walk(await bytesOf(transformOf({ set, copy: { StudyID: 'AccessionNumber' } }), instance));
    const paths = ['0010,0010', '0010,1000', '0008,0030', '0010,1010', '0020,0010'];
    expect(paths.map((path) => after.get(path))).toEqual([...Object.values(set), 'A'.repeat(20)]);
  });
});

describe('transcoding', () => {
  const lossless = '1.2.840.10008.1.2.4.70';

  it.each(['tiny-htj2k', 'tiny-deflated-frame'])(
    '%s: an empty file of the source is an error, and is not supported if it is repeated',
    async (name) => {
      const instance = await storeCase(name);
      const transform = transformOf({ transferSyntax: '1.2.840.10008.1.2.1' });
      await expect(transform.open(instance)).rejects.toMatchObject({
        code: 'source-bytes-wrong',
        disposition: 'retry',
      });
    },
  );

  it('a file in its stored transfer syntax is not the requested one; a 404 of a listed instance contains the reason', async () => {
    const instance = await storeCase('tiny-j2k');
    const stored = await server.getBytes(`/instances/${instance.sourceId}/file`);
    // As Orthanc 1.12.7 responds.
    let answer: 'as stored' | 404 = 'as stored';
    await using newer = await startHttpServer((request, response) => {
      const { path } = request;
      response.setHeader('content-type', path.endsWith('/file') ? 'application/dicom' : 'application/json');
      if (path === '/system') return void response.end(JSON.stringify({ ApiVersion: 27, Version: '1.12.7' }));
      if (path === `/instances/${instance.sourceId}/metadata`) return void response.end('["ReceptionDate"]');
      if (answer === 'as stored') return void response.end(stored);
      response.statusCode = 404;
      response.end(JSON.stringify({ HttpStatus: 404, OrthancStatus: 17, OrthancError: 'Unknown resource' }));
    });
    const client = createOrthancClient({ url: newer.url });
    const transform = createTransform({
      orthanc: client,
      source: 'main',
      definition: transformConfig.parse({ transferSyntax: lossless }),
      pseudonyms: undefined,
    });
    const { body } = await transform.open(instance);
    await expect(Array.fromAsync(body)).rejects.toMatchObject({
      code: 'source-bytes-wrong',
      message: expect.stringContaining(
        `expected transfer syntax ${lossless}, received transfer syntax 1.2.840.10008.1.2.4.90`,
      ),
    });
    answer = 404;
    await expect(transform.open(instance)).rejects.toMatchObject({ code: 'instance-unsupported' });
    await client.close();
  });

  it('only what has pixel data is transcoded', async () => {
    const report = await storeSample('report', { modality: 'SR' });
    const transform = transformOf({ transferSyntax: lossless, set: { InstitutionName: 'X' } });
    expect(transform.show(report).transferSyntaxUid).toBe(report.transferSyntaxUid);
    expect(walk(await bytesOf(transform, report)).get('0008,0080')).toBe('X');
    const onlyTranscoded = transformOf({ transferSyntax: lossless });
    expect(await bytesOf(onlyTranscoded, report)).toEqual(await server.getBytes(`/instances/${report.sourceId}/file`));
    const image = await storeSample('image', { modality: 'CT' });
    expect(onlyTranscoded.show(image).transferSyntaxUid).toBe(lossless);
    // An object of the class of an image without pixels: Orthanc labels it as compressed without an error.
    const [sample] = makeStudy({ seed: 'no pixels', series: 1, instancesPerSeries: 1, rows: 16, columns: 16 });
    const pixels = sample!.bytes.indexOf(Buffer.from([0xe0, 0x7f, 0x10, 0x00]));
    const empty = await store(sample!.bytes.subarray(0, pixels));
    const unsupported = { code: 'instance-unsupported', message: expect.stringContaining('no pixel data') };
    await expect(bytesOf(onlyTranscoded, empty)).rejects.toMatchObject(unsupported);
    const { body } = await openInstance(orthanc, 'main', empty, { transferSyntaxUid: lossless });
    await expect(Array.fromAsync(body)).rejects.toMatchObject(unsupported);
  });

  it.each(['1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.91', '1.2.840.10008.1.2.4.203'])(
    'to a lossy syntax (%s) would make other instances, and is refused in the configuration',
    (transferSyntax) => {
      const result = transformConfig.safeParse({ transferSyntax });
      expect(result.error?.issues[0]?.message).toContain('SOP Instance UID');
    },
  );
});

it('a cached value under the name of an instance is compared with it, and removed if it is another', async () => {
  const [one, other] = [await storeSample('kept one', {}), await storeSample('kept other', {})];
  const transform = { set: { InstitutionName: 'X' } };
  const bytes = await bytesOf(transformOf(transform), other);
  const forgotten: string[] = [];
  const keep: KeepTransformed = {
    keep: async () => ({ sizeBytes: bytes.length, body: once(bytes) }),
    forget: async (key) => forgotten.push(key),
  };
  const { body } = await transformOf(transform, keep).open(one);
  await expect(Array.fromAsync(body)).rejects.toMatchObject({ code: 'source-bytes-wrong' });
  expect(forgotten).toHaveLength(1);
});

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
