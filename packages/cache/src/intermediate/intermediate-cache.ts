import { defaultPrefix, type CacheConfig } from '@dicom-dispatch/core';
import type { RedisClient } from '@dicom-dispatch/state/redis';
import { CacheFolder } from './cache-folder.ts';
import {
  folderFailed,
  invalidate,
  keeps,
  reportCorrupt,
  settleRemoval,
  tooLarge,
  type CacheParts,
} from './cache-parts.ts';
import { pruneScript, releaseScript } from './cache-scripts.ts';
import { addressOf, CacheStore, inFolder } from './cache-store.ts';
import type {
  CachedStream,
  CachedValue,
  CacheStats,
  CacheWarning,
  Lookup,
  PutOptions,
  PutResult,
} from './cache-types.ts';
import { jsonCodec, type Codec } from './codec.ts';
import { computeOnce } from './compute-once.ts';
import {
  auditEntries,
  clearEntries,
  countMiss,
  knownFiles,
  readStats,
  removeFiles,
  type CacheAudit,
} from './maintenance.ts';
import { policyFor, type CachePolicy } from './policy.ts';
import { findEntry, lookupStream, lookupValue, type Counting } from './read-value.ts';
import { sealKey } from './seal.ts';
import { spool } from './spool.ts';
import { produceStream, unkept, type ComputedStream } from './stream-once.ts';
import { putFile, putValue } from './write-value.ts';

export interface CacheOptions {
  /** First part of every key, with one hash tag. Default `{dicom-dispatch}`. */
  readonly prefix?: string;
  /** Maximum time to wait for a response of Redis. Default 2,000 ms. */
  readonly timeoutMs?: number;
  /** Largest value in Redis, and in memory. Default 8 MB. */
  readonly maxValueBytes?: number;
  /** With a folder, larger values go there. Default 64 kB. */
  readonly fileAboveBytes?: number;
  /** A worker that computes renews its lock three times in this time; if it does not, another computes. Default 30,000 ms. */
  readonly computeLeaseMs?: number;
  readonly onWarning?: (warning: CacheWarning) => void;
  /** Called by `close()`. */
  readonly onClose?: () => void | Promise<void>;
}

export interface ComputeOnceOptions extends Omit<PutOptions, 'expect'> {
  /** Ends the wait for another worker; `compute` handles its own. */
  readonly signal?: AbortSignal;
}

/**
 * Results that are computed once and used by many deliveries and attempts, in Redis and, if large, in a folder. No
 * method throws for a failure of Redis or of the folder: a get finds nothing, a put is dropped, and a warning is emitted.
 */
export class IntermediateCache {
  readonly #parts: CacheParts;
  readonly #onClose: CacheOptions['onClose'];

  private constructor(parts: CacheParts, onClose: CacheOptions['onClose']) {
    this.#parts = parts;
    this.#onClose = onClose;
  }

  /** If the folder cannot be opened, a warning is emitted, and the cache works without it. */
  static async open(redis: RedisClient, config: CacheConfig, options: CacheOptions = {}): Promise<IntermediateCache> {
    const {
      prefix = defaultPrefix,
      timeoutMs = 2_000,
      maxValueBytes = 8_000_000,
      onWarning: warn = () => {},
    } = options;
    let folder: CacheFolder | undefined;
    if (config.enabled && config.folder) {
      try {
        folder = await CacheFolder.open(config.folder.path);
      } catch (cause) {
        const message = `the folder ${config.folder.path} cannot be used: large results are not kept`;
        warn({ code: 'folder-failed', message, cause });
      }
    }
    const parts = {
      config,
      store: new CacheStore(redis, { prefix, timeoutMs, warn }),
      folder,
      key: config.secret?.map((one) => sealKey(one.reveal())),
      maxValueBytes,
      fileAboveBytes: Math.min(options.fileAboveBytes ?? 64_000, maxValueBytes),
      computeLeaseMs: options.computeLeaseMs ?? 30_000,
      warn,
      reportedTypes: new Set<string>(),
    };
    return new IntermediateCache(parts, options.onClose);
  }

  /** Closes connections that this cache opened; a given connection stays open. */
  async close(): Promise<void> {
    await this.#onClose?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  policyFor(type: string): CachePolicy {
    return policyFor(this.#parts.config, type);
  }

  put(type: string, key: string, bytes: Uint8Array, options: PutOptions = {}): Promise<PutResult> {
    return putValue(this.#parts, type, key, bytes, options);
  }

  /**
   * Puts a stream of any length. Without a folder, data beyond `maxValueBytes` are dropped and the source is closed.
   *
   * @throws errors of the source
   */
  async putStream(
    type: string,
    key: string,
    source: AsyncIterable<Uint8Array>,
    options: PutOptions = {},
  ): Promise<PutResult> {
    const parts = this.#parts;
    if (!keeps(parts, type, options)) return 'dropped';
    const toFile = parts.folder !== undefined && options.inRedis !== true;
    const spooled = await spool(source, toFile ? parts.fileAboveBytes : parts.maxValueBytes);
    if (spooled.kind === 'whole') return this.put(type, key, spooled.bytes, options);
    if (toFile) return putFile(parts, type, key, spooled.all, options);
    await spooled.all[Symbol.asyncIterator]().return?.();
    await this.invalidate(type, key);
    return tooLarge(parts, type);
  }

  async get(type: string, key: string): Promise<CachedValue | undefined> {
    const found = await this.lookup(type, key);
    return found.state === 'hit' ? found.value : undefined;
  }

  /**
   * Like `get`, with the reason if there is no value. With `none` the call is not a use and counts neither as hit nor as
   * miss.
   */
  lookup(type: string, key: string, counting: 'all' | 'none' = 'all'): Promise<Lookup<CachedValue>> {
    return lookupValue(this.#parts, type, key, counting);
  }

  /** For values of any size. */
  async openStream(type: string, key: string): Promise<CachedStream | undefined> {
    const found = await lookupStream(this.#parts, type, key, 'all');
    return found.state === 'hit' ? found.value : undefined;
  }

  /** Whether it exists and has not expired. Counts neither as hit nor as use. */
  async has(type: string, key: string): Promise<boolean> {
    return (await findEntry(this.#parts, type, key, 'none', 'without value')).state === 'hit';
  }

  /** Removes a result, in Redis and from all folders. @returns whether there was one */
  invalidate(type: string, key: string): Promise<boolean> {
    return invalidate(this.#parts, type, key);
  }

  /** Ends a use and removes its transient results. @returns their number */
  async release(use: string): Promise<number> {
    return settleRemoval(this.#parts, await this.#parts.store.run(releaseScript, [use]));
  }

  /** Removes all results of a type, or of all types, including persistent ones. @returns how many */
  async clear(type?: string): Promise<number> {
    const { removed, files } = await clearEntries(this.#parts.store, type);
    await removeFiles(this.#parts.folder, files);
    return removed;
  }

  /** Removes expired entries, and files of our folder that Redis does not know. Call it periodically. @returns how many entries */
  async prune(): Promise<number> {
    const { store, folder } = this.#parts;
    let total = 0;
    for (let removed = 1; removed > 0; total += removed) {
      removed = await settleRemoval(this.#parts, await store.run(pruneScript, []));
    }
    const known = folder && (await knownFiles(store, folder.id));
    if (known) await folder.sweep(known).catch((cause) => folderFailed(this.#parts, cause));
    return total;
  }

  /** The next number of a counter that all processes share; undefined when Redis does not respond. */
  tick(): Promise<number | undefined> {
    const { store, config } = this.#parts;
    return config.enabled
      ? store.ask((redis) => redis.hincrby(`${store.base}totals`, 'clock', 1))
      : Promise.resolve(undefined);
  }

  /** @returns undefined when Redis does not respond */
  stats(): Promise<CacheStats | undefined> {
    return readStats(this.#parts.store, this.#parts.config.maxMemory);
  }

  /** Counts the entries again, for comparison with `stats`. @returns undefined when Redis does not respond */
  audit(): Promise<CacheAudit | undefined> {
    return auditEntries(this.#parts.store);
  }

  /**
   * The value, computed by one worker of all processes while the others wait for it. Stored as JSON unless a codec is
   * given.
   *
   * @throws errors of `compute`; then the next worker tries
   */
  async getOrCompute<T>(
    type: string,
    key: string,
    compute: () => Promise<T>,
    options: ComputeOnceOptions & { readonly codec?: Codec<T> } = {},
  ): Promise<T> {
    const { codec = jsonCodec<T>(), signal, ...put } = options;
    const parts = this.#parts;
    if (!keeps(parts, type, options)) return compute();
    const find = (counting: Counting) => this.#decoded(type, key, codec, counting);
    const present = await find('hits');
    if (present) return present.value;
    const { value } = await computeOnce(
      parts.store,
      this.#computeAddress(type, key),
      {
        find: () => find('hits'),
        make: async () => {
          void countMiss(parts.store, type);
          const value = await compute();
          const result = await this.#putEncoded(type, key, value, codec, put);
          return { value: { value }, kept: result === 'stored' || result === 'over-budget' };
        },
      },
      { leaseMs: parts.computeLeaseMs, signal },
    );
    return value;
  }

  /**
   * The stream of a value of any size, produced by one worker of all processes. It is returned once it is stored completely, or
   * as it arrives if it cannot be stored.
   *
   * @throws errors of `produce` or its stream
   */
  async getOrComputeStream(
    type: string,
    key: string,
    produce: () => Promise<AsyncIterable<Uint8Array>>,
    options: ComputeOnceOptions = {},
  ): Promise<ComputedStream> {
    const { signal, ...put } = options;
    const parts = this.#parts;
    if (!keeps(parts, type, options)) return unkept(await produce());
    const find = async (): Promise<ComputedStream | undefined> => {
      const found = await lookupStream(parts, type, key, 'hits');
      return found.state === 'hit' ? found.value : undefined;
    };
    return (
      (await find()) ??
      computeOnce(
        parts.store,
        this.#computeAddress(type, key),
        {
          find,
          make: () => {
            void countMiss(parts.store, type);
            return produceStream(parts, type, key, produce, put);
          },
        },
        { leaseMs: parts.computeLeaseMs, signal },
      )
    );
  }

  async #putEncoded<T>(type: string, key: string, value: T, codec: Codec<T>, options: PutOptions): Promise<PutResult> {
    let bytes: Uint8Array;
    try {
      bytes = codec.encode(value);
    } catch (cause) {
      this.#parts.warn({ code: 'not-encodable', type, message: `a result of type ${type} cannot be encoded`, cause });
      return 'dropped';
    }
    return this.put(type, key, bytes, options);
  }

  /** Processes with separate folders compute one result each. */
  #computeAddress(type: string, key: string): string {
    const address = addressOf(type, key);
    return this.#parts.folder ? inFolder(address, this.#parts.folder.id) : address;
  }

  /** Wrapped, since a value may be undefined. */
  async #decoded<T>(type: string, key: string, codec: Codec<T>, counting: Counting): Promise<{ value: T } | undefined> {
    const found = await lookupValue(this.#parts, type, key, counting);
    if (found.state !== 'hit') return undefined;
    try {
      return { value: codec.decode(found.value.bytes) };
    } catch {
      await reportCorrupt(this.#parts, type, key);
      return undefined;
    }
  }
}
