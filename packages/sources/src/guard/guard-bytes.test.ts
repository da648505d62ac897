import { makeStudy } from '@dicom-dispatch/samples';
import { describe, expect, it } from 'vitest';
import { checkHead, isOrthancId } from './check-head.ts';
import { guardBytes } from './guard-bytes.ts';
import type { GuardOptions } from './guard-options.ts';
import { readHead } from './read-head.ts';

const [sample] = makeStudy({ seed: 'pieces', instancesPerSeries: 1, rows: 32, columns: 32 });
if (!sample) throw new Error('an empty sample');
const { bytes } = sample;

const options: GuardOptions = {
  expected: {
    sopInstanceUid: sample.sopInstanceUid,
    studyInstanceUid: sample.studyInstanceUid,
    seriesInstanceUid: sample.seriesInstanceUid,
    sopClassUid: sample.sopClassUid,
    transferSyntaxUid: sample.transferSyntaxUid,
    sizeBytes: bytes.length,
    maxBytes: bytes.length,
    orthancId: undefined,
  },
  wrong: ({ expected, came }) => new Error(`${expected}, not ${came}`),
  failed: async (error) => error,
};

async function* inPieces(of: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < of.length; at += size) yield of.subarray(at, at + size);
}

it.each([1, 7, 131, 133, 512, 1_000_000])('passes pieces of %d bytes on unchanged', async (size) => {
  const { body } = await guardBytes({ sizeBytes: undefined, body: inPieces(bytes, size) }, options);
  expect(Buffer.concat(await Array.fromAsync(body))).toEqual(bytes);
});

it.each([1, 700, bytes.length - 1])('a file that ends after %d bytes never ends', async (length) => {
  for (const size of [1, 500]) {
    const { body } = await guardBytes(
      { sizeBytes: undefined, body: inPieces(bytes.subarray(0, length), size) },
      options,
    );
    await expect(Array.fromAsync(body)).rejects.toThrow(`${bytes.length} bytes, not ${length} bytes`);
  }
});

it('passes on the received memory, so that it can be released', async () => {
  const pieces = [bytes.subarray(0, 1000), bytes.subarray(1000)];
  async function* body(): AsyncGenerator<Uint8Array> {
    yield* pieces;
  }
  const guarded = await guardBytes({ sizeBytes: bytes.length, body: body(), releaseChunk: () => {} }, options);
  const came = await Array.fromAsync(guarded.body);
  expect(came.map((piece, index) => piece === pieces[index])).toEqual([true, true]);
  expect(guarded.releaseChunk).toBeDefined();
});

it('never accepts random bytes', async () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const random = Buffer.from(bytes);
    for (let at = 0; at < 2000; at += 1) random[at] = (at * 7919 + seed * 104_729) % 251;
    const { body } = await guardBytes({ sizeBytes: undefined, body: inPieces(random, 300) }, options);
    await expect(Array.fromAsync(body)).rejects.toThrow(/not/);
  }
});

describe('identity', () => {
  const read = (changed: Buffer) => readHead(changed, true, sample.transferSyntaxUid);

  it('for an invalid UID that the source reads differently, the digest decides', () => {
    const odd = Buffer.from(bytes);
    odd.write('REM\\', odd.indexOf(Buffer.from(sample.seriesInstanceUid)), 'latin1');
    const found = read(odd);
    if (found.kind !== 'read') throw new Error('not read');
    expect(checkHead(found.head, options.expected)).toBe('doubtful');
    expect(checkHead(found.head, { ...options.expected, sopInstanceUid: '1.2.3' })).toMatchObject({
      expected: 'SOP Instance UID 1.2.3',
    });
  });

  it('the id in Orthanc is that of patient and UIDs, with and without the padding', () => {
    const uids = { studyInstanceUid: '2.25.9010', seriesInstanceUid: '2.25.9010.1', sopInstanceUid: '2.25.9010.1.1' };
    const id = '60b3a377-d4102990-461f393d-e46cd9ec-1783ae81';
    expect(isOrthancId(id, 'TINY1', uids)).toBe(true);
    expect(isOrthancId(id, ' TINY1 \0', uids)).toBe(true);
    expect(isOrthancId(id, 'TINY2', uids)).toBe(false);
    expect(isOrthancId(id, '', uids)).toBe(false);
    const rtDose = {
      studyInstanceUid: '1.2.999.999.99.9.9999.8888',
      seriesInstanceUid: '1.2.777.777.77.7.7777.7777',
      sopInstanceUid: '1.9.999.999.99.9.9999.9999.20030818153516',
    };
    expect(isOrthancId('ad37e374-bfed7063-7a623e83-273dc020-50b0bee4', 'id11111 ', rtDose)).toBe(true);
    // What cannot be compared is accepted: another form of id, another character set.
    expect(isOrthancId('1', 'TINY2', uids)).toBe(true);
    expect(isOrthancId(id, 'J\u00f6rg', uids)).toBe(true);
  });
});
