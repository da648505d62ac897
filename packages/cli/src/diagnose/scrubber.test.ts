import { describe, expect, it } from 'vitest';
import { redactConfig } from './redact-config.ts';
import { Scrubber } from './scrubber.ts';

describe('the scrubber of support bundles', () => {
  const scrubber = new Scrubber(['s3cret', 's3cret-and-more', 'ab']);
  scrubber.hide(['Geheimnis', 'P-0815', 'de', '']);

  it.each([
    ['by s3cret-and-more and s3cret', 'by [secret] and [secret]'],
    ['redis://:pass@host:6379/0', 'redis://[hidden]@host:6379/0'],
    ['Authorization: Bearer abcdefgh.ijkl', 'Authorization: Bearer [hidden]'],
    ['/archive/GEHEIMNIS/P-0815/1.dcm', '/archive/[patient]/[patient]/1.dcm'],
    ['of Doe^John^^Dr. at work', '[name]'],
    ['to anna.b@example.org now', 'to [address] now'],
    ['SOP class 1.2.840.10008.5.1.4.1.1.2', 'SOP class 1.2.840.10008.5.1.4.1.1.2'],
    ['10.20.30.40:104, 192.168.100.200, Redis 7.0.15, 2.5 s', '10.20.30.40:104, 192.168.100.200, Redis 7.0.15, 2.5 s'],
    ['status A700H, delivery d-0123456789abcdef0123', 'status A700H, delivery d-0123456789abcdef0123'],
  ])('%s', (text, clean) => {
    if (clean === '[name]') expect(scrubber.text(text)).not.toMatch(/Doe|John/);
    else expect(scrubber.text(text)).toBe(clean);
  });

  it.each([
    '2.25.51669656275315124480763059911306587548',
    '1.2.3.4.5',
    '1.2.276.0.7230010.3.1.2.1234',
    '0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d',
  ])('gives %s one word, the same in one bundle and another in the next', (id) => {
    const word = scrubber.text(`study ${id}.`);
    expect(word).toMatch(/^study \[(uid|orthanc) [0-9a-f]{8}\]\.$/);
    expect(scrubber.text(`study ${id}.`)).toBe(word);
    expect(new Scrubber([]).text(`study ${id}.`)).not.toBe(word);
  });

  it.each([
    ['see .1.2.3.4.5. and 1.2.3.4.5..6', /^see \.\[uid \w+\]\. and \[uid \w+\]\.\.6$/],
    ['https://u:p@ss@host/path@x', /^https:\/\/\[hidden\]@host\/path@x$/],
    ['a@b c@d.example,e.f@g.h.example', /^a@b \[address\],\[address\]$/],
    ['caret ^ alone, ^^Doe^', /^caret \^ alone, \^\^Doe\^$|\[name\]/],
  ])('%s', (text, clean) => {
    expect(scrubber.text(text)).toMatch(clean);
  });

  it('takes linear time, whatever text a peer has written into a log', () => {
    const length = 200_000;
    const hostile = [
      'a',
      'a.',
      '1.',
      '1',
      '1.2.3.4.5.',
      'a@',
      '@',
      'a@b.',
      '^',
      'a^',
      'a-',
      '://',
      'a://b',
      'Bearer ',
      ' ',
      "'",
      '0a1b2c3d-',
    ];
    const from = process.cpuUsage();
    for (const one of hostile) scrubber.text(one.repeat(length / one.length));
    let seed = 7;
    for (let round = 0; round < 20; round += 1) {
      let text = '';
      while (text.length < 50_000) {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
        text += hostile[seed % hostile.length]!.repeat(1 + (seed % 300));
      }
      scrubber.text(text);
    }
    const { user, system } = process.cpuUsage(from);
    // Quadratic time would be minutes.
    expect((user + system) / 1000).toBeLessThan(5_000);
  });

  it('hides values by their keys at any depth, and keeps numbers and booleans', () => {
    expect(
      scrubber.value({ a: [{ PatientName: 'x', '00100020': 'y', password: 'z', patientData: true, host: 'pacs' }] }),
    ).toEqual({
      a: [{ PatientName: '[hidden]', '00100020': '[hidden]', password: '[hidden]', patientData: true, host: 'pacs' }],
    });
  });
});

it('hides identifying values of a configuration, and patient data in expressions', () => {
  expect(
    redactConfig({
      console: { users: { anna: { role: 'viewer' } } },
      targets: { web: { url: 'http://host', username: 'us', headers: { 'X-Key': 'k' } } },
      rules: [{ when: 'study.PatientID == "4711"' }, { when: 'study.Modality == "CT"' }],
    }),
  ).toEqual({
    console: { users: [{ role: 'viewer' }] },
    targets: { web: { url: 'http://host', username: '[hidden]', headers: '[hidden]' } },
    rules: [{ when: 'study.PatientID == "[hidden]"' }, { when: 'study.Modality == "CT"' }],
  });
});
