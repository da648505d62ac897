import { DispatchError } from '@dicom-dispatch/core';
import { isDimseError, peekPart10, toImplicitVr, type Association, type ByteSource } from 'dicom-dimse';
import type { DeliveryRun, InstanceOutcome, ManifestInstance } from '@dicom-dispatch/target-kit';
import type { OpenedInstance } from '@dicom-dispatch/target-kit/flow';
import { dicomError } from './errors.ts';
import type { Encoding } from './presentation-contexts.ts';
import type { AnyDicomTarget } from './schema.ts';
import { storeOutcome } from './store-outcome.ts';

export interface StoreHow {
  readonly association: Association;
  readonly encoding: Encoding;
  readonly signal: AbortSignal;
}

/** Sends one instance by C-STORE. @throws DispatchError if it is not confirmed */
export async function storeOne(
  run: DeliveryRun<AnyDicomTarget>,
  { instance, bytes }: OpenedInstance,
  { association, encoding: { how, transferSyntaxUid }, signal }: StoreHow,
): Promise<InstanceOutcome> {
  if (!association.canStore(instance.sopClassUid ?? '', transferSyntaxUid)) {
    // The receiver accepted it when the delivery began: a later attempt may succeed.
    throw new DispatchError(
      'instance-failed',
      'the receiver accepts fewer presentation contexts on this association than on the previous one',
    );
  }
  try {
    const source = how === 'stored' ? bytes.body : await changed(instance, bytes.body, how);
    // A body that is transcoded or re-encoded has another reader, which may keep its chunks.
    const releaseChunk = how === 'stored' ? bytes.releaseChunk : undefined;
    const options = { signal, priority: priorityOf(run), releaseChunk, ...known(instance, transferSyntaxUid) };
    const outcome = storeOutcome(await association.store(source, options));
    return how === 're-encoded' ? noted(outcome) : outcome;
  } catch (thrown) {
    throw bytes.readError ?? sendError(thrown, how);
  }
}

/** Whether the association broke or stalled: this affects any instance in transit. */
export function isLost(thrown: unknown): thrown is DispatchError {
  return (
    thrown instanceof DispatchError &&
    (thrown.code === 'target-connection-lost' || thrown.code === 'target-timeout') &&
    isDimseError(thrown.cause)
  );
}

/** Adds a note about re-encoding, because the receipt has the digest of the file as the source sent it. */
function noted(outcome: InstanceOutcome): InstanceOutcome {
  if (outcome.kind !== 'delivered') return outcome;
  return { ...outcome, answer: `${outcome.answer ?? outcome.warning}, re-encoded in Implicit VR Little Endian` };
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
    { cause: thrown, remedy: 'Correct the instance in the source, or configure the receiver to accept it as stored.' },
  );
}

/** Lossy transcoding creates another instance with another UID (PS3.3 section C.12.4.1): it must not be sent. */
async function checkTranscoded(
  { sopInstanceUid }: ManifestInstance,
  body: AsyncIterable<Uint8Array>,
): Promise<ByteSource> {
  const { meta, source } = await peekPart10(body);
  if (meta.sopInstanceUid === sopInstanceUid) return source;
  throw new DispatchError('instance-unsupported', 'transcoding would change the SOP Instance UID of the instance', {
    remedy: 'Choose lossless transfer syntaxes in transferSyntaxes.',
  });
}

/** Values from the manifest, for files without file meta information. */
function known({ sopClassUid, sopInstanceUid }: ManifestInstance, transferSyntaxUid = '') {
  return { sopClassUid, sopInstanceUid, transferSyntaxUid, isTolerant: true };
}

function priorityOf(run: DeliveryRun<AnyDicomTarget>): 'high' | 'medium' | 'low' {
  if (run.priority === 'stat' || run.priority === 'urgent') return 'high';
  return run.priority === 'background' ? 'low' : 'medium';
}
