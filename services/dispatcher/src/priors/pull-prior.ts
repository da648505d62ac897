import { DispatchError, differentPatient, type PatientIdentity } from '@dicom-dispatch/core';
import { notePulled, OperationError, pullStudy, pullToSource, type SendPriorContext } from '@dicom-dispatch/pipeline';
import { readStudyOfPatient, sourceError, type OrthancClient } from '@dicom-dispatch/sources';
import type { PulledStudies } from '@dicom-dispatch/state/priors';

export interface PullDependencies extends SendPriorContext {
  readonly pulled: PulledStudies;
  readonly token: string;
  readonly signal: AbortSignal;
  readonly orthanc: OrthancClient;
  /**
   * One pull from a target at a time in this process: some send to our single port. Undefined while another one is running.
   */
  exclusively<T>(target: string, act: () => Promise<T>): Promise<T | undefined>;
}

export interface PriorToPull {
  readonly source: string;
  readonly studyInstanceUid: string;
  /** The target that has it. */
  readonly from: string;
  /** Patient of the study with which the prior is sent. */
  readonly identity: PatientIdentity;
  /** Instances that do not arrive now are not requested again. */
  readonly isLastAsk: boolean;
}

/**
 * - `there`: the source has it; `failed` instances did not arrive
 * - `busy`: another step pulls it, or another pull from the target is running
 * - `unfit`: it cannot be sent
 */
export type PulledPrior =
  | { readonly kind: 'there'; readonly orthancStudyId: string; readonly failed: number }
  | { readonly kind: 'busy' }
  | { readonly kind: 'unfit'; readonly why: string };

const leaseMs = 30_000;

/**
 * Retrieves an earlier study from a target into the source, unless the source has it by now, and marks it so that the rules
 * do not treat it as arriving. If interrupted, it continues where it was. Its patient is compared once more, because the
 * files are more reliable than the list of an archive.
 *
 * @throws DispatchError
 */
export async function pullPrior(dependencies: PullDependencies, prior: PriorToPull): Promise<PulledPrior> {
  const { pulled, orthanc, signal } = dependencies;
  const { source, studyInstanceUid, from } = prior;
  const token = `${dependencies.token} ${from}`;
  if (!(await pulled.lease(source, studyInstanceUid, token, leaseMs))) return { kind: 'busy' };
  const renewing = setInterval(
    () => void pulled.lease(source, studyInstanceUid, token, leaseMs).catch(() => {}),
    leaseMs / 3,
  );
  try {
    const before = await pulled.underWay(source, studyInstanceUid);
    const isThere = before.size === 0 && (await studiesAt(orthanc, prior, signal)).length > 0;
    const failed = isThere ? 0 : await dependencies.exclusively(from, () => pull(dependencies, prior));
    if (failed === undefined) return { kind: 'busy' };
    const result = await ofThePatient(dependencies, prior, failed);
    // Until then its instances are recorded as pulled, and the next try requests the rest of them.
    if (failed === 0 || prior.isLastAsk || result.kind === 'unfit') await finishPull(dependencies, prior);
    return result;
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    await finishPull(dependencies, prior);
    return { kind: 'unfit', why: error.message };
  } finally {
    clearInterval(renewing);
    await pulled.release(source, studyInstanceUid, token).catch(() => {});
  }
}

/** From now on the pulled content is not treated as an arriving study, even if the pull fails later. */
export async function finishPull(
  dependencies: PullDependencies,
  prior: Pick<PriorToPull, 'source' | 'studyInstanceUid'>,
): Promise<void> {
  const { pulled, orthanc, signal } = dependencies;
  const { source, studyInstanceUid } = prior;
  const ours = await pulled.underWay(source, studyInstanceUid);
  if (ours.size === 0) return;
  for (const orthancStudyId of await studiesAt(orthanc, prior, signal)) {
    await notePulled(dependencies, { source, orthancStudyId }, ours, orthanc).catch(unlessGone);
  }
  await pulled.end(source, studyInstanceUid);
}

/** @returns how many instances did not arrive */
async function pull({ config, pulled, signal }: PullDependencies, prior: PriorToPull): Promise<number> {
  const { source, studyInstanceUid, from: target } = prior;
  const destination = await pullToSource(config, source, studyInstanceUid, {
    before: (uid) => pulled.expect(source, studyInstanceUid, uid),
    notStored: (uid) => pulled.retract(source, studyInstanceUid, uid),
  });
  try {
    const { failed } = await pullStudy({ config: () => config }, { target, studyInstanceUid, destination, signal });
    return failed;
  } finally {
    await destination.close();
  }
}

async function ofThePatient(dependencies: PullDependencies, prior: PriorToPull, failed: number): Promise<PulledPrior> {
  const { orthanc, signal } = dependencies;
  let why: string | undefined;
  for (const orthancStudyId of await studiesAt(orthanc, prior, signal)) {
    const read = await readStudyOfPatient(orthanc, prior.source, orthancStudyId, signal).catch(unlessGone);
    why = read ? differentPatient(prior.identity, read.identity) : 'it has left the source';
    if (why === undefined) return { kind: 'there', orthancStudyId, failed };
  }
  if (why !== undefined) return { kind: 'unfit', why };
  throw new DispatchError('source-error', `source ${prior.source} does not list the study that was pulled into it`);
}

/** Ignores that a prior has left the source meanwhile: this has no effect on its study. */
function unlessGone(error: unknown): void {
  if (!(error instanceof DispatchError) || error.code !== 'source-gone') throw error;
}

/** Orthanc's ids of the studies with the Study Instance UID. */
async function studiesAt(
  orthanc: OrthancClient,
  { source, studyInstanceUid }: Pick<PriorToPull, 'source' | 'studyInstanceUid'>,
  signal: AbortSignal,
): Promise<string[]> {
  try {
    const found = await orthanc.lookup(studyInstanceUid, { signal });
    return found.filter(({ Type }) => Type === 'Study').map(({ ID }) => ID);
  } catch (error) {
    throw sourceError(error, source);
  }
}
