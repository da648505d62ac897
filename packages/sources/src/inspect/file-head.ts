import { DataSetWalker } from './data-set-walker.ts';

const preambleBytes = 128;
const metaAt = 132;
/** File meta information that identifies nobody (PS3.10 table 7.1-1): length, version, UIDs, and implementation. */
const harmless = new Set(['00020000', '00020001', '00020002', '00020003', '00020010', '00020012', '00020013']);

/**
 * Identifying data before a data set: text in the preamble, AE titles, addresses, private information.
 *
 * @param bytes - the file up to its data set
 * @returns its description; undefined if there are none
 * @throws NoDataSet for invalid file meta information
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
