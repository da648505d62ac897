import { inflateRawSync } from 'node:zlib';
import type { Inspector } from '../guard/guard-options.ts';
import type { DataSetWalker } from './data-set-walker.ts';
import { NoDataSet } from './data-set-walker.ts';

const deflated = '1.2.840.10008.1.2.1.99';
/** A deflated data set longer than this, before or after decompression, is not inspected. */
const maxDeflatedBytes = 64e6;
const maxInflatedBytes = 256e6;

/**
 * Feeds a walker with the data set of a file while its bytes pass, decompressed if it is deflated.
 *
 * @param lookAtHead - receives the bytes before the data set
 * @throws NoDataSet from `add` and `end`
 */
export function feedDataSet(walker: DataSetWalker, lookAtHead?: (head: Buffer) => void): Inspector {
  /** Remaining bytes before the data set. */
  let ahead = 0;
  const head: Buffer[] = [];
  let compressed: Buffer[] | undefined;
  let compressedBytes = 0;
  return {
    begin({ dataSetAt, meta }) {
      ahead = dataSetAt;
      if (meta.transferSyntaxUid === deflated) compressed = [];
    },
    add(chunk) {
      const from = Math.min(ahead, chunk.length);
      if (from > 0 && lookAtHead) {
        head.push(chunk.subarray(0, from));
        if (ahead === from) lookAtHead(Buffer.concat(head));
      }
      ahead -= from;
      const bytes = chunk.subarray(from);
      if (!compressed) return walker.add(bytes);
      compressedBytes += bytes.length;
      if (compressedBytes > maxDeflatedBytes) {
        compressed = [];
        throw new NoDataSet('the deflated data set is too long to be inflated');
      }
      // The memory of a chunk may be used again.
      compressed.push(Buffer.from(bytes));
    },
    end() {
      if (compressed) walker.add(inflated(Buffer.concat(compressed)));
      walker.end();
    },
  };
}

function inflated(bytes: Buffer): Buffer {
  try {
    return inflateRawSync(bytes, { maxOutputLength: maxInflatedBytes });
  } catch (error) {
    const isCut = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
    throw new NoDataSet('the deflated data set cannot be inflated', isCut);
  }
}
