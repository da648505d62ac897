import {
  DispatchError,
  type Config,
  type DeliveryData,
  type ManifestInstance,
  type TransformConfig,
} from '@dicom-dispatch/core';
import type { IntermediateCache } from '@dicom-dispatch/cache';
import { forgetManifest, readFacts, shareManifest, type SharedManifest } from '@dicom-dispatch/pipeline';
import type { Redis } from '@dicom-dispatch/runtime';
import {
  createTransform,
  isWell,
  openInstance,
  otherDatabase,
  proveGone,
  readManifest,
  readStudyWith,
  studyError,
  type DigestBudget,
  type GuardedBytes,
  type InstanceTransform,
  type KeepTransformed,
  type OpenOptions,
  type OrthancClient,
  type StorageLane,
  type StudyFacts,
} from '@dicom-dispatch/sources';
import { readFeedState, seenChanges } from '@dicom-dispatch/state/feed';
import type { TemplateTags } from '@dicom-dispatch/targets';

/** Which study, with the content that was routed. */
export type RoutedStudy = Pick<
  DeliveryData,
  'source' | 'orthancStudyId' | 'studyInstanceUid' | 'contentHash' | 'epoch'
> & {
  readonly transform?: DeliveryData['transform'];
  readonly arriving?: DeliveryData['arriving'];
};

/** Objects that all studies of one source share; functions return values that a reload may have replaced. */
export interface SourceAccess {
  readonly orthanc: OrthancClient;
  readonly redis: Redis;
  readonly digests: DigestBudget;
  config(): Config;
  cache(): IntermediateCache;
  /** Direct access to the files of the source. */
  lane(): StorageLane | undefined;
}

/** All instances that may be sent of a study that is still being received. */
export interface ArrivedInstances {
  readonly instances: readonly ManifestInstance[];
  /** False if series were omitted that are still being received. */
  readonly isAll: boolean;
}

/**
 * A study in its source, as read by one delivery: its tags, its manifest, its bytes.
 *
 * @throws DispatchError of the source from every read; `source-gone` only if proven, if `provesGone` is set
 */
export class DeliverySource {
  readonly #access: SourceAccess;
  readonly #study: RoutedStudy;
  readonly #signal: AbortSignal;
  readonly #provesGone: boolean;

  /**
   * @param provesGone - a delivery ends if its study was deleted: this must be proven. For an audit the source's response is
   *   sufficient.
   */
  constructor(access: SourceAccess, study: RoutedStudy, signal: AbortSignal, provesGone: boolean) {
    this.#access = access;
    this.#study = study;
    this.#signal = signal;
    this.#provesGone = provesGone;
  }

  get orthanc(): OrthancClient {
    return this.#access.orthanc;
  }

  /** @param wanted - tags that the templates of the target read */
  readStudy(wanted: TemplateTags): Promise<StudyFacts> {
    const { source, orthancStudyId } = this.#study;
    return this.#read(() => readStudyWith(this.orthanc, source, orthancStudyId, wanted, this.#signal));
  }

  /** The manifest as it is now. */
  readManifest(): Promise<ManifestInstance[]> {
    return this.#read(() => readManifest(this.orthanc, this.#study, this.#signal));
  }

  /**
   * The manifest with the routed content, as of the time when the study was read: read once for all targets and attempts.
   *
   * @param how - `shared`: a cached one is sufficient; `anew`: a cached one is discarded first
   */
  async shareManifest(lastUpdate: string | undefined, how: 'shared' | 'anew'): Promise<SharedManifest> {
    if (lastUpdate === undefined) return { instances: await this.readManifest(), isShared: false };
    const moment = { ...this.#study, lastUpdate };
    const cache = this.#access.cache();
    if (how === 'anew') {
      await forgetManifest(cache, moment);
      return { instances: await this.readManifest(), isShared: false };
    }
    return this.#read(() =>
      shareManifest(cache, moment, () => readManifest(this.orthanc, this.#study, this.#signal), this.#signal),
    );
  }

  /** @param by - whether instances may be sent as they arrive, or when their series is stable */
  readArrived(by: DeliveryData['arriving']): Promise<ArrivedInstances> {
    return this.#read(async () => {
      const manifest = await readManifest(this.orthanc, this.#study, this.#signal);
      if (by !== 'series') return { instances: manifest, isAll: true };
      const all = await this.orthanc.studies.series(this.#study.orthancStudyId, { signal: this.#signal });
      const stable = new Set(
        all.flatMap(({ IsStable, MainDicomTags }) => (IsStable ? [MainDicomTags['SeriesInstanceUID']] : [])),
      );
      const instances = manifest.filter(({ seriesInstanceUid }) => stable.has(seriesInstanceUid));
      return { instances, isAll: instances.length === manifest.length };
    });
  }

  /** Tags of each instance of the manifest, by its id in the source. */
  readInstanceTags(
    names: readonly string[],
    manifest: readonly ManifestInstance[],
  ): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
    return this.#read(async () => {
      const study = { ...this.#study, manifest };
      try {
        const wanted = { study: [], series: [], instance: names };
        return (await readFacts(this.orthanc, study, wanted, this.#access.cache(), this.#signal)).instances;
      } catch (error) {
        throw await studyError(error, this.orthanc, study, 'manifest', this.#signal);
      }
    });
  }

  /**
   * The transform of the instances of this delivery; undefined without one.
   *
   * @throws DispatchError `config-invalid` if it needs a key and none is configured
   */
  transform(): InstanceTransform | undefined {
    const definition = this.#study.transform?.definition;
    if (!definition) return undefined;
    const config = this.#access.config();
    return createTransform({
      orthanc: this.orthanc,
      source: this.#study.source,
      definition,
      pseudonyms: config.pseudonyms,
      ...(config.cache.enabled && { keep: this.#keepTransformed(definition) }),
    });
  }

  open(instance: ManifestInstance, options?: OpenOptions): Promise<GuardedBytes> {
    const { digests } = this.#access;
    // An instance that failed before is read by REST, not from the folder.
    const hasFailed = options?.digest === true;
    return openInstance(this.orthanc, this.#study.source, instance, {
      ...options,
      digest: hasFailed || this.#isDigested(instance),
      digestAnswered: (tookMs) => digests.answered(tookMs),
      storage: hasFailed ? undefined : this.#access.lane(),
    });
  }

  /** Whether the source responds correctly to a request that does not concern an instance. */
  isWell(): Promise<boolean> {
    return isWell({ orthanc: this.orthanc, signal: this.#signal });
  }

  /** Evaluates a `source-gone`: confirms it if proven, otherwise returns the other error. */
  async proveGone(): Promise<unknown> {
    const { redis, config } = this.#access;
    const { source, epoch } = this.#study;
    const feed = await readFeedState(redis, config().redis.prefix, source);
    if (feed && String(feed.epoch) !== epoch) return otherDatabase(source);
    return proveGone(this.orthanc, this.#study, feed ? seenChanges(feed) : [], this.#signal);
  }

  async #read<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      const isClaimed = error instanceof DispatchError && error.code === 'source-gone';
      throw isClaimed && this.#provesGone ? await this.proveGone() : error;
    }
  }

  #isDigested({ sizeBytes }: ManifestInstance): boolean {
    const { config, digests } = this.#access;
    const { source, arriving } = this.#study;
    const wanted = config().sources[source]?.digest;
    return wanted === 'always' || (wanted === 'sample' && digests.take(sizeBytes, arriving !== undefined));
  }

  /**
   * One delivery computes a changed instance, and others that need it wait for it. Instances that are not anonymised contain
   * patient data (docs/decisions/0005).
   */
  #keepTransformed(definition: TransformConfig): KeepTransformed {
    const confidential = definition.anonymise === undefined;
    const type = 'transformed-instance';
    const cache = this.#access.cache();
    return {
      keep: (key, produce, signal) =>
        cache.getOrComputeStream(type, key, produce, { confidential, ...(signal && { signal }) }),
      forget: (key) => cache.invalidate(type, key),
    };
  }
}
