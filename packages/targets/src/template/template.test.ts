import { describe, expect, it } from 'vitest';
import type { ManifestInstance, StudyTags } from '@dicom-dispatch/target-kit';
import { parseTemplate } from './parse-template.ts';
import { renderTemplate } from './render-template.ts';
import { instanceTemplate, studyTemplate } from './schema.ts';
import { templateTags } from './template-tags.ts';

const studyInstanceUid = '1.2.3';
const instance: ManifestInstance = {
  sopInstanceUid: '1.2.3.4.5',
  seriesInstanceUid: '1.2.3.4',
  studyInstanceUid,
  sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
  transferSyntaxUid: '1.2.840.10008.1.2.1',
  instanceNumber: 7,
  sizeBytes: 1,
  sourceId: 'a',
  version: '1',
};

function render(template: string, study: Record<string, string> = {}, series: Record<string, string> = {}): string {
  const tags: StudyTags = { studyInstanceUid, study, series: new Map([[instance.seriesInstanceUid, series]]) };
  return renderTemplate(parseTemplate(template), tags, instance);
}

describe('instanceTemplate', () => {
  it.each([
    ['{PatientID}/{Modality}.dcm', /no \{SOPInstanceUID\}/],
    ['{SOPInstanceUID#8}.dcm', /no \{SOPInstanceUID\}/],
    ['../{SOPInstanceUID}', /begins with a dot/],
    ['/{SOPInstanceUID}', /begins or ends with a slash/],
    ['a//{SOPInstanceUID}', /two in a row/],
    ['{PatinetID}/{SOPInstanceUID}', /\{PatinetID\} is not a tag that templates support/],
    ['{SOPInstanceUID', /unmatched brace/],
    ['a\\b/{SOPInstanceUID}', /some file systems reject/],
    ['a:b/{SOPInstanceUID}', /some file systems reject/],
    ['{PatientID|a/b}/{SOPInstanceUID}', /not a placeholder|unmatched brace|some file systems reject/],
    ['{SOPInstanceUID#99}', /4 to 64/],
    ['{}/{SOPInstanceUID}', /is not a placeholder/],
    ['', /is empty/],
    [`${'a/'.repeat(20)}{SOPInstanceUID}`, /more than 16 segments/],
  ])('refuses %s', (text, message) => {
    expect(instanceTemplate.safeParse(text).error?.issues[0]?.message).toMatch(message);
  });

  it('accepts a hash of 16 digits for the UID', () => {
    expect(instanceTemplate.safeParse('{PatientID#12}/{SOPInstanceUID#16}.dcm').success).toBe(true);
  });
});

describe('templateTags', () => {
  it('finds the tags of all templates of a configuration', () => {
    const tags = templateTags({
      type: 's3',
      key: '{PatientID}/{Modality}_{BodyPartExamined|none}/{SOPInstanceUID#20}.dcm',
      tags: { protocol: '{ProtocolName}' },
      onComplete: { args: ['{AccessionNumber}', 'no template {', '{Nothing}'] },
      concurrency: 2,
    });
    expect([...tags.study].sort()).toEqual(['AccessionNumber', 'PatientID']);
    expect([...tags.series].sort()).toEqual(['BodyPartExamined', 'Modality', 'ProtocolName']);
  });
});

describe('studyTemplate', () => {
  it.each([
    ['{StudyInstanceUID}/{Modality}', /no single value/],
    ['{AccessionNumber}.done', /no \{StudyInstanceUID\}/],
  ])('refuses %s', (text, message) => {
    expect(studyTemplate.safeParse(text).error?.issues[0]?.message).toMatch(message);
  });
});

describe('renderTemplate', () => {
  it('fills in tags of study, series and instance', () => {
    const path = render(
      '{PatientID}/{StudyDate}_{AccessionNumber}/{Modality}_{SeriesNumber}/{InstanceNumber}_{SOPInstanceUID}.dcm',
      { PatientID: 'P1', StudyDate: '20260102', AccessionNumber: 'A-77' },
      { Modality: 'CT', SeriesNumber: '3' },
    );
    expect(path).toBe('P1/20260102_A-77/CT_3/7_1.2.3.4.5.dcm');
  });

  it('puts a text in the place of what is missing or empty', () => {
    expect(render('{PatientID}/{AccessionNumber|no number}/{SOPInstanceUID}', { PatientID: ' ' })).toBe(
      'unknown/no number/1.2.3.4.5',
    );
  });

  it('writes digits of a hash if requested', () => {
    expect(render('{PatientID#8}/{SOPInstanceUID}', { PatientID: 'P1' })).toMatch(/^[0-9a-f]{8}\/1\.2\.3\.4\.5$/);
  });

  it.each([
    ['../../etc/passwd', '___.._etc_passwd'],
    ['..', '__'],
    ['.', '_'],
    ['.ssh', '_ssh'],
    ['a/b', 'a_b'],
    ['a\\b', 'a_b'],
    ['C:\\temp', 'C__temp'],
    ['nul\0byte', 'nul byte'],
    ['line\r\nbreak\u2028x', 'line break x'],
    ['\u202Etxt.exe', 'txt.exe'],
    ['-rf', '_rf'],
    ['~root', '_root'],
    ['CON', '_CON'],
    ['aux.txt', '_aux.txt'],
    ['trailing. . ', 'trailing_'],
    ['MÜLLER^JÖRG^^', 'MÜLLER^JÖRG'],
    ['Mu\u0308ller', 'Müller'],
    ['Yamada^Tarou=山田^太郎=やまだ^たろう', 'Yamada^Tarou=山田^太郎=やまだ^たろう'],
    ['Люкceмбypг', 'Люкceмбypг'],
    ['قباني^لنزار', 'قباني^لنزار'],
    ['김희중', '김희중'.normalize('NFC')],
    ['\uD800broken', 'broken'],
    ['*?"<>|', '______'],
  ])('cleans %j', (value, expected) => {
    expect(render('{PatientID}/{SOPInstanceUID}', { PatientID: value })).toBe(`${expected}/1.2.3.4.5`);
  });

  it('cuts a long value after a whole character, and keeps different ones distinct', () => {
    const long = '山'.repeat(300);
    const [first = ''] = render('{PatientID}/{SOPInstanceUID}', { PatientID: `${long}a` }).split('/');
    const [second = ''] = render('{PatientID}/{SOPInstanceUID}', { PatientID: `${long}b` }).split('/');
    expect(first).toMatch(/^山+~[0-9a-f]{8}$/);
    expect(Buffer.byteLength(first)).toBeLessThanOrEqual(96);
    expect(first).not.toBe(second);
  });

  it('keeps segments and the path within their limits, the UID and the extension complete', () => {
    const value = 'ß'.repeat(300);
    const tags = { PatientID: value, StudyDate: value, AccessionNumber: value, StudyDescription: value };
    const segment = '{PatientID}{StudyDate}{AccessionNumber}{StudyDescription}';
    const path = render(`${[segment, segment, segment, segment, segment].join('/')}/{SOPInstanceUID}.dcm`, tags);
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(1000);
    for (const part of path.split('/')) expect(Buffer.byteLength(part)).toBeLessThanOrEqual(200);
    expect(path).toMatch(/\/1\.2\.3\.4\.5\.dcm$/);
  });

  const pathOf = (sopInstanceUid: string, sourceId = 'a', template = '{SOPInstanceUID}.dcm'): string =>
    renderTemplate(
      parseTemplate(template),
      { studyInstanceUid, study: {}, series: new Map() },
      { ...instance, sopInstanceUid, sourceId },
    );

  it.each(['{SOPInstanceUID}.dcm', '{SOPInstanceUID}', 'a_{SOPInstanceUID}', '{SOPInstanceUID#16}'])(
    'gives UIDs that are not valid a path each: %s',
    (template) => {
      // prettier-ignore
      const odd = [
        '.', '..', '...', '....', '', ' ', '  ', '_', '__', '___', '1.2', '1.2.', '1.2..', '.1.2', '1..2', '1.2 ',
        '1.2\0', '1.2\0\0', '1.2\n', '\t1.2', '1_2', '1/2', '1\\2', '1:2', '1*2', 'a', 'A', 'ä', 'a\u0308', 'Ä',
        '１.２', '1.2\u200B', '1.2\u202E', '\uD800', '\uDC00', 'CON', 'con', '_CON', 'unknown', '-1.2', '~1.2', '1.2~',
        '1'.repeat(64), '1'.repeat(65), '1'.repeat(66), `${'1'.repeat(300)}2`, `${'1'.repeat(300)}3`, '山'.repeat(90),
      ];
      const paths = odd.map((uid, index) => pathOf(uid, `source-${index}`, template));
      // Like a file system that folds case and composes characters, and drops trailing dots and spaces.
      const folded = paths.map((path) =>
        path
          .normalize('NFC')
          .toLowerCase()
          .replace(/[. ]+$/, ''),
      );
      expect(new Set(folded).size).toBe(odd.length);
      for (const path of paths) expect(path).toMatch(/^[^./\\\p{Cc}\p{Cf}][^/\\\p{Cc}\p{Cf}]*$/u);
    },
  );

  it('distinguishes instances without a UID by their id in the source', () => {
    expect(pathOf('', 'a')).toMatch(/^unknown~[0-9a-f]{16}\.dcm$/);
    expect(pathOf('', 'a')).not.toBe(pathOf('', 'b'));
    expect(pathOf('', 'a')).toBe(pathOf('', 'a'));
  });

  it.each(['../../x', 'a/b', '1.2.3\0', `${'9'.repeat(300)}`, ''])(
    'never lets the UID %j leave the folder',
    (sopInstanceUid) => {
      const tags: StudyTags = { studyInstanceUid: '../../y', study: {}, series: new Map() };
      const path = renderTemplate(parseTemplate('{StudyInstanceUID}/{SOPInstanceUID}.dcm'), tags, {
        ...instance,
        sopInstanceUid,
      });
      expect(path).toMatch(/^_{3}\.\._y~[0-9a-f]{16}\/[0-9a-zA-Z_. ~]+\.dcm$/);
      expect(path.split('/')).toHaveLength(2);
    },
  );

  it('gives UIDs that clean to the same text different paths', () => {
    const paths = ['a/b', 'a\\b', 'a:b', 'a_b'].map((sopInstanceUid) =>
      renderTemplate(
        parseTemplate('{SOPInstanceUID}.dcm'),
        { studyInstanceUid, study: {}, series: new Map() },
        { ...instance, sopInstanceUid },
      ),
    );
    expect(new Set(paths).size).toBe(4);
  });

  it('stays inside for any values', () => {
    const alphabet = ['.', '/', '\\', '\0', ' ', '-', '~', 'a', 'ü', '山', '\n', '\u202E', ':', '\uD800', '😀', 'CON'];
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % below;
    };
    for (let round = 0; round < 2000; round += 1) {
      const value = Array.from({ length: random(12) }, () => alphabet[random(alphabet.length)]).join('');
      const path = render('{PatientID}{PatientName}/x{StudyID}/{SOPInstanceUID}', {
        PatientID: value,
        PatientName: value,
        StudyID: value,
      });
      const segments = path.split('/');
      expect(segments).toHaveLength(3);
      for (const segment of segments) {
        expect(segment).toMatch(/^[^.\-~ /\\][^/\\\p{Cc}\p{Cs}]*(?<![. ])$/u);
        expect(segment.toLowerCase()).not.toBe('con');
      }
    }
  });
});
