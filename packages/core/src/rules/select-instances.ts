import type { InstanceSelection } from '../config/instance-selection.ts';
import type { ManifestInstance, StudyTags } from '../model/manifest.ts';
import { compileInstanceFilter } from './compile-instance-filter.ts';
import { compileGlob } from './glob.ts';

type Tags = Readonly<Record<string, string>>;

/**
 * Represents the tags of an instance whose file the source cannot read: a selection by them includes it, so that it is
 * reported.
 */
export const unreadTags: Tags = Object.freeze({});

/** Returns for each instance whether it is selected. */
export interface CompiledSelection {
  isMeant(instance: ManifestInstance, series: Tags, tags: Tags | undefined): boolean;
  /** Tags of instances that must be read from the source for it. */
  readonly wanted: readonly string[];
}

const everything: CompiledSelection = { isMeant: () => true, wanted: [] };

/**
 * The instances for a target: those that its own selection and any of the selections of the rules include.
 *
 * @param rules - undefined or empty: the rules include everything
 */
export function compileSelection(
  target: InstanceSelection | undefined,
  rules: readonly InstanceSelection[] | undefined,
): CompiledSelection {
  const own = target ? compileOne(target) : everything;
  const any = (rules ?? []).map((one) => compileOne(one));
  if (own === everything && any.length === 0) return everything;
  return {
    isMeant: (instance, series, tags) =>
      own.isMeant(instance, series, tags) &&
      (any.length === 0 || any.some((one) => one.isMeant(instance, series, tags))),
    wanted: [...new Set([own, ...any].flatMap((one) => one.wanted))],
  };
}

/**
 * The selected instances, in the order of the manifest.
 *
 * @param tagsOf - by the instance's id in the source
 */
export function selectInstances(
  instances: readonly ManifestInstance[],
  study: StudyTags,
  selection: CompiledSelection,
  tagsOf: ReadonlyMap<string, Tags> = new Map(),
): readonly ManifestInstance[] {
  if (selection === everything) return instances;
  return instances.filter((instance) =>
    selection.isMeant(instance, study.series.get(instance.seriesInstanceUid) ?? {}, tagsOf.get(instance.sourceId)),
  );
}

function compileOne({ only, exclude }: InstanceSelection): CompiledSelection {
  const filter = only === undefined ? undefined : compileInstanceFilter(only);
  const globs = (exclude ?? []).map((glob) => compileGlob(glob));
  if (!filter && globs.length === 0) return everything;
  return {
    isMeant(instance, series, tags) {
      const description = series['SeriesDescription'] ?? '';
      const full = `${series['Modality'] ?? ''}/${description}`;
      if (globs.some((matches) => matches(description) || matches(full))) return false;
      if (tags === unreadTags) return true;
      return filter?.(instance, series, tags) ?? true;
    },
    wanted: filter?.wanted ?? [],
  };
}
