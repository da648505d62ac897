import type { IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import { compileSelection, contentHash, wantedByRules, type CompiledRule, type Config } from '@dicom-dispatch/core';
import { addFacts, readSnapshot, studyError, type OrthancClient, type StudySnapshot } from '@dicom-dispatch/sources';
import { readFacts } from './read-facts.ts';
import { keepManifest } from './shared-manifest.ts';

export interface SnapshotForRouting extends StudySnapshot {
  /** Tags of instances that selections refer to, by the instance's id in the source. */
  readonly instanceTags: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/**
 * Reads all properties of a study that rules and selections use. The database of the source is always queried; tags that
 * must be read from files are read once per content. The manifest is cached for the following deliveries.
 *
 * @param given - what the database of the source contained a moment ago, if it has been queried already
 * @throws DispatchError `source-gone`, `source-unreachable` …
 */
export async function readForRouting(
  orthanc: OrthancClient,
  config: Pick<Config, 'targets'>,
  rules: readonly CompiledRule[],
  study: { readonly source: string; readonly orthancStudyId: string },
  { signal, cache }: { readonly signal?: AbortSignal; readonly cache?: IntermediateCache } = {},
  given?: StudySnapshot,
): Promise<SnapshotForRouting> {
  const snapshot = given ?? (await readSnapshot(orthanc, study.source, study.orthancStudyId, signal));
  const { manifest } = snapshot;
  const { studyInstanceUid, lastUpdate } = snapshot.study;
  const wanted = wantedByRules(rules);
  const names = { study: wanted.study, series: wanted.series, instance: wantedOfInstances(config, rules) };
  try {
    const facts = await readFacts(orthanc, { ...study, studyInstanceUid, manifest }, names, cache, signal);
    if (cache && lastUpdate !== undefined) {
      const { source, orthancStudyId } = study;
      await keepManifest(cache, { source, orthancStudyId, lastUpdate, contentHash: contentHash(manifest) }, manifest);
    }
    return { ...snapshot, study: addFacts(snapshot.study, facts), instanceTags: facts.instances };
  } catch (error) {
    throw await studyError(error, orthanc, study, 'manifest', signal);
  }
}

const compiled = new WeakMap<readonly CompiledRule[], string[]>();

/** Computed once for a set of rules: compiling the selections for every study would cost more than routing it. */
function wantedOfInstances(config: Pick<Config, 'targets'>, rules: readonly CompiledRule[]): string[] {
  const known = compiled.get(rules);
  if (known) return known;
  const selections = [
    ...Object.values(config.targets).map((target) => target.instances),
    ...rules.map((rule) => rule.config.instances),
  ];
  const wanted = [...new Set(selections.flatMap((one) => compileSelection(one, undefined).wanted))];
  compiled.set(rules, wanted);
  return wanted;
}
