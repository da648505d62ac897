import { DataSetWalker } from './data-set-walker.ts';

const preambleBytes = 128;
const metaAt = 132;
/** File meta that says nothing of anybody (PS3.10 table 7.1-1): length, version, UIDs, and who wrote the file. */
const harmless = new Set(['00020000', '00020001', '00020002', '00020003', '00020010', '00020012', '00020013']);

/**
 * What stands before a data set and might identify: text in the preamble, AE titles, addresses, private information.
 *
 * @param bytes - the file up to its data set
 * @returns what it is, in words; undefined when there is nothing
 * @throws NoDataSet when the file meta is none
 */
export function findInFileHead(bytes: Buffer): string | undefined {
  if (bytes.subarray(0, preambleBytes).some((byte) => byte !== 0)) return 'preamble';
  let found: string | undefined;
  const walker = new DataSetWalker(({ path, tag, length }) => {
    if (!harmless.has(tag) && length > 0) found ??= path;
  });
  walker.add(bytes.subarray(metaAt));
  walker.end();
  return found;
}
