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
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { createHash } from 'node:crypto';
import { sourceError } from '../source-error.ts';
import { Pseudonyms } from './pseudonyms.ts';
import { showInstance, showStudy } from './show-transformed.ts';
import { needsTags, onlyTranscodes, transformRequest } from './transform-request.ts';

interface OpenOptions {
  readonly transferSyntaxUid?: string;
  readonly signal?: AbortSignal;
}

/** Instances of one study as they leave, changed on their way by the source's engine. */
export interface InstanceTransform {
  /** An instance of the manifest as the target will see it. */
  show(instance: ManifestInstance): ManifestInstance;
  showStudy(study: StudyTags): StudyTags;
  /**
   * Opens the changed file of an instance of the source.
   *
   * @throws DispatchError `instance-unsupported` when the source cannot change it like that
   */
  open(instance: ManifestInstance, options?: OpenOptions): Promise<InstanceBytes>;
}

/** Keeps changed instances for other deliveries and attempts: the cache, where there is one. */
export type KeepTransformed = (
  key: string,
  produce: () => Promise<AsyncIterable<Uint8Array>>,
  signal: AbortSignal | undefined,
) => Promise<InstanceBytes>;

export interface TransformSetting {
  readonly orthanc: OrthancClient;
  readonly source: string;
  readonly definition: TransformConfig;
  readonly pseudonyms: PseudonymsConfig | undefined;
  readonly keep?: KeepTransformed | undefined;
}

/** @throws DispatchError `config-invalid` when the transform needs a key and none is configured (any more) */
export function createTransform(setting: TransformSetting): InstanceTransform {
  const { orthanc, source, definition, keep } = setting;
  const pseudonyms =
    setting.pseudonyms && new Pseudonyms(setting.pseudonyms.secret.reveal(), setting.pseudonyms.prefix);
  if (!pseudonyms && needsSecret(definition)) {
    throw new DispatchError(
      'config-invalid',
      'the transform gives pseudonyms or new UIDs, and pseudonyms.secret is gone',
    );
  }
  const shape = `${transformHash(definition)} ${pseudonyms?.fingerprint() ?? ''}`;

  return {
    show: (instance) => showInstance(instance, definition, pseudonyms),
    showStudy: (study) => showStudy(study, definition, pseudonyms),
    async open(instance, options = {}) {
      const transferSyntaxUid = options.transferSyntaxUid ?? definition.transferSyntax;
      try {
        if (!keep) {
          const made = await make(instance, transferSyntaxUid, options.signal);
          return { sizeBytes: made.sizeBytes, body: translated(made.body) };
        }
        const key = keyOf(instance, transferSyntaxUid);
        let madeBytes: number | undefined;
        const produce = async (): Promise<AsyncIterable<Uint8Array>> => {
          const made = await make(instance, transferSyntaxUid, options.signal);
          madeBytes = made.sizeBytes;
          return translated(made.body);
        };
        const kept = await keep(key, produce, options.signal);
        return { sizeBytes: kept.sizeBytes ?? madeBytes, body: kept.body };
      } catch (error) {
        throw transformError(error, instance);
      }
    },
  };

  async function make(
    instance: ManifestInstance,
    transferSyntaxUid: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ sizeBytes: number | undefined; body: AsyncIterable<Uint8Array> }> {
    const call = signal ? { signal } : undefined;
    const { sourceId } = instance;
    if (transferSyntaxUid !== undefined && onlyTranscodes(definition)) {
      if (transferSyntaxUid === instance.transferSyntaxUid) return orthanc.instanceFile(sourceId, call);
      return orthanc.instances.transcode(sourceId, transferSyntaxUid, call);
    }
    const tags = needsTags(definition) ? await orthanc.instances.tags(sourceId, call) : {};
    if (definition.anonymise && transferSyntaxUid !== undefined && transferSyntaxUid !== instance.transferSyntaxUid) {
      // Orthanc would leave the transfer syntax as it is, and say nothing.
      throw new DispatchError(
        'instance-unsupported',
        `source ${source} cannot anonymise and transcode instance ${instance.sopInstanceUid} in one go`,
        { remedy: 'Let the target accept the transfer syntax of the instance, or transcode in the source on arrival.' },
      );
    }
    const { act, body } = transformRequest(instance, tags, definition, pseudonyms, transferSyntaxUid);
    return act === 'modify'
      ? orthanc.instances.modify(sourceId, body, call)
      : orthanc.instances.anonymise(sourceId, body, call);
  }

  /** Tells apart whatever comes out differently; shows no UID of an anonymised study. */
  function keyOf(instance: ManifestInstance, transferSyntaxUid: string | undefined): string {
    const parts = [source, instance.sourceId, instance.version, shape, transferSyntaxUid ?? ''];
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 40);
  }

  async function* translated(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      throw sourceError(error, source, 'transfer');
    }
  }

  function transformError(error: unknown, instance: ManifestInstance): unknown {
    if (!(error instanceof OrthancError)) return error;
    const { sopInstanceUid } = instance;
    if (error.code === 'not-found') {
      return new DispatchError(
        'source-instance-gone',
        `source ${source}: instance ${sopInstanceUid} is not there any more`,
        { cause: error, stage: 'transfer' },
      );
    }
    if (error.code === 'bad-request' || error.code === 'unsupported' || saysTranscoding(error)) {
      return new DispatchError(
        'instance-unsupported',
        `source ${source} cannot change or transcode instance ${sopInstanceUid} as the transform asks`,
        {
          cause: error,
          stage: 'transfer',
          remedy: "Look at the source's log; exclude such instances, or change the transform.",
        },
      );
    }
    return sourceError(error, source, 'transfer');
  }
}

/** A transfer syntax that it cannot write is an internal error to Orthanc; only its words tell it from others. */
function saysTranscoding(error: OrthancError): boolean {
  return error.code === 'server-error' && /transcod/i.test(error.details ?? '');
}
