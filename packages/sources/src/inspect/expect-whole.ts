import { readHead } from '../guard/read-head.ts';
import { DataSetWalker, NoDataSet } from './data-set-walker.ts';
import { feedDataSet } from './feed-data-set.ts';

/** Heads are within these first bytes. */
const maxHeadBytes = 256 * 1024;

/**
 * Passes on the bytes of a DICOM file. Its last chunk is held back until all bytes have been read: if they end within an element
 * or a sequence, it ends with an error instead. A file that was cut off is then not mistaken for a complete one, even if its size
 * was not announced. Data sets that cannot be read or inflated are passed on, and so are bytes behind the last element that
 * cannot be an element.
 *
 * @param cutOff - the error for a file that ends early
 */
export async function* expectWhole(
  body: AsyncIterable<Uint8Array>,
  cutOff: () => Error,
): AsyncGenerator<Uint8Array, void, undefined> {
  const feed = feedDataSet(new DataSetWalker(() => {}));
  let head: Buffer | undefined = Buffer.alloc(0);
  let isReadable = true;

  function look(act: () => void): void {
    if (!isReadable) return;
    try {
      act();
    } catch (error) {
      if (!(error instanceof NoDataSet)) throw error;
      isReadable = false;
    }
  }

  function begin(bytes: Buffer, isComplete: boolean): void {
    const read = readHead(bytes, isComplete, undefined);
    if (read.kind === 'more') return;
    head = undefined;
    if (read.kind === 'unreadable') {
      isReadable = false;
      return;
    }
    feed.begin(read.head);
    look(() => feed.add(bytes));
  }

  let last: Uint8Array | undefined;
  for await (const chunk of body) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (head === undefined) look(() => feed.add(bytes));
    else {
      head = Buffer.concat([head, bytes]);
      begin(head, head.length >= maxHeadBytes);
    }
    if (last) yield last;
    last = chunk;
  }
  if (head !== undefined) begin(head, true);
  if (isReadable && endsEarly()) throw cutOff();
  if (last) yield last;

  function endsEarly(): boolean {
    try {
      // A deflated data set is read now.
      feed.end();
      return false;
    } catch (error) {
      if (!(error instanceof NoDataSet)) throw error;
      return error.isCut;
    }
  }
}
