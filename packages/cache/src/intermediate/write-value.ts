import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { CacheFolder } from './cache-folder.ts';
import { folderFailed, invalidate, keeps, tooLarge, type CacheParts } from './cache-parts.ts';
import { putScript } from './cache-scripts.ts';
import { addressOf, inFolder } from './cache-store.ts';
import { bytesInRedis } from './bytes-in-redis.ts';
import type { PutOptions, PutResult } from './cache-types.ts';
import { removeFiles } from './maintenance.ts';
import { policyFor } from './policy.ts';
import { asBody } from './read-value.ts';
import { seal } from './seal.ts';
import { encodeBytes, frameValue, type StoredInfo } from './stored-value.ts';

const maxMetadataBytes = 4_096;
/** A use whose worker crashed is never released: its results expire. */
const longestUseMs = 3_600_000;

export async function putValue(
  parts: CacheParts,
  type: string,
  key: string,
  bytes: Uint8Array,
  options: PutOptions,
): Promise<PutResult> {
  if (!keeps(parts, type, options)) return 'dropped';
  if (goesToFile(parts, bytes.byteLength, options)) return putFile(parts, type, key, asBody(bytes), options);
  if (bytes.byteLength > parts.maxValueBytes) {
    // The previous value is no longer the latest one.
    await invalidate(parts, type, key);
    return tooLarge(parts, type);
  }
  const { stored: plain, encoding } = await encodeBytes(bytes, policyFor(parts.config, type).compression);
  const sealed = options.confidential === true && parts.key !== undefined;
  const stored = sealed ? seal(parts.key, addressOf(type, key), plain) : plain;
  const info = { encoding, sizeBytes: bytes.byteLength, crc: crc32(stored), ...(sealed && { sealed }) };
  return announce(parts, type, key, info, stored, options);
}

function goesToFile(parts: CacheParts, length: number, options: PutOptions): boolean {
  if (parts.folder === undefined || options.inRedis === true) return false;
  return length > parts.fileAboveBytes || (options.confidential === true && parts.key === undefined);
}

/** Writes the source to a file of the folder and adds it to the catalog. @throws errors of the source */
export async function putFile(
  parts: CacheParts,
  type: string,
  key: string,
  source: AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<PutResult> {
  const { folder } = parts;
  if (!folder) return 'dropped';
  const failure: { ofSource?: unknown } = {};
  let written: Awaited<ReturnType<CacheFolder['write']>>;
  try {
    written = await folder.write(watched(source, failure), policyFor(parts.config, type).compression);
  } catch (cause) {
    if ('ofSource' in failure) throw failure.ofSource;
    folderFailed(parts, cause);
    return 'dropped';
  }
  const { file, storedBytes, ...info } = written;
  return announce(parts, type, key, { ...info, file: { name: file, storedBytes } }, none, options);
}

const none = Buffer.alloc(0);

async function announce(
  parts: CacheParts,
  type: string,
  key: string,
  info: Pick<StoredInfo, 'encoding' | 'sizeBytes' | 'crc' | 'sealed' | 'file'>,
  stored: Uint8Array,
  options: PutOptions,
): Promise<PutResult> {
  const { metadata = {}, expect = '' } = options;
  if (JSON.stringify(metadata).length > maxMetadataBytes) {
    parts.warn({ code: 'too-large', type, message: `the metadata of a result exceeds ${maxMetadataBytes} bytes` });
    return 'dropped';
  }
  const { config, folder, store } = parts;
  const policy = policyFor(config, type);
  const transient = policy.retention === 'transient';
  const ageMs = options.maxAgeMs ?? policy.maxAgeMs;
  const address = addressOf(type, key);
  const filed = folder && inFolder(address, folder.id);
  const [member, replaced] = info.file && filed ? [filed, address] : [address, filed ?? ''];
  const frame = frameValue(
    { type, key: address.slice(type.length + 1), createdAt: Date.now(), ...info, metadata },
    stored,
  );
  const answer = await store.run(putScript, [
    member,
    replaced,
    type,
    policy.retention.charAt(0),
    transient && ageMs === 0 ? longestUseMs : ageMs,
    bytesInRedis(member, frame),
    info.file?.storedBytes ?? 0,
    info.file && folder ? folder.id : '-',
    info.file?.name ?? '-',
    transient && options.use !== undefined ? options.use : '-',
    randomBytes(6).toString('base64url'),
    expect,
    config.maxMemory,
    config.folder?.maxSize ?? 0,
    frame,
  ]);
  // A timeout may hide a success: then the file stays, and is swept if it is unknown.
  if (!Array.isArray(answer)) return 'dropped';
  const [result, files] = answer as [PutResult | 'refused', string[]];
  await removeFiles(folder, files);
  if (info.file && (result === 'refused' || result === 'changed')) {
    await folder?.remove(info.file.name).catch(() => {});
  }
  if (result === 'over-budget') {
    const message = 'persistent results alone exceed the budget of the cache: raise it, or invalidate some';
    parts.warn({ code: 'persistent-over-budget', type, message });
  }
  if (result === 'refused') {
    const message = `a result of ${info.sizeBytes} bytes does not fit in the budget of the cache`;
    parts.warn({ code: 'budget-exceeded', type, message });
    return 'dropped';
  }
  return result;
}

/** Distinguishes a failure of the source from one of the folder. */
async function* watched(
  source: AsyncIterable<Uint8Array>,
  failure: { ofSource?: unknown },
): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    failure.ofSource = error;
    throw error;
  }
}
