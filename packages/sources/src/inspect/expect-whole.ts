import { readHead } from '../guard/read-head.ts';
import { DataSetWalker, NoDataSet } from './data-set-walker.ts';
import { feedDataSet } from './feed-data-set.ts';

/** Heads are within these first bytes. */
const maxHeadBytes = 256 * 1024;

/**
 * The same bytes of a DICOM file. Ends with an error if they end within an element or a sequence, so that a file that was cut off
 * is not mistaken for a complete one if its size was not announced: its last chunk is held back until then. Data sets that cannot
 * be read, or inflated, and bytes behind
 * the last element that are no elements are passed on.
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
