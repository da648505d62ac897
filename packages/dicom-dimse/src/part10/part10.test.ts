import { makeLargeInstance, makeStudy, transferSyntaxes } from '@dicom-dispatch/samples';
import type { SampleInstance, TransferSyntax } from '@dicom-dispatch/samples';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect } from '../testing/open-pair.ts';
import { opaqueFile } from '../testing/part10-fixture.ts';
import type { ByteSource } from './byte-source.ts';
import { encodeFileMeta } from './encode-file-meta.ts';
import { parseFileMeta } from './file-meta.ts';
import { peekPart10 } from './peek-part10.ts';
import { readPart10 } from './read-part10.ts';

const PATIENT_ID = 0x00100020;
const STUDY_UID = 0x0020000d;
const ROWS = 0x00280010;
const PIXEL_DATA = 0x7fe00010;

function sample(transferSyntax: TransferSyntax): SampleInstance {
  const [first] = makeStudy({ transferSyntax, instancesPerSeries: 1, attributes: { PatientID: 'SYNTHETIC 7' } });
  return first as SampleInstance;
}

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('the file meta', () => {
  const file = sample('explicit-le').bytes;

  it('is read and the data set found, however much is there at first', () => {
    const whole = parseFileMeta(file, true);
    expect(whole).toMatchObject({ meta: { transferSyntaxUid: transferSyntaxes['explicit-le'] } });
    const offset = whole.meta === undefined ? 0 : whole.dataSetOffset;
    for (let length = 0; length < offset; length += 1) {
      const step = parseFileMeta(file.subarray(0, length), false);
      expect(step.meta, String(length)).toBeUndefined();
      if (step.meta === undefined) expect(step.neededBytes).toBeGreaterThan(length);
      expect(() => parseFileMeta(file.subarray(0, length), true)).toThrowError(/not a DICOM file/);
    }
    expect(parseFileMeta(file.subarray(0, offset), false)).toMatchObject({ dataSetOffset: offset });
  });

  it('is read without its group length', () => {
    const { meta: withLength, ...rest } = parseFileMeta(file, true);
    const without = Buffer.concat([file.subarray(0, 132), file.subarray(144)]);
    expect(parseFileMeta(without, true)).toMatchObject({
      meta: { sopInstanceUid: withLength?.sopInstanceUid },
      dataSetOffset: 'dataSetOffset' in rest ? rest.dataSetOffset - 12 : 0,
    });
  });

  it('that this package writes is read again', () => {
    const fields = { sopClassUid: '1.2', sopInstanceUid: '2.25.4', transferSyntaxUid: '1.2.840.10008.1.2' };
    const bytes = encodeFileMeta({ ...fields, sourceAeTitle: 'ME' });
    const step = parseFileMeta(bytes, true);
    expect(step).toMatchObject({ meta: fields, dataSetOffset: bytes.length });
    expect(step.meta?.elements.get(0x0016)?.toString()).toBe('ME');
  });

  it.each([
    ['no prefix', Buffer.alloc(400), /DICM/],
    ['no group 2', Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.alloc(40, 8)]), /group 0002/],
    [
      'a length of 4 GiB',
      Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.from('020001004f420000ffffffff', 'hex')]),
      /exceeds 1048576 bytes/,
    ],
    [
      'a group length of 4 GiB',
      Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.from('02000000554c0400ffffffff', 'hex')]),
      /\(0002,0000\) is/,
    ],
  ])('with %s is refused', (_name, bytes, message) => {
    expect(() => parseFileMeta(bytes, false)).toThrowError(message);
  });
});

describe('readPart10', () => {
  it.each(Object.keys(transferSyntaxes) as TransferSyntax[])(
    'reads chosen tags in %s, in chunks of any size',
    async (syntax) => {
      const { bytes, studyInstanceUid, sopInstanceUid } = sample(syntax);
      for (const size of [1, 7, 1000, bytes.length]) {
        const { meta, elements } = await readPart10(inChunks(bytes, size), {
          tags: [STUDY_UID, PATIENT_ID, ROWS, 0x00091001],
        });
        expect(meta).toMatchObject({ sopInstanceUid, transferSyntaxUid: transferSyntaxes[syntax] });
        expect([...elements.keys()]).toEqual([PATIENT_ID, STUDY_UID, ROWS]);
        expect(elements.get(PATIENT_ID)?.value.toString('latin1').trim()).toBe('SYNTHETIC 7');
        expect(elements.get(STUDY_UID)?.value.toString('latin1').replace('\0', '')).toBe(studyInstanceUid);
        expect(elements.get(ROWS)?.value.toString('hex')).toBe(syntax === 'explicit-be' ? '0040' : '4000');
        expect(elements.get(ROWS)?.vr).toBe(syntax === 'implicit-le' ? undefined : 'US');
      }
    },
  );

  it('stops early, and closes the source', async () => {
    const large = makeLargeInstance({ sizeBytes: 64 * 1024 * 1024 });
    let pulled = 0;
    let isClosed = false;
    async function* counted(): AsyncGenerator<Buffer> {
      try {
        for await (const chunk of large) {
          pulled += 1;
          yield chunk;
        }
      } finally {
        isClosed = true;
      }
    }
    const { elements } = await readPart10(counted(), { tags: [PATIENT_ID, ROWS] });
    expect(elements.size).toBe(2);
    expect(pulled).toBe(1);
    expect(isClosed).toBe(true);
  });

  it('skips sequences, and accepts no value longer than allowed', async () => {
    const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
    const file = Buffer.concat([
      encodeFileMeta({ sopClassUid: '1.2', sopInstanceUid: '2.25.4', transferSyntaxUid: '1.2.840.10008.1.2.1' }),
      hex('08001111 53510000 ffffffff'), // a sequence of undefined length
      hex('feff00e0 ffffffff'), // an item of undefined length
      hex('10002000 4c4f0400 464f4f20'), // Patient ID within it: not the one wanted
      hex('09001110 554e0000 ffffffff'), // UN of undefined length: implicit within
      hex('feff00e0 0c000000 10002000 04000000 42415220'), // an item of defined length
      hex('feffdde0 00000000'),
      hex('feff0de0 00000000'),
      hex('feffdde0 00000000'),
      hex('10002000 4c4f0400 42415a20'), // the Patient ID wanted
    ]);
    const { elements } = await readPart10([file], { tags: [PATIENT_ID, 0x00081111] });
    expect([...elements.keys()]).toEqual([PATIENT_ID]);
    expect(elements.get(PATIENT_ID)?.value.toString()).toBe('BAZ ');
    await expect(
      readPart10([sample('explicit-le').bytes], { tags: [PIXEL_DATA], maxValueBytes: 100 }),
    ).rejects.toMatchObject({ code: 'limit-exceeded' });
  });

  it.each(Object.keys(transferSyntaxes) as TransferSyntax[])('survives damaged files in %s', async (syntax) => {
    const { bytes } = sample(syntax);
    const codes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(fc.integer({ min: 132, max: Math.min(bytes.length - 1, 2500) }), fc.integer({ min: 0, max: 255 })),
          {
            minLength: 1,
            maxLength: 6,
          },
        ),
        fc.integer({ min: 100, max: bytes.length }),
        async (damage, length) => {
          const damaged = Buffer.from(bytes.subarray(0, length));
          for (const [at, value] of damage) if (at < length) damaged[at] = value;
          try {
            await readPart10([damaged], { tags: [PATIENT_ID, STUDY_UID, ROWS, 0x7fe00011] });
            codes.add('read');
          } catch (error) {
            codes.add((error as { code: string }).code);
          }
        },
      ),
      { numRuns: 300, seed: 7 },
    );
    for (const code of codes) expect(['read', 'source-not-dicom', 'limit-exceeded']).toContain(code);
  });

  it('is given up when the caller cancels, even if the source hangs', async () => {
    const cancel = new AbortController();
    async function* hanging(): AsyncGenerator<Buffer> {
      yield sample('explicit-le').bytes.subarray(0, 600);
      cancel.abort();
      await new Promise(() => {});
    }
    await expect(readPart10(hanging(), { tags: [PIXEL_DATA], signal: cancel.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    await expect(readPart10([], { signal: cancel.signal })).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('reports a source that fails', async () => {
    async function* failing(): AsyncGenerator<Buffer> {
      yield sample('deflated').bytes.subarray(0, 600);
      throw new Error('disk');
    }
    await expect(readPart10(failing(), { tags: [0x7fe00010] })).rejects.toMatchObject({ code: 'source-failed' });
  });
});

describe('peekPart10', () => {
  it.each([
    ['a buffer', (file: Buffer): ByteSource => file],
    ['an iterable', (file: Buffer): ByteSource => [file.subarray(0, 5), file.subarray(5, 400), file.subarray(400)]],
    ['an async iterable', (file: Buffer): ByteSource => inChunks(file, 50)],
  ])('gives the whole of %s again', async (_name, make) => {
    const { file } = opaqueFile(5000);
    const { meta, source } = await peekPart10(make(file));
    expect(meta.sopInstanceUid).toBe('2.25.1');
    expect((await collect(source as AsyncIterable<Buffer>)).equals(file)).toBe(true);
  });
});
