import type { Records } from '@dicom-dispatch/state/records';
import {
  compileSelection,
  deliveryId,
  selectInstances,
  uniteDeliveries,
  type Config,
  type DeliveryData,
  type ManifestInstance,
  type PlannedDelivery,
} from '@dicom-dispatch/core';
import type { StudyFacts } from '@dicom-dispatch/sources';
import { chooseMember, type Choice, type GroupContext } from './choose-member.ts';
import { reasonForReturn } from './refuse-return.ts';

export interface StudyToResolve {
  /** The study is still being received: the terms of the deliveries define when they begin. */
  readonly isArriving?: boolean;
  readonly source: string;
  readonly study: StudyFacts;
  readonly manifest: readonly ManifestInstance[];
  readonly contentHash: string;
  readonly nonce: string | undefined;
  /** AE titles that sent the instances; undefined: ignored, because an operator requested it. */
  readonly senders: ReadonlySet<string> | undefined;
  /** Tags of instances that selections refer to, by the instance's id in the source. */
  readonly instanceTags: ReadonlyMap<string, Readonly<Record<string, string>>> | undefined;
}

/** The part of a delivery's data in which deliveries of one study differ. */
export type DeliveryTerms = Pick<
  DeliveryData,
  | 'target'
  | 'deliveryId'
  | 'rules'
  | 'priority'
  | 'transform'
  | 'selections'
  | 'schedules'
  | 'late'
  | 'hold'
  | 'priors'
  | 'group'
  | 'nonce'
  | 'again'
  | 'arriving'
>;

export interface Resolved {
  readonly deliveries: readonly DeliveryTerms[];
  /** Deliveries that are not created, with the reason. */
  readonly omitted: readonly { readonly target: string; readonly why: string }[];
}

type Chosen = PlannedDelivery & { readonly target: string; readonly choice: Choice | undefined };

/** Converts the result of the rules to the deliveries of one study: selects members, inserts transforms, combines rules. */
export async function resolveDeliveries(
  context: GroupContext & { readonly records: Records },
  study: StudyToResolve,
  planned: readonly PlannedDelivery[],
): Promise<Resolved> {
  const { config } = context;
  const { studyInstanceUid, orthancStudyId } = study.study;
  const key = { source: study.source, studyInstanceUid, orthancStudyId };
  const chosen: Chosen[] = [];
  for (const one of planned) chosen.push(await choose(one));
  const united = uniteDeliveries(chosen, (one) => `${one.target} ${one.transform ?? ''}`);
  const deliveries: DeliveryTerms[] = [];
  const omitted: { target: string; why: string }[] = [];
  for (const one of united) {
    const why = await reasonAgainst(one);
    if (why === undefined) deliveries.push(termsOf(one));
    else omitted.push({ target: one.target, why });
  }
  return { deliveries, omitted };

  async function choose(one: PlannedDelivery): Promise<Chosen> {
    const place = { ...key, contentHash: study.contentHash, transform: one.transform };
    const choice = one.group && (await chooseMember(context, one.group, place));
    const target = choice?.target ?? one.to;
    const transform = one.transform ?? config.targets[target]?.transform;
    return { ...one, target, choice, ...(transform !== undefined && { transform }) };
  }

  async function reasonAgainst(one: Chosen): Promise<string | undefined> {
    if (selectedFor(config, study, one).length === 0) {
      return 'no instance of the study is selected';
    }
    const transform = one.transform === undefined ? undefined : config.transforms[one.transform];
    if (study.senders) {
      const back = await reasonForReturn(
        config,
        context.records,
        { ...key, senders: study.senders },
        one.target,
        transform,
      );
      if (back !== undefined) return back;
    }
    if (one.late !== 'never' || study.nonce !== undefined) return undefined;
    const earlier = (await context.records.deliveriesOf(key)).find(
      (delivery) =>
        delivery.target === one.target &&
        delivery.transform?.name === one.transform &&
        // A delivery that was begun while this content arrived is the same one.
        delivery.arriving === undefined &&
        delivery.contentHash !== study.contentHash,
    );
    return earlier && 'it already received the study, and late instances are never sent';
  }

  function termsOf(one: Chosen): DeliveryTerms {
    const { transform, group, choice } = one;
    const definition = transform === undefined ? undefined : config.transforms[transform];
    const nonce = study.nonce ?? (choice?.contentHash === study.contentHash ? choice.nonce : undefined);
    const wasPlanned = planned.find((each) => each.group?.name === group?.name && group !== undefined);
    return {
      target: one.target,
      deliveryId: deliveryId({
        ...key,
        target: one.target,
        contentHash: study.contentHash,
        ...(transform !== undefined && { transform }),
        ...(nonce !== undefined && { nonce }),
      }),
      rules: [...one.rules],
      priority: one.priority,
      late: one.late,
      ...(transform !== undefined && definition && { transform: { name: transform, definition } }),
      ...(one.selections && { selections: [...one.selections] }),
      ...(one.schedules && { schedules: [...one.schedules] }),
      ...(one.hold && { hold: true }),
      ...(one.priors && { priors: [...one.priors] }),
      ...(group && {
        group: {
          ...group,
          members: [...group.members],
          tried: [],
          keepsTransform: wasPlanned?.transform !== undefined,
        },
      }),
      ...(nonce !== undefined && { nonce }),
      ...(study.isArriving && one.start && one.start !== 'stable' && { arriving: one.start }),
    };
  }
}

/** The instances of a study that a delivery sends: selected by its target and its rules. */
export function selectedFor(
  config: Config,
  { study, manifest, instanceTags }: Pick<StudyToResolve, 'study' | 'manifest'> & Partial<StudyToResolve>,
  { target, selections }: Pick<PlannedDelivery, 'selections'> & { readonly target: string },
): readonly ManifestInstance[] {
  const selection = compileSelection(config.targets[target]?.instances, selections);
  return selectInstances(manifest, study.tags, selection, instanceTags);
}

/** Targets that an operator named: the complete study, now. For names of groups a member is selected. */
export function planByName(
  config: Pick<Config, 'groups'>,
  names: readonly string[],
  terms: Pick<PlannedDelivery, 'rules' | 'priority'>,
): PlannedDelivery[] {
  return names.flatMap((name): PlannedDelivery[] => {
    const group = config.groups[name];
    const shared = { ...terms, hold: false, late: 'difference' as const };
    if (!group) return [{ to: name, ...shared }];
    if (group.strategy === 'all') return group.targets.map((to) => ({ to, ...shared }));
    return [{ to: name, ...shared, group: { name, strategy: group.strategy, members: group.targets } }];
  });
}
