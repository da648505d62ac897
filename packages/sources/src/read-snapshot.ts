import type { ManifestInstance } from '@dicom-dispatch/core';
import type { OrthancClient, StudyInstance } from '@dicom-dispatch/orthanc';
import { withFileHeads } from './read-file-heads.ts';
import { toManifest } from './read-manifest.ts';
import { readStudy, toStudyFacts, type StudyFacts } from './read-study.ts';
import { studyError } from './study-error.ts';
import { fromSourceTime } from './source-time.ts';

/** A study with its instance set, as they are now. */
export interface StudySnapshot {
  readonly study: StudyFacts;
  readonly manifest: readonly ManifestInstance[];
  /** AE titles that sent its instances; an empty text for an instance received in another way. */
  readonly senders: ReadonlySet<string>;
}

/**
 * Reads a study for routing. The tags are read before the instances, so that `lastUpdate` is never newer than the
 * instance set: instances that arrive in between are detected as a later change.
 *
 * @throws DispatchError `source-gone` if the study no longer exists
 */
export async function readSnapshot(
  orthanc: OrthancClient,
  source: string,
  orthancStudyId: string,
  signal?: AbortSignal,
): Promise<StudySnapshot> {
  const study = await readStudy(orthanc, source, orthancStudyId, signal);
  try {
    const instances = await orthanc.studyInstances(orthancStudyId, signal ? { signal } : undefined);
    return toSnapshot(study, await withFileHeads(orthanc, instances, signal));
  } catch (error) {
    throw await studyError(error, orthanc, { source, orthancStudyId }, 'manifest', signal);
  }
}

/**
 * Reads several studies together, in few requests. Those that must be read separately are not in the result, for instance a
 * study that has changed meanwhile: `readSnapshot` reports why.
 *
 * @param untilMs - when to stop, by `performance.now()`
 * @returns by Orthanc id
 * @throws OrthancError
 */
export async function readSnapshots(
  orthanc: OrthancClient,
  source: string,
  orthancStudyIds: readonly string[],
  untilMs: number,
  signal: AbortSignal,
): Promise<Map<string, StudySnapshot>> {
  const contents = await orthanc.studyContents(orthancStudyIds, untilMs, { signal });
  return new Map(
    contents.map(({ study, instances }) => [study.id, toSnapshot(toStudyFacts(source, study.id, study), instances)]),
  );
}

function toSnapshot(study: StudyFacts, instances: readonly StudyInstance[]): StudySnapshot {
  const first = instances[0];
  return {
    study: { ...study, facts: { ...study.facts, origin: first ? originOf(first) : {} } },
    manifest: toManifest(instances, study.studyInstanceUid),
    senders: new Set(instances.map((instance) => instance.remoteAet ?? '')),
  };
}

function originOf(instance: {
  remoteAet: string | undefined;
  calledAet: string | undefined;
  remoteIp: string | undefined;
  origin: string | undefined;
  receptionDate: string | undefined;
}): Record<string, string | Date> {
  const facts = {
    RemoteAET: instance.remoteAet,
    CalledAET: instance.calledAet,
    RemoteIP: instance.remoteIp,
    Origin: instance.origin,
    ArrivedAt: arrivedAt(instance.receptionDate),
  };
  return Object.fromEntries(
    Object.entries(facts).filter((entry): entry is [string, string | Date] => Boolean(entry[1])),
  );
}

/** Orthanc's `YYYYMMDDTHHMMSS`, UTC. */
function arrivedAt(text: string | undefined): Date | undefined {
  const ms = fromSourceTime(text ?? '');
  return ms === undefined ? undefined : new Date(ms);
}
