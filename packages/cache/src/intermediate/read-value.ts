import type { FileHandle } from 'node:fs/promises';
import { readStored } from './cache-folder.ts';
import { folderFailed, reportCorrupt, tooLarge, type CacheParts } from './cache-parts.ts';
import { getScript } from './cache-scripts.ts';
import { addressOf, inFolder } from './cache-store.ts';
import type { Absence, CachedStream, CachedValue, CacheEntry, Lookup } from './cache-types.ts';
import { removeFiles } from './maintenance.ts';
import { decodeBytes, unframeValue, type StoredInfo } from './stored-value.ts';

/** Whether an access counts as hit or miss: `hits` is for accesses that are repeated until there is a value. */
export type Counting = 'all' | 'hits' | 'none';

type Found = { readonly state: 'hit'; readonly frame: Buffer; readonly stamp: string } | { readonly state: Absence };

/** Finds the entry: first the one in our folder. */
export async function findEntry(
  parts: CacheParts,
  type: string,
  key: string,
  counting: Counting,
  part: 'with value' | 'without value',
): Promise<Found> {
  const { config, folder, store } = parts;
  if (!config.enabled) return { state: 'unavailable' };
  const address = addressOf(type, key);
  const members = folder ? [inFolder(address, folder.id), address] : [address];
  const answer = await store.runBuffer(getScript, [type, counting, part === 'with value' ? '1' : '0', ...members]);
  if (!Array.isArray(answer)) return { state: 'unavailable' };
  const [state, frame, stamp, files] = answer as [Buffer, Buffer, Buffer, Buffer[]];
  await removeFiles(folder, files.map(String));
  switch (String(state)) {
    case 'hit':
      return { state: 'hit', frame, stamp: String(stamp) };
    case 'lost':
      return reportCorrupt(parts, type, key);
    case 'expired':
      return { state: 'expired' };
    default:
      return { state: 'miss' };
  }
}

export async function lookupStream(
  parts: CacheParts,
  type: string,
  key: string,
  counting: Counting,
): Promise<Lookup<CachedStream>> {
  const found = await findEntry(parts, type, key, counting, 'with value');
  if (found.state !== 'hit') return found;
  const unframed = unframeValue(found.frame);
  if (!unframed) return reportCorrupt(parts, type, key);
  const { info, stored } = unframed;
  const { createdAt, sizeBytes, metadata } = info;
  const entry: CacheEntry = { type, key, createdAt, sizeBytes, metadata, stamp: found.stamp };
  if (info.file !== undefined) return openFile(parts, entry, info, info.file);
  const bytes = await decodeBytes(info, stored, parts.key, addressOf(type, key));
  if (!bytes) return reportCorrupt(parts, type, key);
  return { state: 'hit', value: { ...entry, body: asBody(bytes), close: async () => {} } };
}

export async function lookupValue(
  parts: CacheParts,
  type: string,
  key: string,
  counting: Counting,
): Promise<Lookup<CachedValue>> {
  const found = await lookupStream(parts, type, key, counting);
  if (found.state !== 'hit') return found;
  const { body, close, ...entry } = found.value;
  if (entry.sizeBytes > parts.maxValueBytes) {
    await close();
    tooLarge(parts, type);
    return { state: 'miss' };
  }
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    const bytes = chunks.length === 1 ? asBuffer(chunks[0]!) : Buffer.concat(chunks);
    if (bytes.byteLength === entry.sizeBytes) return { state: 'hit', value: { ...entry, bytes } };
  } catch {
    // It could not be read to its end: treated like any other corruption.
  }
  return reportCorrupt(parts, type, key);
}

async function openFile(
  parts: CacheParts,
  entry: CacheEntry,
  info: StoredInfo,
  file: { readonly name: string; readonly storedBytes: number },
): Promise<Lookup<CachedStream>> {
  try {
    const handle = await parts.folder?.open(file.name, { storedBytes: file.storedBytes, crc: info.crc });
    if (!handle) return await reportCorrupt(parts, entry.type, entry.key);
    const value = { ...entry, body: closing(readStored(handle, info.encoding), handle), close: () => handle.close() };
    return { state: 'hit', value };
  } catch (cause) {
    folderFailed(parts, cause);
    return { state: 'miss' };
  }
}

export async function* asBody(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Leaving it closes the file, even before the first byte: a generator that has not started would not. */
function closing(body: AsyncGenerator<Uint8Array>, handle: FileHandle): AsyncIterable<Uint8Array> {
  const iterator: AsyncIterator<Uint8Array> = {
    next: () => body.next(),
    async return() {
      await body.return(undefined);
      await handle.close();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
