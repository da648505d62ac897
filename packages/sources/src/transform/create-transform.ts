import {
  DispatchError,
  needsSecret,
  transformHash,
  type InstanceBytes,
  type ManifestInstance,
  type PseudonymsConfig,
  type StudyTags,
  type TransformConfig,
} from '@dicom-dispatch/core';
import type { OrthancClient } from '@dicom-dispatch/orthanc';
import { createHash } from 'node:crypto';
import { madeBytes } from '../guard/expected-bytes.ts';
import { guardBytes } from '../guard/guard-bytes.ts';
import type { Deviation, OfferedBytes } from '../guard/guard-options.ts';
import type { GuardedBytes } from '../guard/guarded-bytes.ts';
import { wrongBytes, type InstanceRequest } from '../instance-error.ts';
import { failureOf, openInstance, preparationMs, type OpenOptions } from '../open-instance.ts';
import { inspectTransform, wholeDataSet, type ExpectedChanges } from '../inspect/transform-inspector.ts';
import { cannotChange } from './cannot-change.ts';
import { withKeywords } from './find-path.ts';
import { Pseudonyms } from './pseudonyms.ts';
import { showInstance, showStudy, wantedSyntax } from './show-transformed.ts';
import { collectTexts, type ReadTexts } from './stored-texts.ts';
import { isTagsOf, keepsIdentity, needsTags, onlyTranscodes, transformRequest } from './transform-request.ts';

/** Instances of one study as sent, transformed by the source's engine. */
export interface InstanceTransform {
  /** An instance of the manifest as the target will see it. */
  show(instance: ManifestInstance): ManifestInstance;
  showStudy(study: StudyTags): StudyTags;
  /**
   * Opens the changed file of an instance of the source.
   *
   * @throws DispatchError `instance-unsupported` if the source cannot make the change
   */
  open(instance: ManifestInstance, options?: OpenOptions): Promise<GuardedBytes>;
}

/** Stores transformed instances for other deliveries and attempts: the cache, if there is one. */
export interface KeepTransformed {
  keep(
    key: string,
    produce: () => Promise<AsyncIterable<Uint8Array>>,
    signal: AbortSignal | undefined,
  ): Promise<InstanceBytes>;
  /** The stored value of the key is invalid. */
  forget(key: string): Promise<unknown>;
}

export interface TransformDependencies {
  readonly orthanc: OrthancClient;
  readonly source: string;
  readonly definition: TransformConfig;
  readonly pseudonyms: PseudonymsConfig | undefined;
  readonly keep?: KeepTransformed | undefined;
}

/** Increased when the inspection of results rejects more: stored results of earlier versions are not used then. */
const proofVersion = 2;

/** @throws DispatchError `config-invalid` if the transform needs a key and none is configured (any more) */
export function createTransform(dependencies: TransformDependencies): InstanceTransform {
  const { orthanc, source, keep } = dependencies;
  const definition = withKeywords(dependencies.definition);
  const pseudonyms =
    dependencies.pseudonyms && new Pseudonyms(dependencies.pseudonyms.secret.reveal(), dependencies.pseudonyms.prefix);
  if (!pseudonyms && needsSecret(definition)) {
    throw new DispatchError(
      'config-invalid',
      'the transform creates pseudonyms or new UIDs, and pseudonyms.secret is missing',
    );
  }
  const shape = `${transformHash(dependencies.definition)} ${pseudonyms?.fingerprint() ?? ''}`;

  const hasSameIdentity = keepsIdentity(definition);

  return {
    show: (instance) => showInstance(instance, definition, pseudonyms),
    showStudy: (study) => showStudy(study, definition, pseudonyms),
    async open(instance, options = {}) {
      const transferSyntaxUid = options.transferSyntaxUid ?? wantedSyntax(instance, definition);
      if (
        onlyTranscodes(definition) &&
        (transferSyntaxUid ?? instance.transferSyntaxUid) === instance.transferSyntaxUid
      ) {
        return openInstance(orthanc, source, instance, { ...options, transferSyntaxUid: undefined });
      }
      const shown = showInstance(instance, definition, pseudonyms);
      const expected = madeBytes(shown, transferSyntaxUid ?? instance.transferSyntaxUid, hasSameIdentity);
      const request: InstanceRequest = {
        orthanc,
        source,
        instance,
        change: 'transform',
        transferSyntaxUid,
        signal: options.signal,
      };
      const failed = failureOf(request, options);
      const wrong = (deviation: Deviation): Error => wrongBytes(request, deviation);
      const made = async ({ tally, ended }: Pick<OpenOptions, 'tally' | 'ended'> = {}): Promise<GuardedBytes> => {
        const { offered, changes } = await make(instance, transferSyntaxUid, wrong, options.signal);
        const broken = (what: string): Error =>
          wrong({ kind: 'head', expected: 'a whole data set', came: `another (${what})` });
        const inspector = inspectTransform(changes, broken);
        return guardBytes(offered, { expected, wrong, failed, tally, ended, inspector });
      };
      try {
        if (!keep) return await made(options);
        const key = keyOf(instance, transferSyntaxUid);
        let madeBytesCount: number | undefined;
        const produce = async (): Promise<AsyncIterable<Uint8Array>> => {
          const { sizeBytes, body } = await made();
          madeBytesCount = sizeBytes;
          return body;
        };
        const kept = await keep.keep(key, produce, options.signal);
        // Stored values pass the guard again: another process may have put them there.
        return await guardBytes(
          { sizeBytes: kept.sizeBytes ?? madeBytesCount, body: kept.body },
          {
            expected,
            wrong,
            tally: options.tally,
            ended: options.ended,
            async failed(error) {
              await keep.forget(key);
              return failed(error);
            },
          },
        );
      } catch (error) {
        throw await failed(error);
      }
    },
  };

  async function make(
    instance: ManifestInstance,
    transferSyntaxUid: string | undefined,
    wrong: (deviation: Deviation) => Error,
    signal: AbortSignal | undefined,
  ): Promise<{ offered: OfferedBytes; changes: ExpectedChanges }> {
    const call = { preparationMs: preparationMs(instance), ...(signal && { signal }) };
    const { sourceId } = instance;
    if (transferSyntaxUid !== undefined && onlyTranscodes(definition)) {
      const offered = await orthanc.instances.transcode(sourceId, transferSyntaxUid, call);
      return { offered, changes: wholeDataSet(instance) };
    }
    const tags = needsTags(definition)
      ? await orthanc.instances.tags(sourceId, { format: 'full', ...call })
      : undefined;
    if (tags && !isTagsOf(instance, tags)) {
      throw wrong({ kind: 'head', expected: 'its tags', came: 'those of another instance' });
    }
    if (definition.anonymise && transferSyntaxUid !== undefined && transferSyntaxUid !== instance.transferSyntaxUid) {
      // Orthanc would keep the transfer syntax without an error.
      throw new DispatchError(
        'instance-unsupported',
        `source ${source} cannot anonymise and transcode instance ${instance.sopInstanceUid} in one step`,
        {
          remedy:
            'Configure the target to accept the transfer syntax of the instance, or transcode in the source on arrival.',
        },
      );
    }
    const readTexts = readOnce(async (named) => {
      const { inspector, texts, isComplete } = collectTexts(tags ?? {}, named);
      const file = await openInstance(orthanc, source, instance, { inspector, signal });
      for await (const chunk of file.body) void chunk;
      if (!isComplete()) cannotChange(instance, 'its stored texts cannot be read, because its data set is damaged');
      return texts;
    });
    const { act, body, expected } = await transformRequest(
      instance,
      tags,
      definition,
      pseudonyms,
      transferSyntaxUid,
      readTexts,
    );
    const offered =
      act === 'modify'
        ? await orthanc.instances.modify(sourceId, body, call)
        : await orthanc.instances.anonymise(sourceId, body, call);
    return { offered, changes: expected };
  }

  /** Reads the texts once: the first call names all that are copied, so its result serves the later calls. */
  function readOnce(read: ReadTexts): ReadTexts {
    let texts: ReturnType<ReadTexts> | undefined;
    return (named) => (texts ??= read(named));
  }

  /** Distinguishes different results; reveals no UID of an anonymised study. */
  function keyOf(instance: ManifestInstance, transferSyntaxUid: string | undefined): string {
    const parts = [proofVersion, source, instance.sourceId, instance.version, shape, transferSyntaxUid ?? ''];
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 40);
  }
}
