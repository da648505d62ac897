import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { PduStream } from '../pdu/pdu-stream.ts';
import type { Transport } from '../upper-layer/transport.ts';
import { MAX_SENT_P_DATA_BYTES, PDataWriter, fragmentBytes } from './p-data-writer.ts';

/** Collects what is written. The socket releases its buffers when `release` is called. */
function recorder() {
  const written: Buffer[] = [];
  const done: (() => void)[] = [];
  let lent = 0;
  const write = (bytes: Buffer, after?: () => void): void => {
    // The socket may still refer to it: a copy would hide that it changes later.
    written.push(bytes);
    if (after) done.push(after);
  };
  return {
    written,
    lent: () => lent,
    release: () => done.splice(0).forEach((one) => one()),
    transport: {
      write,
      writePDataHeader: write,
      lend(bytes: number, after: () => void) {
        lent += bytes;
        return () => {
          lent -= bytes;
          after();
        };
      },
    } as unknown as Transport,
  };
}

/** The values as a peer reads them: context, control byte, data. */
function valuesOf(written: readonly Buffer[]) {
  const values: { contextId: number; control: number; data: Buffer }[] = [];
  const lengths: number[] = [];
  let pieces: Buffer[] = [];
  const stream = new PduStream(
    {
      onPdu: (type) => expect(type).toBe(4),
      onPDataStart: (length) => lengths.push(length),
      onPDataPiece(contextId, control, piece, isEnd) {
        pieces.push(piece);
        if (!isEnd) return;
        values.push({ contextId, control, data: Buffer.concat(pieces) });
        pieces = [];
      },
    },
    { maxPDataBytes: 0, maxAssociateBytes: 0 },
  );
  stream.push(Buffer.concat(written));
  expect(stream.isMidPdu).toBe(false);
  return { values, lengths };
}

it.each([
  [16_384, 16_378],
  [16_385, 16_378],
  [0, MAX_SENT_P_DATA_BYTES - 6],
  [0xffffffff, MAX_SENT_P_DATA_BYTES - 6],
  [8, 2],
  [1, 2],
])('a peer that accepts %i bytes is sent %i bytes of a message at a time', (maximum, bytes) => {
  expect(fragmentBytes(maximum)).toBe(bytes);
});

it('our limit applies where the peer has none', () => {
  expect(fragmentBytes(0, 1_000)).toBe(994);
  expect(fragmentBytes(500, 1_000)).toBe(494);
});

it('a command set is cut where the peer requires it, and its end marked', () => {
  for (const [length, parts] of [
    [0, [0]],
    [10, [10]],
    [11, [10, 1]],
    [25, [10, 10, 5]],
  ] as const) {
    const { transport, written } = recorder();
    const reported: number[] = [];
    const bytes = Buffer.from(Array.from({ length }, (_, at) => at));
    new PDataWriter(transport, 10, (lengthBytes) => reported.push(lengthBytes)).writeWhole(3, true, bytes);
    const { values, lengths } = valuesOf(written);
    expect(values.map(({ data }) => data.length)).toEqual(parts);
    expect(values.map(({ control }) => control)).toEqual(parts.map((_, at) => (at === parts.length - 1 ? 3 : 1)));
    expect(new Set(values.map(({ contextId }) => contextId))).toEqual(new Set([3]));
    expect(Buffer.concat(values.map(({ data }) => data))).toEqual(bytes);
    expect(lengths).toEqual(reported);
  }
  const { transport, written } = recorder();
  new PDataWriter(transport, 10).writeWhole(3, false, Buffer.of(1));
  expect(valuesOf(written).values).toEqual([{ contextId: 3, control: 2, data: Buffer.of(1) }]);
});

it('a data set arrives whole, however it is cut, in full fragments, the last of them marked and even', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat({ max: 40 }), fc.integer({ min: 1_000, max: 1_050 }), fc.nat({ max: 9_000 })), {
        maxLength: 30,
      }),
      fc.constantFrom(2, 16, 1_024, 4_090),
      (sizes, size) => {
        const { transport, written, release, lent } = recorder();
        const reported: number[] = [];
        const fragmenter = new PDataWriter(transport, size, (length) => reported.push(length)).beginDataSet(5);
        const chunks = sizes.map((length, at) => Buffer.alloc(length, at + 1));
        let released = 0;
        let isTaken = false;
        for (const chunk of chunks) {
          fragmenter.push(chunk, () => {
            released += 1;
          });
        }
        const total = sizes.reduce((sum, length) => sum + length, 0);
        expect(fragmenter.totalBytes).toBe(total);
        fragmenter.end(() => {
          isTaken = true;
        });
        const { values, lengths } = valuesOf(written);
        expect(isTaken).toBe(false);
        release();
        expect([released, lent(), isTaken]).toEqual([sizes.length, 0, true]);
        const padded = Buffer.concat([...chunks, Buffer.alloc(total & 1)]);
        expect(Buffer.concat(values.map(({ data }) => data)).equals(padded)).toBe(true);
        expect(new Set(values.map(({ contextId }) => contextId))).toEqual(new Set([5]));
        expect(values.map(({ control }) => control)).toEqual(values.map((_, at) => (at === values.length - 1 ? 2 : 0)));
        expect(values.slice(0, -1).every(({ data }) => data.length === size)).toBe(true);
        expect(values.at(-1)?.data.length).toBeLessThanOrEqual(size);
        expect(lengths).toEqual(reported);
      },
    ),
    { numRuns: 200, seed: 20_261_130 },
  );
});

it('borrowed memory is written without a copy, and released when the socket has sent it', () => {
  const { transport, written, release, lent } = recorder();
  const fragmenter = new PDataWriter(transport, 1_500).beginDataSet(1);
  const chunk = Buffer.alloc(2_000, 7);
  let isReleased = false;
  fragmenter.push(chunk, () => {
    isReleased = true;
  });
  // What is not written yet is not lent to the socket.
  expect([lent(), isReleased]).toEqual([0, false]);
  expect(written.some((bytes) => bytes.buffer === chunk.buffer)).toBe(true);
  fragmenter.end();
  expect([lent(), isReleased]).toEqual([2_000, false]);
  release();
  expect([lent(), isReleased]).toEqual([0, true]);
});
