import {
  compileInstanceFilter,
  globToRegExp,
  type ManifestInstance,
  type StudyTags,
  type TargetConfig,
} from '@dicom-dispatch/core';

/** The instances of a study that a target gets: its `instances.only` and `instances.exclude`. */
export function selectInstances(
  instances: readonly ManifestInstance[],
  study: StudyTags,
  config: TargetConfig,
): readonly ManifestInstance[] {
  const { only, exclude } = config.instances ?? {};
  if (only === undefined && exclude === undefined) return instances;
  const filter = only === undefined ? undefined : compileInstanceFilter(only);
  const globs = (exclude ?? []).map((glob) => globToRegExp(glob));
  return instances.filter((instance) => {
    const series = study.series.get(instance.seriesInstanceUid) ?? {};
    const description = series['SeriesDescription'] ?? '';
    if (globs.some((glob) => glob.test(description) || glob.test(`${series['Modality'] ?? ''}/${description}`)))
      return false;
    return filter?.(instance, series) ?? true;
  });
}
