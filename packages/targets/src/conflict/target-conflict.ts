import { DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';

/** What stands in the place of an instance. */
export type Occupant =
  /** A DICOM file of another instance, or of the same UIDs and another patient. */
  | 'instance'
  /** A file that is no DICOM file, or not to be read as one. */
  | 'file'
  | 'folder'
  | 'link'
  /** A socket, a pipe, a device. */
  | 'special';

const says: Readonly<Record<Occupant, string>> = {
  instance: 'another instance is there, or one of the same UIDs and another patient',
  file: 'a file is there that is not this instance',
  folder: 'a folder is there',
  link: 'a link is there',
  special: 'something is there that is neither a file nor a folder',
};

/**
 * Something else has the place of an instance.
 *
 * @param where - the target's folder, host or bucket
 * @param path - as `showPath` gives it: without patient data
 */
export function targetConflict(where: string, path: string, occupant: Occupant, remedy?: string): DispatchError {
  const options = remedy === undefined ? {} : { remedy };
  return new DispatchError('target-conflict', `${where}: the place ${path} is taken: ${says[occupant]}`, options);
}

/** An instance of the manifest and its place. */
export type PathOf = (instance: ManifestInstance) => string;

export interface PlannedPaths {
  /** What is to be sent: each instance has a path of its own. */
  readonly instances: readonly ManifestInstance[];
  /** Those whose path another instance of the manifest has, reported as quarantined. */
  readonly quarantined: readonly ManifestInstance[];
}

type Run = Pick<DeliveryRun<unknown>, 'manifest' | 'pending' | 'quarantined' | 'report' | 'log'>;

/**
 * Finds instances of one study that would take one path, before anything is sent. The one that is at the target keeps it,
 * else the first by its address in the source, so that every attempt decides alike; the others are quarantined by name.
 */
export async function planPaths(
  run: Run,
  pathOf: PathOf,
  names: { readonly where: string; show(instance: ManifestInstance): string },
): Promise<PlannedPaths> {
  const key = ({ sourceId, sopInstanceUid }: ManifestInstance): string => `${sourceId} ${sopInstanceUid}`;
  const pending = new Set(run.pending.map(key));
  const absent = new Set(run.quarantined?.map(key));
  const owners = new Map<string, ManifestInstance>();
  for (const instance of run.manifest) {
    if (!pending.has(key(instance)) && !absent.has(key(instance))) owners.set(pathOf(instance), instance);
  }
  for (const instance of run.pending.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))) {
    const path = pathOf(instance);
    if (!owners.has(path)) owners.set(path, instance);
  }
  const instances: ManifestInstance[] = [];
  const quarantined: ManifestInstance[] = [];
  for (const instance of run.pending) {
    const owner = owners.get(pathOf(instance)) ?? instance;
    if (key(owner) === key(instance)) {
      instances.push(instance);
      continue;
    }
    quarantined.push(instance);
    const error = clash(names.where, names.show(instance), instance, owner);
    run.log.warn('instance quarantined', { sopInstanceUid: instance.sopInstanceUid, code: error.code });
    await run.report(instance, { kind: 'quarantined', error });
  }
  return { instances, quarantined };
}

function clash(where: string, path: string, instance: ManifestInstance, owner: ManifestInstance): DispatchError {
  const name = ({ sopInstanceUid, seriesInstanceUid }: ManifestInstance): string =>
    `${sopInstanceUid} of series ${seriesInstanceUid}`;
  return new DispatchError(
    'target-conflict',
    `${where}: instances ${name(instance)} and ${name(owner)} of the study have one path, ${path}`,
    {
      remedy:
        'Put {SeriesInstanceUID} into the layout or key of the target, and set UIDs off from other values by a slash or hyphen; then retry the delivery.',
    },
  );
}
