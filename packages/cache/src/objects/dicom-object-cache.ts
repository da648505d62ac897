import type { IntermediateCache } from '../intermediate/intermediate-cache.ts';
import type { Codec } from '../intermediate/codec.ts';
import { mergeSeries, mergeStudy, seriesCodec, studyCodec, type SeriesBranch } from './branch.ts';
import {
  trimStudy,
  type Attributes,
  type DicomAddress,
  type DicomLevel,
  type InstanceObject,
  type SeriesObject,
  type StudyObject,
} from './dicom-object.ts';

/** The object at an address, with its children down to `cachedLevel`: the deepest complete level. */
export type FoundObject =
  | { readonly state: 'found'; readonly level: 'study'; readonly object: StudyObject; readonly cachedLevel: DicomLevel }
  | {
      readonly state: 'found';
      readonly level: 'series';
      readonly object: SeriesObject;
      readonly cachedLevel: 'series' | 'instance';
    }
  | {
      readonly state: 'found';
      readonly level: 'instance';
      readonly object: InstanceObject;
      readonly cachedLevel: 'instance';
    };

/** `expired` is reported once, on first detection; later calls report `absent`. */
export type NotFound = { readonly state: 'absent' | 'expired' };

const type = 'study';
/** Attempts to write a branch that other processes change, too; then it is removed: no branch is better than an outdated one. */
const tries = 8;

/**
 * Trees of DICOM objects of one server, in the intermediate cache: with its budget, and the age of its type `study`. The
 * instances of a series expire with it. Cached objects may change after a query, because its result only refers to them.
 */
export class DicomObjectCache {
  readonly #cache: IntermediateCache;
  readonly #scope: string;
  readonly #confidential: boolean;

  /**
   * @param scope name of the server of these objects: the same UID may have other content elsewhere
   * @param options - `confidential` (default): attributes contain patient data, see `PutOptions`
   */
  constructor(cache: IntermediateCache, scope: string, options: { readonly confidential?: boolean } = {}) {
    this.#cache = cache;
    this.#scope = scope;
    this.#confidential = options.confidential ?? true;
  }

  /**
   * Adds a study with its tree to the known data.
   *
   * @param completeTo the level down to which the tree has all children; `study` (default): the given ones are some of them
   */
  async add(study: StudyObject, completeTo: DicomLevel = 'study'): Promise<void> {
    const expiresAt = this.#expiresAt();
    const { studyInstanceUid } = study;
    await Promise.all([
      this.#change(this.#studyKey(studyInstanceUid), studyCodec, (old) =>
        mergeStudy(old, study, completeTo !== 'study', expiresAt),
      ),
      ...(study.series ?? []).map((series) =>
        this.#change(this.#seriesKey(studyInstanceUid, series.seriesInstanceUid), seriesCodec, (old) =>
          mergeSeries(old, series, completeTo === 'instance', expiresAt),
        ),
      ),
    ]);
  }

  /** Replaces the attributes of a cached object, which expires as before. @returns false when it is not cached */
  async update(address: DicomAddress, attributes: Attributes): Promise<boolean> {
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = address;
    if (seriesInstanceUid === undefined) {
      return this.#change(this.#studyKey(studyInstanceUid), studyCodec, (old) => old && { ...old, attributes });
    }
    const key = this.#seriesKey(studyInstanceUid, seriesInstanceUid);
    if (sopInstanceUid === undefined) {
      return this.#change(key, seriesCodec, (old) => old && { ...old, attributes });
    }
    return this.#change(key, seriesCodec, (old) =>
      old?.instances[sopInstanceUid]
        ? { ...old, instances: { ...old.instances, [sopInstanceUid]: attributes } }
        : undefined,
    );
  }

  async get(address: DicomAddress): Promise<FoundObject | NotFound> {
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = address;
    if (seriesInstanceUid === undefined) return this.#getStudy(studyInstanceUid);
    const found = await this.#read(this.#seriesKey(studyInstanceUid, seriesInstanceUid), seriesCodec);
    if (found.state !== 'found') return found;
    if (sopInstanceUid === undefined) {
      const object = seriesOf(seriesInstanceUid, found.branch);
      return { state: 'found', level: 'series', object, cachedLevel: object.instances ? 'instance' : 'series' };
    }
    const attributes = found.branch.instances[sopInstanceUid];
    if (!attributes) return { state: 'absent' };
    return { state: 'found', level: 'instance', object: { sopInstanceUid, attributes }, cachedLevel: 'instance' };
  }

  /** A study without its series. */
  async getAlone(studyInstanceUid: string): Promise<StudyObject | undefined> {
    const found = await this.#read(this.#studyKey(studyInstanceUid), studyCodec);
    return found.state === 'found' ? { studyInstanceUid, attributes: found.branch.attributes } : undefined;
  }

  /** A series with certain of its instances, or without any; undefined if one of them is not cached. */
  async getSome(
    studyInstanceUid: string,
    seriesInstanceUid: string,
    sopInstanceUids: readonly string[] | undefined,
  ): Promise<SeriesObject | undefined> {
    const found = await this.#read(this.#seriesKey(studyInstanceUid, seriesInstanceUid), seriesCodec);
    if (found.state !== 'found') return undefined;
    const alone = { seriesInstanceUid, attributes: found.branch.attributes };
    if (!sopInstanceUids) return alone;
    const instances: InstanceObject[] = [];
    for (const sopInstanceUid of sopInstanceUids) {
      const attributes = found.branch.instances[sopInstanceUid];
      if (!attributes) return undefined;
      instances.push({ sopInstanceUid, attributes });
    }
    return { ...alone, instances };
  }

  /** Removes an object and its children. @returns whether it was there */
  async remove(address: DicomAddress): Promise<boolean> {
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = address;
    if (sopInstanceUid !== undefined) {
      return this.#change(this.#seriesKey(studyInstanceUid, seriesInstanceUid), seriesCodec, (old) => {
        if (!old?.instances[sopInstanceUid]) return undefined;
        const { [sopInstanceUid]: _removed, ...instances } = old.instances;
        return { ...old, instances };
      });
    }
    if (seriesInstanceUid !== undefined) {
      const key = this.#studyKey(studyInstanceUid);
      await this.#change(key, studyCodec, (old) =>
        old?.series.includes(seriesInstanceUid)
          ? { ...old, series: old.series.filter((uid) => uid !== seriesInstanceUid) }
          : undefined,
      );
      return this.#cache.invalidate(type, this.#seriesKey(studyInstanceUid, seriesInstanceUid));
    }
    const found = await this.#read(this.#studyKey(studyInstanceUid), studyCodec);
    const series = found.state === 'found' ? found.branch.series : [];
    await Promise.all(series.map((uid) => this.#cache.invalidate(type, this.#seriesKey(studyInstanceUid, uid))));
    return this.#cache.invalidate(type, this.#studyKey(studyInstanceUid));
  }

  /** Removes expired branches of all trees. @returns how many */
  prune(): Promise<number> {
    return this.#cache.prune();
  }

  async #getStudy(studyInstanceUid: string): Promise<FoundObject | NotFound> {
    const found = await this.#read(this.#studyKey(studyInstanceUid), studyCodec);
    if (found.state !== 'found') return found;
    const { attributes, series, complete } = found.branch;
    const alone = {
      state: 'found',
      level: 'study',
      object: { studyInstanceUid, attributes },
      cachedLevel: 'study',
    } as const;
    if (!complete) return alone;
    const children: SeriesObject[] = [];
    for (const uid of series) {
      const child = await this.#read(this.#seriesKey(studyInstanceUid, uid), seriesCodec);
      if (child.state !== 'found') return alone;
      children.push(seriesOf(uid, child.branch));
    }
    const cachedLevel = children.every((child) => child.instances) ? 'instance' : 'series';
    const whole = { studyInstanceUid, attributes, series: children };
    return { ...alone, object: trimStudy(whole, cachedLevel), cachedLevel };
  }

  async #read<T>(key: string, codec: Codec<T>): Promise<{ state: 'found'; branch: T } | NotFound> {
    const found = await this.#cache.lookup(type, key);
    if (found.state !== 'hit') return { state: found.state === 'expired' ? 'expired' : 'absent' };
    const branch = decoded(codec, found.value.bytes);
    return branch ? { state: 'found', branch } : { state: 'absent' };
  }

  /** Writes the result of `next` for a branch, even with concurrent writers; undefined leaves it. */
  async #change<T extends { readonly expiresAt: number }>(
    key: string,
    codec: Codec<T>,
    next: (old: T | undefined) => T | undefined,
  ): Promise<boolean> {
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const found = await this.#cache.lookup(type, key, 'none');
      if (found.state === 'unavailable') return false;
      const branch = next(found.state === 'hit' ? decoded(codec, found.value.bytes) : undefined);
      if (!branch) return false;
      const result = await this.#cache.put(type, key, codec.encode(branch), {
        expect: found.state === 'hit' ? found.value.stamp : 'absent',
        inRedis: true,
        confidential: this.#confidential,
        maxAgeMs: branch.expiresAt === 0 ? 0 : Math.max(1, branch.expiresAt - Date.now()),
      });
      if (result === 'stored' || result === 'over-budget') return true;
      if (result === 'dropped') break;
    }
    await this.#cache.invalidate(type, key);
    return false;
  }

  #expiresAt(): number {
    const { maxAgeMs } = this.#cache.policyFor(type);
    return maxAgeMs === 0 ? 0 : Date.now() + maxAgeMs;
  }

  #studyKey(studyInstanceUid: string): string {
    return `${this.#scope}/${studyInstanceUid}`;
  }
  #seriesKey(studyInstanceUid: string, seriesInstanceUid: string): string {
    return `${this.#scope}/${studyInstanceUid}/${seriesInstanceUid}`;
  }
}

function seriesOf(seriesInstanceUid: string, branch: SeriesBranch): SeriesObject {
  const { attributes, complete } = branch;
  if (!complete) return { seriesInstanceUid, attributes };
  const instances = Object.entries(branch.instances).map(([sopInstanceUid, attributes]) => ({
    sopInstanceUid,
    attributes,
  }));
  return { seriesInstanceUid, attributes, instances };
}

/** The branch; undefined if another version of this package wrote it in another form. */
function decoded<T>(codec: Codec<T>, bytes: Buffer): T | undefined {
  try {
    return codec.decode(bytes);
  } catch {
    return undefined;
  }
}
