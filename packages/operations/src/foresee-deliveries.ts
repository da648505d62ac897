import type { Records } from '@dicom-dispatch/state/records';
import {
  compileSelection,
  selectInstances,
  type Config,
  type GroupStrategy,
  type ManifestInstance,
  type PlannedDelivery,
  type Priority,
  type StudyTags,
} from '@dicom-dispatch/core';
import type { Redis } from '@dicom-dispatch/runtime';
import { readChoice } from '@dicom-dispatch/pipeline';
import { reasonForReturn } from '@dicom-dispatch/pipeline';

/** A study that was read for a dry run. */
export interface StudyToForesee {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
  readonly contentHash: string;
  readonly manifest: readonly ManifestInstance[];
  readonly tags: StudyTags;
  readonly senders: ReadonlySet<string>;
  readonly instanceTags: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/** A delivery as it would be created. */
export interface ForeseenDelivery {
  /** Name of a target, or of a group. */
  readonly to: string;
  readonly group?: {
    readonly strategy: GroupStrategy;
    readonly members: readonly string[];
    /** The member that already has the study, and keeps it. */
    readonly chosen?: string;
  };
  readonly rules: readonly string[];
  readonly priority: Priority;
  readonly transform?: string;
  readonly hold: boolean;
  readonly scheduled: boolean;
  /** Number of selected instances; undefined if no study was read. */
  readonly instances?: number;
  /** Why it would not be created. */
  readonly omitted?: string;
}

export interface ForeseeContext {
  readonly config: Config;
  readonly redis: Redis;
  readonly records: Pick<Records, 'deliveriesOfUid'>;
}

/** The result of the rules, as far as it can be determined without a study: from a file, or from tags. */
export function describePlanned(config: Config, planned: readonly PlannedDelivery[]): ForeseenDelivery[] {
  return planned.map((one) => {
    const transform = one.transform ?? config.targets[one.to]?.transform;
    return {
      to: one.to,
      ...(one.group && { group: { strategy: one.group.strategy, members: one.group.members } }),
      rules: one.rules,
      priority: one.priority,
      ...(transform !== undefined && { transform }),
      hold: one.hold,
      scheduled: one.schedules !== undefined || config.targets[one.to]?.schedule !== undefined,
    };
  });
}

/**
 * Preview for a study: which deliveries would be created, with how many instances, and which would not, and why.
 * Nothing is written; a group without a stored choice names its members.
 */
export async function foreseeDeliveries(
  context: ForeseeContext,
  study: StudyToForesee,
  planned: readonly PlannedDelivery[],
): Promise<ForeseenDelivery[]> {
  const { config } = context;
  const described = describePlanned(config, planned);
  return Promise.all(planned.map((one, index) => foresee(one, described[index] as ForeseenDelivery)));

  async function foresee(one: PlannedDelivery, described: ForeseenDelivery): Promise<ForeseenDelivery> {
    const chosen = one.group && (await readChoice(context, one.group.name, { ...study, transform: one.transform }));
    const target = chosen?.target ?? one.to;
    const selection = compileSelection(config.targets[target]?.instances, one.selections);
    const instances = selectInstances(study.manifest, study.tags, selection, study.instanceTags).length;
    const omitted = instances === 0 ? 'no instance of the study is selected' : await wayBack(one, chosen?.target);
    return {
      ...described,
      ...(described.group && chosen && { group: { ...described.group, chosen: chosen.target } }),
      instances,
      ...(omitted !== undefined && { omitted }),
    };
  }

  /** Why the study would return to its sender; for a group without a stored choice, only if this applies to all its members. */
  async function wayBack(one: PlannedDelivery, chosen: string | undefined): Promise<string | undefined> {
    const candidates = chosen === undefined ? (one.group?.members ?? [one.to]) : [chosen];
    const reasons = await Promise.all(
      candidates.map((target) => {
        const name = one.transform ?? config.targets[target]?.transform;
        return reasonForReturn(
          config,
          context.records,
          study,
          target,
          name === undefined ? undefined : config.transforms[name],
        );
      }),
    );
    return reasons.every((reason) => reason !== undefined) ? reasons[0] : undefined;
  }
}
