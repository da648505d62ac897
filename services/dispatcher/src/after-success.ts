import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import {
  contentHash,
  DispatchError,
  ledgerKeyOf,
  ledgerVersion,
  type ManifestInstance,
  type OnSuccessConfig,
  type StudyTaskData,
} from '@dicom-dispatch/core';
import { operationKeys } from '@dicom-dispatch/pipeline';
import { sourceError } from '@dicom-dispatch/sources';
import { OrthancError } from '@dicom-dispatch/orthanc';
import type { DeliverySource } from './delivery-source.ts';
import type { DispatcherContext } from './dispatcher-context.ts';

/** Executed actions in the source, and those that were not executed, with the reason. */
export interface AfterSuccess {
  readonly done: readonly string[];
  readonly left: readonly string[];
}

/** Maximum duration of all actions. */
const limitMs = 300_000;
/** How many instances are deleted at the same time. */
const lanes = 4;

/**
 * Executes the actions of the rules in the source after success: labels and metadata first, then protection, then
 * deletion. Repeating it changes nothing.
 *
 * @throws DispatchError if the source or Redis does not respond
 */
export async function afterSuccess(
  context: DispatcherContext,
  task: StudyTaskData,
  wanted: OnSuccessConfig,
): Promise<AfterSuccess> {
  const source = await context.sources.study(task, AbortSignal.timeout(limitMs));
  const { studies, patients } = source.orthanc;
  const log = context.log.child({ study: task.studyInstanceUid, source: task.source });
  const done: string[] = [];
  const left: string[] = [];
  for (const label of wanted.labels) {
    await attempt(`label ${label}`, () => studies.addLabel(task.orthancStudyId, label));
  }
  for (const [name, value] of Object.entries(wanted.metadata)) {
    await attempt(`metadata ${name}`, async () => void (await studies.setMetadata(task.orthancStudyId, name, value)));
  }
  if (wanted.unprotect) {
    await attempt('protection removed', async () => {
      const patient = (await studies.read(task.orthancStudyId)).ParentPatient;
      const why = await whyStillNeeded(context, source, task, patient);
      if (why === undefined) await patients.setProtected(patient, false);
      return why;
    });
  }
  if (wanted.delete) await attempt('instances deleted', () => deleteDelivered(context, source, task));
  if (left.length > 0) log.warn({ done, left }, 'not all actions after success could be done in the source');
  else log.info({ done }, 'actions after success done in the source');
  await recordOutcome(context, task, done, left);
  return { done, left };

  /** @param act - returns the reason why it was not executed */
  async function attempt(name: string, act: () => Promise<unknown>): Promise<void> {
    try {
      const why = await act();
      if (typeof why === 'string') left.push(`${name}: ${why}`);
      else done.push(name);
    } catch (error) {
      if (isGone(error)) {
        // A 404 of a proxy, or of another database for some time, must not end it.
        const proven = await source.proveGone();
        if (!isGone(proven)) throw proven;
        left.push(`${name}: the study is no longer in the source`);
      } else if (isRefused(error)) left.push(`${name}: the source cannot do it (${(error as Error).message})`);
      else throw sourceError(error, task.source, 'finalize');
    }
  }
}

/**
 * Deletes the delivered instances one by one: instances that arrive meanwhile stay, and so do replaced ones.
 *
 * @returns why not all were deleted
 */
async function deleteDelivered(
  context: DispatcherContext,
  source: DeliverySource,
  task: StudyTaskData,
): Promise<string | undefined> {
  const manifest = await source.readManifest();
  if (contentHash(manifest) !== task.contentHash) {
    return 'the study in the source is not the one that was delivered';
  }
  const why = await whyNotDelivered(context, task, manifest);
  if (why !== undefined) return why;
  const queue = manifest.values();
  let replaced = 0;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const instance of queue) {
        try {
          if (await isSameFile(source, instance)) await source.orthanc.instances.delete(instance.sourceId);
          else replaced += 1;
        } catch (error) {
          if (!isGone(error) || (await source.orthanc.instances.exists(instance.sourceId))) throw error;
        }
      }
    }),
  );
  return replaced === 0 ? undefined : `${replaced} of ${manifest.length} instances were replaced in the meantime`;
}

/** Whether an instance still has the file that the manifest names: checked just before it is deleted. */
async function isSameFile({ orthanc }: DeliverySource, instance: ManifestInstance): Promise<boolean> {
  const now = await orthanc.instances.read(instance.sourceId);
  if (now.FileSize !== instance.sizeBytes) return false;
  return instance.fileUuid === undefined || now.FileUuid === instance.fileUuid;
}

/**
 * Why instances of a study must stay: a delivery that has not succeeded, a rule that waits, an instance that no target has.
 */
async function whyNotDelivered(
  context: DispatcherContext,
  task: StudyTaskData,
  manifest: readonly ManifestInstance[],
): Promise<string | undefined> {
  const waiting = await context.redis.zscore(
    operationKeys(context.config.redis.prefix).waits(task.source),
    task.orthancStudyId,
  );
  if (waiting !== null) return 'a rule still waits until the study is complete';
  const deliveries = latest(await context.records.deliveriesOf(task));
  const open = deliveries.find(({ state }) => state !== 'delivered' && state !== 'moved');
  if (open) return `the delivery to ${open.target} is ${open.state}`;
  const missing = new Set(manifest.map(({ sourceId }) => sourceId));
  const [uncertain, certain] = [true, false].map((mayBeLost) =>
    deliveries.filter((one) => one.state === 'delivered' && one.mayBeLost === mayBeLost),
  );
  for (const delivery of certain ?? []) {
    const versioned = manifest.map((one) => ({ ...one, version: ledgerVersion(one.version, delivery) }));
    const { delivered } = await context.ledger.compare(ledgerKeyOf(delivery), versioned);
    for (const { sourceId } of delivered) missing.delete(sourceId);
  }
  if (missing.size === 0) return undefined;
  const [noted] = uncertain ?? [];
  return noted
    ? `${noted.target} may lack an instance, or have kept another content under a SOP Instance UID of the study: see the note on the delivery`
    : `${missing.size} of ${manifest.length} instances were sent to no target`;
}

/** Why a patient must stay protected: a study of the patient in the source that was not delivered everywhere. */
async function whyStillNeeded(
  context: DispatcherContext,
  source: DeliverySource,
  task: StudyTaskData,
  patient: string,
): Promise<string | undefined> {
  for (const study of await source.orthanc.patients.studies(patient)) {
    const deliveries = latest(await context.records.deliveriesOf({ source: task.source, orthancStudyId: study.ID }));
    if (deliveries.length === 0) return 'the patient has a study that was not delivered';
    if (deliveries.some(({ state }) => state !== 'delivered' && state !== 'moved')) {
      return 'the patient has a study with a delivery that has not succeeded';
    }
  }
  return undefined;
}

/** The newest delivery of each target and form: it replaces an earlier failed one. */
function latest(newestFirst: readonly DeliveryRecord[]): DeliveryRecord[] {
  const seen = new Map<string, DeliveryRecord>();
  for (const record of newestFirst) {
    const key = ledgerKeyOf({ ...record, ledger: undefined }).target;
    if (!seen.has(key)) seen.set(key, record);
  }
  return [...seen.values()];
}

/** In the timeline of each delivery, where operators see it. */
async function recordOutcome(
  context: DispatcherContext,
  task: StudyTaskData,
  done: readonly string[],
  left: readonly string[],
): Promise<void> {
  const text = [
    ...(done.length > 0 ? [`in the source: ${done.join(', ')}`] : []),
    ...left.map((one) => `not done in the source: ${one}`),
  ].join('; ');
  if (text === '') return;
  const deliveries = await context.records.deliveriesOf(task);
  await Promise.all(
    deliveries
      .filter(({ studyTaskId }) => studyTaskId === task.studyTaskId)
      .map(({ deliveryId }) => context.records.update(deliveryId, {}, { kind: 'stage', stage: 'finalize', text })),
  );
}

function isGone(error: unknown): boolean {
  if (error instanceof DispatchError) return error.code === 'source-gone';
  return error instanceof OrthancError && error.code === 'not-found';
}

/** A repetition would not help: this Orthanc has no labels, or reports that it does not know the metadata. */
function isRefused(error: unknown): boolean {
  if (!(error instanceof OrthancError)) return false;
  return error.code === 'unsupported' || (error.code === 'bad-request' && error.isOrthancAnswer);
}
