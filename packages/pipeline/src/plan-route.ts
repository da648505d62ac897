import {
  compileRules,
  compileSelection,
  ledgerKeyOf,
  routeStudy as applyRules,
  selectInstances,
  type OnSuccessConfig,
  type PlannedDelivery,
} from '@dicom-dispatch/core';
import type { OrthancClient, StudyFacts } from '@dicom-dispatch/sources';
import type { PipelineContext } from './context.ts';
import { OperationError } from './operation-error.ts';
import { readForRouting, type SnapshotForRouting } from './read-for-routing.ts';
import { planByName } from './resolve-deliveries.ts';
import type { RouteRequest } from './route-again.ts';

export interface PlannedRoute {
  readonly snapshot: SnapshotForRouting;
  readonly deliveries: readonly PlannedDelivery[];
  /** Matching rules; empty if targets are named. */
  readonly rules: readonly string[];
  readonly onSuccess: OnSuccessConfig | undefined;
}

/** Instances that a request selects for a target. */
export interface RoutePreview {
  readonly target: string;
  /** Number of selected instances; `confirmed` of them are at the target already. */
  readonly total: number;
  readonly confirmed: number;
}

/**
 * Reads a study and returns the deliveries that a request would create. Writes nothing.
 *
 * @throws OperationError `not-found` for an unknown source, target or rule; `conflict` if no rule matches
 * @throws DispatchError `source-gone`, `source-unreachable` …
 */
export async function planRoute(
  context: PipelineContext,
  request: RouteRequest,
  orthanc: OrthancClient,
): Promise<PlannedRoute> {
  const config = context.config();
  const { source, targets, rule } = request;
  if (!config.sources[source]) throw new OperationError('not-found', `there is no source "${source}"`);
  for (const name of targets ?? []) if (!config.groups[name]) context.queues.known(config, name);
  const meant = rule === undefined ? config.rules : config.rules.filter(({ name }) => name === rule);
  if (meant.length === 0 && rule !== undefined) throw new OperationError('not-found', `there is no rule "${rule}"`);
  const rules = compileRules(meant, config);
  const snapshot = await readForRouting(orthanc, config, rules, request);
  // Requested by an operator: waits of rules do not apply.
  const routing = applyRules(rules, snapshot.study.facts, { hasWaited: () => true });
  const deliveries = targets
    ? planByName(config, targets, { rules: [], priority: routing.priority })
    : routing.deliveries;
  if (deliveries.length === 0) {
    const which = rule === undefined ? 'no rule matches' : `the rule ${rule} does not match`;
    throw new OperationError('conflict', `${which} this study: name the targets that should receive it`);
  }
  return { snapshot, deliveries, rules: targets ? [] : routing.rules, onSuccess: routing.onSuccess };
}

/** Instances of a request that the targets have already confirmed. */
export async function previewRoute(
  context: PipelineContext,
  request: RouteRequest,
  orthanc: OrthancClient,
): Promise<RoutePreview[]> {
  const config = context.config();
  const { snapshot, deliveries } = await planRoute(context, request, orthanc);
  const { study, manifest, instanceTags } = snapshot;
  const ledgers = await ledgersOf(context, request.source, study, deliveries);
  return Promise.all(
    ledgers.map(async ({ target, planned, key }): Promise<RoutePreview> => {
      const selection = compileSelection(config.targets[target]?.instances, planned.selections);
      const instances = selectInstances(manifest, study.tags, selection, instanceTags);
      const { delivered } = await context.ledger.compare(key, instances);
      return { target, total: instances.length, confirmed: delivered.length };
    }),
  );
}

interface LedgerOfDelivery {
  readonly target: string;
  readonly planned: PlannedDelivery;
  readonly key: ReturnType<typeof ledgerKeyOf>;
}

/**
 * The ledgers of planned deliveries at the current addresses of the targets; for a group those of all members, since any may
 * be selected.
 */
export async function ledgersOf(
  context: PipelineContext,
  source: string,
  { orthancStudyId, studyInstanceUid }: Pick<StudyFacts, 'orthancStudyId' | 'studyInstanceUid'>,
  deliveries: readonly PlannedDelivery[],
): Promise<LedgerOfDelivery[]> {
  const config = context.config();
  const found: LedgerOfDelivery[] = [];
  for (const planned of deliveries) {
    for (const target of planned.group?.members ?? [planned.to]) {
      const targetConfig = config.targets[target];
      if (!targetConfig) continue;
      const verdict = await context.places.look(target, targetConfig);
      // If the address change is not decided, nothing counts as confirmed.
      if (verdict.kind === 'undecided') continue;
      const name = planned.transform ?? targetConfig.transform;
      const definition = name === undefined ? undefined : config.transforms[name];
      const key = ledgerKeyOf({
        source,
        orthancStudyId,
        studyInstanceUid,
        target,
        ledger: verdict.ledger,
        ...(name !== undefined && definition && { transform: { name, definition } }),
      });
      found.push({ target, planned, key });
    }
  }
  return found;
}
