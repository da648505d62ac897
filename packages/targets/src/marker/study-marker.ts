import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import { parseTemplate, renderTemplate } from '../template/index.ts';
import type { MarkerOption } from './schema.ts';

export interface StudyMarker {
  /** Relative to the folder or prefix of the target. */
  readonly path: string;
  readonly content: Buffer;
}

/**
 * The marker of a study that has arrived, or undefined when there is none to write. It has no times in it, so that the
 * same content always gives the same marker.
 */
export function studyMarker(
  run: Pick<DeliveryRun<unknown>, 'manifest' | 'quarantined' | 'study'>,
  option: MarkerOption | undefined,
  quarantinedNow: readonly ManifestInstance[],
  pathOf: (instance: ManifestInstance) => string,
): StudyMarker | undefined {
  if (!option) return undefined;
  const missing = new Set([...(run.quarantined ?? []), ...quarantinedNow].map(({ sopInstanceUid }) => sopInstanceUid));
  if (missing.size > 0 && !option.whenPartial) return undefined;
  const path = renderTemplate(parseTemplate(option.path), run.study, undefined);
  if (option.content === 'empty') return { path, content: Buffer.alloc(0) };
  const instances = run.manifest
    .filter(({ sopInstanceUid }) => !missing.has(sopInstanceUid))
    .map((instance) => ({
      sopInstanceUid: instance.sopInstanceUid,
      seriesInstanceUid: instance.seriesInstanceUid,
      sopClassUid: instance.sopClassUid,
      sizeBytes: instance.sizeBytes,
      path: pathOf(instance),
    }));
  const manifest = {
    version: 1,
    studyInstanceUid: run.study.studyInstanceUid,
    complete: missing.size === 0,
    instances,
    missing: [...missing].sort(),
  };
  return { path, content: Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`) };
}
