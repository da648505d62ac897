import { DispatchError, type Config, type InstanceBytes } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { openSource, sourceError } from '@dicom-dispatch/sources';
import { OperationError } from '../operation-error.ts';
import type { PullDestination } from './pull-destination.ts';
import { watchedBody } from './watched-body.ts';

/** Called with each instance to be stored. */
export interface StoreWatch {
  /** Called before the instance is stored. */
  before(sopInstanceUid: string): Promise<void>;
  /** Called if it was not stored: it failed, or the source had it. */
  notStored(sopInstanceUid: string): Promise<void>;
}

/**
 * The Orthanc of a source as the destination of a pull. The rules route the studies that arrive there, as any other.
 *
 * @throws OperationError if the source does not exist; DispatchError if it cannot be queried
 */
export async function pullToSource(
  config: Pick<Config, 'sources'>,
  name: string,
  studyInstanceUid: string,
  watch?: StoreWatch,
): Promise<PullDestination> {
  const source = config.sources[name];
  if (!source) throw new OperationError('not-found', `there is no source "${name}"`);
  const orthanc = await openSource(source);
  const known = await instancesAt(orthanc, studyInstanceUid).catch(async (error: unknown) => {
    await orthanc.close();
    throw sourceError(error, name);
  });
  return {
    has: (sopInstanceUid, seriesInstanceUid) => known.has(nameOf(sopInstanceUid, seriesInstanceUid)),
    async store(sopInstanceUid, instance, seriesInstanceUid) {
      await watch?.before(sopInstanceUid);
      let isNew = false;
      try {
        isNew = (await upload(instance)) === 'Success';
        known.add(nameOf(sopInstanceUid));
        known.add(nameOf(sopInstanceUid, seriesInstanceUid));
      } finally {
        if (!isNew) await watch?.notStored(sopInstanceUid);
      }
    },
    close: () => orthanc.close(),
  };

  /** @throws DispatchError `instance-refused` if it was not stored */
  async function upload(instance: InstanceBytes): Promise<'Success' | 'AlreadyStored'> {
    const { sizeBytes } = instance;
    const watched = watchedBody(instance);
    const { Status } = await orthanc
      .uploadInstance(watched.body, sizeBytes === undefined ? {} : { sizeBytes })
      .catch((error: unknown) => {
        if (watched.error === undefined && error instanceof OrthancError && error.code === 'bad-request') {
          throw refused(name, error.message);
        }
        throw watched.error ?? sourceError(error, name);
      });
    if (Status === 'Success' || Status === 'AlreadyStored') return Status;
    throw refused(name, Status);
  }
}

/** Affects only one instance: the others of the study may be stored. */
function refused(source: string, why: string): DispatchError {
  return new DispatchError('instance-refused', `source ${source} did not store it: ${why}`);
}

async function instancesAt(orthanc: OrthancClient, studyInstanceUid: string): Promise<Set<string>> {
  const found = await orthanc.lookup(studyInstanceUid);
  const studies = found.filter(({ Type }) => Type === 'Study');
  const known = new Set<string>();
  for (const { ID } of studies) {
    for (const { sopInstanceUid, seriesInstanceUid } of await orthanc.studyInstances(ID)) {
      known.add(nameOf(sopInstanceUid));
      known.add(nameOf(sopInstanceUid, seriesInstanceUid));
    }
  }
  return known;
}

/** A study may have one SOP Instance UID in several series; not every target returns the series. */
function nameOf(sopInstanceUid: string, seriesInstanceUid?: string): string {
  return seriesInstanceUid === undefined ? sopInstanceUid : `${sopInstanceUid} ${seriesInstanceUid}`;
}
