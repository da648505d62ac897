import { describe, expect, it } from 'vitest';
import { collect, openPair } from '../testing/open-pair.ts';
import { opaqueFile } from '../testing/part10-fixture.ts';

describe('releaseChunk', () => {
  const sizes = [
    ['one chunk', [1_000_000]],
    ['the file meta cut in two', [200, 999_800]],
    ['the data set in a chunk of its own', [0, 1_000_000]],
    ['chunks of all sizes', [5000, 10, 700, 262_138, 262_144, 100, 400_000, 69_908]],
  ] as const;

  it.each(sizes)('releases each chunk when it is sent, and not before: %s', async (_name, lengths) => {
    const received: Buffer[] = [];
    await using pair = await openPair({
      handlers: {
        async store(instance) {
          received.push(await collect(instance.dataSet));
          return 0;
        },
      },
    });
    const { file, dataSet } = opaqueFile(1_000_000);
    const metaBytes = file.length - dataSet.length;
    for (const isAsync of [false, true]) {
      const lent = new Set<Uint8Array>();
      let count = 0;
      function* chunks(): Generator<Buffer> {
        let at = 0;
        for (const [index, length] of lengths.entries()) {
          const end = index === lengths.length - 1 ? file.length : at + length + (index === 0 ? metaBytes : 0);
          const chunk = Buffer.from(file.subarray(at, end));
          at = end;
          lent.add(chunk);
          count += 1;
          yield chunk;
        }
      }
      async function* slowly(): AsyncGenerator<Buffer> {
        yield* chunks();
      }
      const result = await pair.association.store(isAsync ? slowly() : chunks(), {
        releaseChunk(chunk) {
          expect(lent.delete(chunk)).toBe(true);
          // Memory that is reused before it was sent arrives damaged.
          chunk.fill(0xff);
        },
      });
      expect(result.status).toBe(0);
      expect(count).toBe(lengths.length);
      expect(lent.size).toBe(0);
      expect(received.pop()?.equals(dataSet)).toBe(true);
    }
  });
});
