/** Dictionary and skip list entries, object headers: measured with Redis 7.0 (docs/capacity.md). */
const overheadBytes = 480;

/**
 * Redis memory of an entry: its value as allocated, its name in the catalog, in two indexes and as a
 * key, and Redis' overhead. Slightly more than measured, so that the budget is respected.
 */
export function bytesInRedis(member: string, value: Uint8Array): number {
  return allocated(value.byteLength + 16) + 4 * Buffer.byteLength(member) + overheadBytes;
}

/** The next size class of jemalloc: four to each power of two. */
function allocated(bytes: number): number {
  if (bytes <= 128) return Math.ceil(bytes / 16) * 16;
  const step = 2 ** (Math.floor(Math.log2(bytes - 1)) - 2);
  return Math.ceil(bytes / step) * step;
}
