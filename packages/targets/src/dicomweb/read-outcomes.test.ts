import { describe, expect, it } from 'vitest';
import type { ManifestInstance } from '@dicom-dispatch/target-kit';
import { BatchQueue } from './batch-queue.ts';
import { reasonMeaning } from './failure-reason.ts';
import { readContent, type StowOutcomes } from './read-outcomes.ts';

const json = 'application/dicom+json';
const xml = 'application/dicom+xml';

function readOutcomes(body: string, mediaType = json): StowOutcomes | undefined {
  const content = readContent(mediaType, body);
  return content.kind === 'response' ? content.outcomes : undefined;
}

const model = 'http://dicom.nema.org/PS3.19/models/NativeDICOM';

describe('readOutcomes', () => {
  it('reads JSON: stored, with a warning, failed, failed without a name', () => {
    const body = JSON.stringify({
      '00081198': {
        vr: 'SQ',
        Value: [
          { '00081155': { vr: 'UI', Value: ['1.1'] }, '00081197': { vr: 'US', Value: [0xa700] } },
          { '00081155': { vr: 'UI', Value: ['1.2'] } },
          { '00081197': { vr: 'US', Value: ['272'] } },
        ],
      },
      '00081199': {
        vr: 'SQ',
        Value: [
          { '00081150': { vr: 'UI', Value: ['1.2.840'] }, '00081155': { vr: 'UI', Value: ['1.3'] } },
          { '00081155': { vr: 'UI', Value: ['1.4'] }, '00081196': { vr: 'US', Value: [45056] } },
        ],
      },
      '0008119A': { vr: 'SQ', Value: [{ '00081197': { vr: 'US', Value: [49152] } }] },
    });
    const outcomes = readOutcomes(body);
    expect([...(outcomes?.failed ?? [])]).toEqual([
      ['1.1', 0xa700],
      ['1.2', undefined],
    ]);
    expect([...(outcomes?.stored ?? [])]).toEqual([
      ['1.3', { warning: undefined, sopClassUid: '1.2.840' }],
      ['1.4', { warning: 0xb000, sopClassUid: undefined }],
    ]);
    expect(outcomes?.nameless).toEqual([272, 49152]);
    expect(readOutcomes(`[${body}]`)).toEqual(outcomes);
  });

  it('reads the Native DICOM Model, with and without a prefix, empty sequences and lower-case tags among it', () => {
    for (const [open, p] of [
      [`<NativeDicomModel xmlns="${model}">`, ''],
      [`<n:NativeDicomModel xmlns:n="${model}">`, 'n:'],
    ]) {
      const text = `<?xml version="1.0" encoding="utf-8"?>\n${open}
        <${p}DicomAttribute tag="00081198" vr="SQ" keyword="FailedSOPSequence"/>
        <${p}DicomAttribute tag="00081199" vr="SQ">
          <${p}Item number="1"><${p}DicomAttribute tag="00081155" vr="UI"><${p}Value number="1">1.3</${p}Value></${p}DicomAttribute></${p}Item>
        </${p}DicomAttribute>
        <${p}DicomAttribute tag="0008119a" vr="SQ"><${p}Item number="1"><${p}DicomAttribute tag="00081197" vr="US"><${p}Value number="1">272</${p}Value></${p}DicomAttribute></${p}Item></${p}DicomAttribute>
      </${p}NativeDicomModel>`;
      const outcomes = readOutcomes(text, xml);
      expect([...(outcomes?.stored.keys() ?? [])], open).toEqual(['1.3']);
      expect(outcomes?.failed.size).toBe(0);
      expect(outcomes?.nameless).toEqual([272]);
    }
  });

  it.each([
    '',
    '  ',
    'null',
    '7',
    '"text"',
    '{"00081199": 5}',
    '{"00081199": {"Value": "x"}}',
    'not JSON',
    '<html><body>502</body></html>',
    '<NativeDicomModel',
    '<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel>&b;</NativeDicomModel>x<',
    '<a>'.repeat(5000),
    '{"status":"ok"}',
    '[]',
    '{}',
    '{"00081190":{"vr":"UR","Value":["http://x"]}}',
    '{"00081199":null}',
    '{"dataset":{"00081199":{"vr":"SQ","Value":[]}}}',
    '[{"00081199":{"vr":"SQ"}},{"00081199":{"vr":"SQ"}}]',
  ])('takes %j for no outcomes', (body) => {
    for (const type of [json, xml]) expect(readOutcomes(body, type)).toBeUndefined();
  });

  it('accepts a response only with a media type of the Standard, current or former, and in its form', () => {
    const asJson = '{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]}}]}}';
    const asXml = `<NativeDicomModel xmlns="${model}"><DicomAttribute tag="00081199" vr="SQ"/></NativeDicomModel>`;
    for (const type of [json, 'application/json']) {
      expect(readContent(type, asJson).kind, type).toBe('response');
      expect(readContent(type, asXml).kind, type).toBe('foreign');
    }
    for (const type of [xml, 'application/xml', 'text/xml']) {
      expect(readContent(type, asXml).kind, type).toBe('response');
      expect(readContent(type, asJson).kind, type).toBe('foreign');
    }
    for (const type of [
      'text/html',
      'text/plain',
      'application/octet-stream',
      'multipart/related',
      '',
      'a b<script>',
    ]) {
      for (const body of [asJson, asXml]) {
        const content = readContent(type, body);
        expect(content.kind, type).toBe('foreign');
        expect(JSON.stringify(content)).not.toContain('<');
      }
      expect(readContent(type, ' \r\n').kind).toBe('empty');
    }
  });

  it('does not follow a nest of items without end', () => {
    const nest = '{"00081199":{"Value":['.repeat(50) + '1' + ']}}'.repeat(50);
    expect(readOutcomes(nest)?.stored.size).toBe(0);
    const depth = 60;
    const open = '<DicomAttribute tag="00081199" vr="SQ"><Item number="1">'.repeat(depth);
    const text = `<NativeDicomModel>${open}${'</Item></DicomAttribute>'.repeat(depth)}</NativeDicomModel>`;
    expect(readOutcomes(text, xml)?.stored.size ?? 0).toBe(0);
  });
});

describe('failure reasons', () => {
  // PS3.18 annex I, PS3.7 annex C, PS3.4 table B.2-1, and two of Azure.
  it.each([
    [0xa700, 'later'],
    [0xa7ff, 'later'],
    [0x0110, 'later'],
    [0x0213, 'later'],
    [45071, 'later'],
    [0x9999, 'later'],
    [undefined, 'later'],
    [0xa900, 'refused'],
    [0xc000, 'refused'],
    [0xcfff, 'refused'],
    [0x0112, 'refused'],
    [0x0117, 'refused'],
    [0x0122, 'refused'],
    [0x0210, 'refused'],
    [0x0212, 'refused'],
    [0x0111, 'verify'],
    [0xb000, 'verify'],
    [0xb006, 'verify'],
    [0xb007, 'verify'],
    [45070, 'verify'],
    [0x0124, 'stop'],
    [0x0214, 'stop'],
  ] as const)('%s means %s', (reason, kind) => {
    expect(reasonMeaning(reason).kind).toBe(kind);
  });
});

describe('BatchQueue', () => {
  const sizes = [10, 10, 100, 10, 10, 10];
  const instances = sizes.map((sizeBytes, index) => ({ sizeBytes, sopInstanceUid: `${index}` }) as ManifestInstance);
  const names = (batch: readonly ManifestInstance[] | undefined) =>
    batch?.map(({ sopInstanceUid }) => sopInstanceUid).join('');
  const drain = (queue: BatchQueue) => {
    const all: string[] = [];
    for (let batch = queue.next(); batch; batch = queue.next()) all.push(names(batch) ?? '');
    return all;
  };

  it('respects both limits; a larger instance is sent alone', () => {
    expect(drain(new BatchQueue(instances, { instances: 2, bytes: 50 }))).toEqual(['01', '2', '34', '5']);
    expect(drain(new BatchQueue(instances, { instances: 9, bytes: 30 }))).toEqual(['01', '2', '345']);
    expect(drain(new BatchQueue([], { instances: 9, bytes: 30 }))).toEqual([]);
  });

  it('never puts two instances with one UID into a request', () => {
    const twins = ['a', 'b', 'a', 'c'].map((sopInstanceUid) => ({ sizeBytes: 1, sopInstanceUid }) as ManifestInstance);
    expect(drain(new BatchQueue(twins, { instances: 9, bytes: 99 }))).toEqual(['ab', 'ac']);
  });

  it('returns halves first, the first of them down to one, and reduces the limits for all', () => {
    const queue = new BatchQueue(instances, { instances: 4, bytes: 1000 });
    const batch = queue.next() ?? [];
    expect(names(batch)).toBe('0123');
    queue.shrink(batch);
    queue.halve(batch);
    expect(queue.limits).toEqual({ instances: 2, bytes: 122 });
    expect(drain(queue)).toEqual(['01', '23', '45']);
    queue.halve(batch.slice(0, 1));
    queue.halve([]);
    expect(drain(queue)).toEqual(['0']);
    queue.shrink(batch.slice(0, 1));
    expect(queue.limits).toEqual({ instances: 1, bytes: 11 });
  });
});
