import { makeStudy } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';
import { guardBytes } from './guard-bytes.ts';
import type { GuardOptions } from './guard-options.ts';

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

it('hands on the very memory that came, so that it can be given back', async () => {
  const pieces = [bytes.subarray(0, 1000), bytes.subarray(1000)];
  async function* body(): AsyncGenerator<Uint8Array> {
    yield* pieces;
  }
  const guarded = await guardBytes({ sizeBytes: bytes.length, body: body(), giveBack: () => {} }, options);
  const came = await Array.fromAsync(guarded.body);
  expect(came.map((piece, index) => piece === pieces[index])).toEqual([true, true]);
  expect(guarded.giveBack).toBeDefined();
});

it('never believes random bytes', async () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const random = Buffer.from(bytes);
    for (let at = 0; at < 2000; at += 1) random[at] = (at * 7919 + seed * 104_729) % 251;
    const { body } = await guardBytes({ sizeBytes: undefined, body: inPieces(random, 300) }, options);
    await expect(Array.fromAsync(body)).rejects.toThrow(/not/);
  }
});
