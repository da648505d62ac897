import { DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { parseTemplate, renderTemplate, showPath, type RenderLimits } from '../template/index.ts';
import type { PlaceClaim } from './place-claim.ts';
import { targetConflict } from './target-conflict.ts';

/** Paths of the instances of a study, by the layout of a target. */
export interface Places {
  pathOf(instance: ManifestInstance): string;
  /** The path without patient data, for messages and receipts. */
  shownPathOf(instance: ManifestInstance): string;
  /** How to handle other content at the path of an instance. */
  claim(instance: ManifestInstance): PlaceClaim;
  /**
   * Finds instances of the study with the same path, before anything is sent. The one that was delivered before keeps it,
   * otherwise the first by its id in the source, so that every attempt decides the same. The others are quarantined.
   */
  divide(): Promise<Divided>;
}

export interface Divided {
  /** Instances to be sent: each has a unique path. */
  readonly instances: readonly ManifestInstance[];
  /** Instances whose path another one has: already reported. */
  readonly quarantined: readonly ManifestInstance[];
}

type Run = Pick<
  DeliveryRun<unknown>,
  'study' | 'manifest' | 'pending' | 'quarantined' | 'canBeOlder' | 'report' | 'log'
>;

/**
 * @param where - the target's folder, host or bucket, for messages
 * @param layout - a template, or `flat`
 */
export function placesOf(run: Run, where: string, layout: string, limits?: RenderLimits): Places {
  const segments = parseTemplate(layout === 'flat' ? '{SOPInstanceUID}.dcm' : layout);
  const paths = new Map<ManifestInstance, string>();
  const show = (instance: ManifestInstance): string => showPath(segments, run.study, instance);

  function pathOf(instance: ManifestInstance): string {
    let path = paths.get(instance);
    if (path === undefined) {
      path = renderTemplate(segments, run.study, instance, limits);
      paths.set(instance, path);
    }
    return path;
  }

  function ownersOfPaths(): ReadonlyMap<string, ManifestInstance> {
    const [pending, absent] = [run.pending, run.quarantined ?? []].map((some) => new Set(some.map(keyOf)));
    const owners = new Map<string, ManifestInstance>();
    for (const instance of run.manifest) {
      const key = keyOf(instance);
      if (!pending?.has(key) && !absent?.has(key)) owners.set(pathOf(instance), instance);
    }
    for (const instance of run.pending.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
      const path = pathOf(instance);
      if (!owners.has(path)) owners.set(path, instance);
    }
    return owners;
  }

  return {
    pathOf,
    shownPathOf: show,
    claim: (instance) => ({
      conflict: (occupant) => targetConflict(where, show(instance), occupant),
      canBeOlder: async () => (await run.canBeOlder?.(instance)) ?? true,
    }),
    async divide() {
      const owners = ownersOfPaths();
      const instances: ManifestInstance[] = [];
      const quarantined: ManifestInstance[] = [];
      for (const instance of run.pending) {
        const owner = owners.get(pathOf(instance));
        if (!owner || keyOf(owner) === keyOf(instance)) {
          instances.push(instance);
          continue;
        }
        quarantined.push(instance);
        const error = sharedPath(where, show(instance), owner);
        run.log.warn('instance quarantined', { sopInstanceUid: instance.sopInstanceUid, code: error.code });
        await run.report(instance, { kind: 'quarantined', error });
      }
      return { instances, quarantined };
    },
  };
}

function keyOf({ sourceId, sopInstanceUid }: ManifestInstance): string {
  return `${sourceId} ${sopInstanceUid}`;
}

function sharedPath(where: string, path: string, owner: ManifestInstance): DispatchError {
  const [uid, series] = [owner.sopInstanceUid, owner.seriesInstanceUid].map((text) => text.slice(0, 64));
  return new DispatchError(
    'target-conflict',
    `${where}: the path ${path} belongs to another instance of the study (${uid} of series ${series})`,
    {
      remedy:
        'Add {SeriesInstanceUID} to the layout or key of the target, and separate UIDs from other values by a slash or hyphen. Then retry the delivery.',
    },
  );
}
