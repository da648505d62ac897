import { createHash } from 'node:crypto';
import type { ManifestInstance } from './manifest.ts';

/** Identifies a delivery: one study's content to one target. Never contains patient data. */
export type DeliveryId = string & { readonly __brand: 'DeliveryId' };
/** Identifies a study task: one content of one study, with all its deliveries. */
export type StudyTaskId = string & { readonly __brand: 'StudyTaskId' };

/**
 * The identity of a delivery. The same content of the same study to the same target is the same delivery, for any number
 * of events; `nonce` is for an operator who requests it again.
 */
export interface DeliveryIdentity {
  readonly source: string;
  /** Orthanc's id of the study: patient and study. Two patients may share a Study Instance UID. */
  readonly orthancStudyId: string;
  readonly target: string;
  readonly contentHash: string;
  /** Name of the transform: the same study in another shape is another delivery. */
  readonly transform?: string;
  readonly nonce?: string;
}

export function deliveryId(identity: DeliveryIdentity): DeliveryId {
  const { source, orthancStudyId, target, contentHash, transform, nonce } = identity;
  const shape = transform === undefined ? [] : [transform];
  return `d-${digest([source, orthancStudyId, target, contentHash, nonce ?? '', ...shape])}` as DeliveryId;
}

export function studyTaskId(identity: Omit<DeliveryIdentity, 'target' | 'transform'>): StudyTaskId {
  const { source, orthancStudyId, contentHash, nonce } = identity;
  return `s-${digest([source, orthancStudyId, contentHash, nonce ?? ''])}` as StudyTaskId;
}

/** The hash of a study's instance set: each instance with the version of its content, in no particular order. */
export function contentHash(
  instances: Iterable<
    Pick<ManifestInstance, 'sopInstanceUid' | 'sharesSopInstanceUid' | 'version'> & {
      readonly seriesInstanceUid?: string;
    }
  >,
): string {
  const lines = Array.from(instances, (instance) => `${instanceKey(instance)} ${instance.version}`).sort();
  return digest(lines);
}

/**
 * Placeholder for the content of a study that is still being received. Instances that arrive after a study was routed are
 * other content than those before.
 *
 * @param before - content hash of the last routing
 */
export function arrivingHash(before: string | undefined): string {
  return before === undefined || before === '' ? 'arriving' : `arriving-after-${before}`;
}

/**
 * The identity of an instance within its study: its SOP Instance UID, with the series if the study has this UID in
 * several series.
 */
export function instanceKey(
  instance: Pick<ManifestInstance, 'sopInstanceUid' | 'sharesSopInstanceUid'> & { readonly seriesInstanceUid?: string },
): string {
  const { sopInstanceUid, seriesInstanceUid = '', sharesSopInstanceUid } = instance;
  return sharesSopInstanceUid === true ? `${sopInstanceUid}@${seriesInstanceUid}` : sopInstanceUid;
}

/** 20 hexadecimal digits. BullMQ forbids ":" in job ids, and people copy these ids. */
function digest(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:${part};`);
  return hash.digest('hex').slice(0, 20);
}

const uidPattern = /^[0-9]+(\.[0-9]+)*$/;

/** Whether the text is a UID (PS3.5 section 9.1): digits and dots, at most 64 characters. */
export function isUid(text: string): boolean {
  return text.length > 0 && text.length <= 64 && uidPattern.test(text);
}
