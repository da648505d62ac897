import { compileSelection, wantedByRules, type CompiledRule, type Config } from '@dicom-dispatch/core';
import {
  readInstanceTags,
  readSnapshot,
  sourceError,
  type OrthancClient,
  type StudySnapshot,
} from '@dicom-dispatch/sources';

export interface SnapshotForRouting extends StudySnapshot {
  /** Tags of instances that selections speak about, by SOP Instance UID. */
  readonly instanceTags: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/**
 * Reads of a study all that rules and selections speak about.
 *
 * @throws DispatchError `source-gone`, `source-unreachable` …
 */
export async function readForRouting(
  orthanc: OrthancClient,
  config: Pick<Config, 'targets'>,
  rules: readonly CompiledRule[],
  study: { readonly source: string; readonly orthancStudyId: string },
  signal?: AbortSignal,
): Promise<SnapshotForRouting> {
  const snapshot = await readSnapshot(orthanc, study.source, study.orthancStudyId, signal, wantedByRules(rules));
  const names = wantedOfInstances(config, rules);
  try {
    const instanceTags = await readInstanceTags(orthanc, snapshot.study, names, signal);
    return { ...snapshot, instanceTags };
  } catch (error) {
    throw sourceError(error, study.source, 'manifest');
  }
}

const cache = new WeakMap<readonly CompiledRule[], string[]>();

/** Looked up once for a set of rules: compiling the selections for every study would cost more than routing it. */
function wantedOfInstances(config: Pick<Config, 'targets'>, rules: readonly CompiledRule[]): string[] {
  const known = cache.get(rules);
  if (known) return known;
  const selections = [
    ...Object.values(config.targets).map((target) => target.instances),
    ...rules.map((rule) => rule.config.instances),
  ];
  const wanted = [...new Set(selections.flatMap((one) => compileSelection(one, undefined).wanted))];
  cache.set(rules, wanted);
  return wanted;
}
