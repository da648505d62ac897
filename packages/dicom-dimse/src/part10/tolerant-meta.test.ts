import { caseFile } from '@dicom-dispatch/harness';
import { makeStudy, transferSyntaxes } from '@dicom-dispatch/samples';
import type { TransferSyntax } from '@dicom-dispatch/samples';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { collect } from '../testing/open-pair.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';
import { encodeFileMeta } from './encode-file-meta.ts';
import { parseFileMeta } from './file-meta.ts';
import type { KnownFile } from './file-meta.ts';
import { openPart10 } from './open-part10.ts';
import { peekPart10 } from './peek-part10.ts';
import { readPart10 } from './read-part10.ts';
import { parseTolerantly } from './tolerant-meta.ts';

const INSTANCE = '1.2.826.0.1.3680043.10.99.3.1.1';
const explicit: KnownFile = {
  sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
  sopInstanceUid: INSTANCE,
  transferSyntaxUid: TRANSFER_SYNTAX.explicitVrLittleEndian,
};

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function dataSetOf(file: Buffer, known: KnownFile, size = file.length): Promise<Buffer> {
  const { head, rest } = await openPart10(inChunks(file, size), { known });
  const chunks = [head];
  for (let chunk = await rest.next(); chunk !== undefined; chunk = await rest.next()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('a file that PS3.10 does not allow, of which class, instance and syntax are known', () => {
  it.each(['no-meta.dcm', 'no-preamble.dcm', 'grouplen-small.dcm'])(
    '%s gives its complete data set, in chunks of any size',
    async (name) => {
      const file = await caseFile(name);
      const expected = await caseFile('no-meta.dcm');
      for (const size of [1, 2, 3, 7, 131, 132, 200, file.length]) {
        expect((await dataSetOf(file, explicit, size)).equals(expected), `${size}`).toBe(true);
      }
      const { meta, elements } = await readPart10([file], { known: explicit, tags: [0x00080018] });
      expect(meta).toMatchObject(explicit);
      expect(elements.get(0x00080018)?.value.toString('latin1').replace('\0', '')).toBe(INSTANCE);
      const { source } = await peekPart10(inChunks(file, 100), { known: explicit });
      expect((await collect(source as AsyncIterable<Uint8Array>)).equals(file)).toBe(true);
    },
  );

  it('is refused where nothing is known of it', async () => {
    for (const name of ['no-meta.dcm', 'no-preamble.dcm', 'grouplen-small.dcm']) {
      await expect((async () => openPart10([await caseFile(name)]))()).rejects.toMatchObject({
        code: 'source-not-dicom',
      });
    }
  });

  it('may have a group length that is too large, within an element, zero or missing', async () => {
    const good = await caseFile('tiny-good.dcm');
    const step = parseFileMeta(good, true);
    const dataSet = good.subarray(step.meta === undefined ? 0 : step.dataSetOffset);
    for (const length of [0, 1, 37, 500, 0xffffffff]) {
      const file = Buffer.from(good);
      file.writeUInt32LE(length, 140);
      expect((await dataSetOf(file, explicit)).equals(dataSet), String(length)).toBe(true);
    }
    const without = Buffer.concat([good.subarray(0, 132), good.subarray(144)]);
    expect((await dataSetOf(without, explicit)).equals(dataSet)).toBe(true);
  });

  it('may begin with the prefix alone, have an empty preamble and nothing behind it, or a meta in Implicit VR', async () => {
    const good = await caseFile('tiny-good.dcm');
    const step = parseFileMeta(good, true);
    const dataSet = good.subarray(step.meta === undefined ? 0 : step.dataSetOffset);
    expect((await dataSetOf(good.subarray(128), explicit)).equals(dataSet)).toBe(true);
    expect((await dataSetOf(Buffer.concat([good.subarray(0, 132), dataSet]), explicit)).equals(dataSet)).toBe(true);
    const implicitMeta = Buffer.concat([
      good.subarray(0, 132),
      Buffer.from('02001000', 'hex'),
      Buffer.from([20, 0, 0, 0]),
      Buffer.from(`${TRANSFER_SYNTAX.explicitVrLittleEndian}\0`),
      dataSet,
    ]);
    expect((await dataSetOf(implicitMeta, explicit)).equals(dataSet)).toBe(true);
  });

  it.each(Object.keys(transferSyntaxes) as TransferSyntax[])('may be in %s, with and without meta', async (syntax) => {
    const [sample] = [...makeStudy({ transferSyntax: syntax, instancesPerSeries: 1 })];
    const file = sample!.bytes;
    const known = { ...explicit, transferSyntaxUid: transferSyntaxes[syntax] };
    const step = parseFileMeta(file, true);
    const dataSet = file.subarray(step.meta === undefined ? 0 : step.dataSetOffset);
    expect((await dataSetOf(file, known)).equals(dataSet)).toBe(true);
    if (syntax === 'deflated') return;
    expect((await dataSetOf(Buffer.from(dataSet), known)).equals(dataSet)).toBe(true);
  });

  it('does not take the first bytes of a deflated data set for one more element', async () => {
    // A stored block whose header happens to be 02 00.
    const dataSet = Buffer.concat([Buffer.from('02000100ffff4142', 'hex'), deflateRawSync(Buffer.alloc(100))]);
    const known = { ...explicit, transferSyntaxUid: TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian };
    const meta = encodeFileMeta({ sopClassUid: '1.2', sopInstanceUid: '2.25.4', ...known });
    expect((await dataSetOf(Buffer.concat([meta, dataSet]), known)).equals(dataSet)).toBe(true);
  });

  it.each([
    ['a page', Buffer.from(`<!DOCTYPE html><html>${'x'.repeat(500)}`)],
    ['nothing', Buffer.alloc(0)],
    ['zeroes', Buffer.alloc(500)],
    ['a few bytes', Buffer.from('0800')],
    ['JSON', Buffer.from(JSON.stringify({ status: 'ok', more: 'x'.repeat(300) }))],
    ['a meta of 4 GiB', Buffer.concat([Buffer.from('020001004f420000ffffffff', 'hex'), Buffer.alloc(300)])],
  ])('is not %s', (_name, bytes) => {
    for (const transferSyntaxUid of Object.values(TRANSFER_SYNTAX)) {
      expect(() => parseTolerantly(bytes, true, { transferSyntaxUid })).toThrowError(/not a DICOM file/);
    }
  });
});
