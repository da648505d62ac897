import { asDispatchError, DispatchError } from '@dicom-dispatch/core';
import { isDimseError, peekPart10, toImplicitVr, type Association, type ByteSource } from 'dicom-dimse';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import {
  inLanes,
  largeAtOnce,
  largeBytes,
  verdictOf,
  type LaneContext,
  type OpenedInstance,
  type Suspects,
} from '../flow/index.ts';
import type { AssociationPool } from './association-pool.ts';
import { dicomError } from './errors.ts';
import { chooseEncoding, type ContextGroup, type Encoding } from './presentation-contexts.ts';
import type { AnyDicomTarget } from './schema.ts';
import { storeOutcome } from './store-outcome.ts';

/**
 * Two instances are on their way on each association: the second is ready to go when the response to the first begins,
 * which is what the early byte needs.
 */
const instancesPerAssociation = 2;

/** Sends what fits one set of associations. @returns what was quarantined */
export async function sendGroup(
  run: DeliveryRun<AnyDicomTarget>,
  group: ContextGroup,
  pool: AssociationPool,
  suspects: Suspects,
): Promise<ManifestInstance[]> {
  const quarantined: ManifestInstance[] = [];
  const encodings = new Map<ManifestInstance, Encoding>();
  const canStore = (sopClass: string, syntax: string): boolean => pool.first.canStore(sopClass, syntax);
  for (const instance of group.instances) {
    const encoding = chooseEncoding(instance, run.config, canStore);
    if (encoding !== undefined) {
      encodings.set(instance, encoding);
      continue;
    }
    quarantined.push(instance);
    await run.report(instance, { kind: 'quarantined', error: unsupported(instance, run.config) });
  }

  const { others, suspects: suspected } = suspects.divide([...encodings.keys()]);
  const isLarge = others.some(({ sizeBytes }) => sizeBytes > largeBytes);
  const associations = Math.min(isLarge ? largeAtOnce : run.config.associations, others.length);
  const lanes = { lanes: associations * instancesPerAssociation, prefetch: isLarge ? 0 : associations };
  let putOff: DispatchError | undefined;
  for (const part of [
    { ...lanes, instances: others },
    { lanes: 1, prefetch: 0, instances: suspected },
  ]) {
    try {
      const result = await inLanes(run, { ...part, transferSyntaxUid: toTranscode }, send);
      quarantined.push(...result.quarantined);
    } catch (thrown) {
      const error = asDispatchError(thrown);
      if (verdictOf(error) !== 'later') throw error;
      putOff ??= error;
    }
  }
  if (putOff) throw putOff;
  return quarantined;

  /** What to ask the source for, where it is not the instance as it is stored. */
  function toTranscode(instance: ManifestInstance): string | undefined {
    const encoding = encodings.get(instance);
    return encoding?.how === 'transcoded' ? encoding.transferSyntaxUid : undefined;
  }

  async function send({ instance, bytes }: OpenedInstance, { lane, signal }: LaneContext) {
    const association = usable(await pool.get(lane % Math.max(1, associations)), instance);
    const begun = suspects.begin();
    const { how = 'stored', transferSyntaxUid } = encodings.get(instance) ?? {};
    try {
      const source = how === 'stored' ? bytes.body : await changed(instance, bytes.body, how);
      // What is looked into first is read by another, who may hold on to its chunks.
      const releaseChunk = how === 'stored' ? bytes.giveBack : undefined;
      const options = { signal, priority: priorityOf(run), releaseChunk, ...known(instance, transferSyntaxUid) };
      const outcome = storeOutcome(await association.store(source, options));
      await suspects.passed(instance, begun);
      return outcome;
    } catch (thrown) {
      throw await suspects.judge(instance, bytes.readError ?? sendError(thrown, how));
    }
  }

  /** A receiver may answer differently from one association to the next. */
  function usable(association: Association, instance: ManifestInstance): Association {
    const canStore = association.canStore(instance.sopClassUid ?? '', encodings.get(instance)?.transferSyntaxUid ?? '');
    return canStore ? association : pool.first;
  }
}

function changed(
  instance: ManifestInstance,
  body: AsyncIterable<Uint8Array>,
  how: 're-encoded' | 'transcoded',
): ByteSource | Promise<ByteSource> {
  if (how === 'transcoded') return checkTranscoded(instance, body);
  return toImplicitVr(body, { known: known(instance, instance.transferSyntaxUid) });
}

function sendError(thrown: unknown, how: Encoding['how']): unknown {
  if (how !== 're-encoded' || !isDimseError(thrown, 'source-not-dicom')) return dicomError(thrown);
  return new DispatchError(
    'instance-unsupported',
    `the receiver accepts Implicit VR Little Endian only, and the instance cannot be re-encoded: ${thrown.message}`,
    { cause: thrown, remedy: 'Correct the instance in the source, or let the receiver accept it as stored.' },
  );
}

/** Lossy transcoding makes another instance of it, under a UID of its own (PS3.3 section C.12.4.1): not ours to send. */
async function checkTranscoded(
  { sopInstanceUid }: ManifestInstance,
  body: AsyncIterable<Uint8Array>,
): Promise<ByteSource> {
  const { meta, source } = await peekPart10(body);
  if (meta.sopInstanceUid === sopInstanceUid) return source;
  throw new DispatchError('instance-unsupported', 'transcoding would give the instance another SOP Instance UID', {
    remedy: 'Choose lossless transfer syntaxes in transferSyntaxes.',
  });
}

function unsupported({ sopClassUid, transferSyntaxUid }: ManifestInstance, config: AnyDicomTarget): DispatchError {
  const isListed = config.transferSyntaxes?.includes(transferSyntaxUid ?? '') ?? true;
  return new DispatchError(
    'instance-unsupported',
    isListed || config.transcode !== 'never'
      ? `the receiver does not accept SOP class ${sopClassUid} with transfer syntax ${transferSyntaxUid}`
      : `transfer syntax ${transferSyntaxUid} is not among the transferSyntaxes of the target`,
    {
      remedy:
        config.transcode === 'never'
          ? 'Allow both at the receiver, or set transcode: fallback for the target.'
          : 'Allow the SOP class at the receiver, with one of the transferSyntaxes of the target.',
    },
  );
}

/** The manifest knows what a file without meta does not tell. */
function known({ sopClassUid, sopInstanceUid }: ManifestInstance, transferSyntaxUid = '') {
  return { sopClassUid, sopInstanceUid, transferSyntaxUid, isTolerant: true };
}

function priorityOf(run: DeliveryRun<AnyDicomTarget>): 'high' | 'medium' | 'low' {
  if (run.priority === 'stat' || run.priority === 'urgent') return 'high';
  return run.priority === 'background' ? 'low' : 'medium';
}
