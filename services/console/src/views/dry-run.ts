import {
  type CompiledRule,
  compileRules,
  type Config,
  contentHash,
  DispatchError,
  explainRules,
  routeStudy,
  type RoutingOptions,
  type RuleFacts,
} from '@dicom-dispatch/core';
import {
  describePlanned,
  foreseeDeliveries,
  foreseePriors,
  foreseePriorsWithinMs,
  type ForeseenDelivery,
  type ForeseenPriors,
} from '@dicom-dispatch/operations';
import { OperationError, readForRouting } from '@dicom-dispatch/pipeline';
import type { DryRun, RuleVerdictView } from './schemas.ts';
import type { ViewContext } from './view-context.ts';

export interface StudyWanted {
  /** Accession number, patient id, UID … */
  readonly search: string;
  readonly source?: string | undefined;
  /** Whether to return the values that expressions used: patient data. Default: `console.patientData`. */
  readonly withValues?: boolean;
  /** The time that `now` is; default the present. */
  readonly now?: Date | undefined;
}

/**
 * The result of the rules for a study of a source, with reasons; nothing is sent.
 *
 * @throws OperationError `not-found` if no source has it, `unavailable` if the source cannot be queried
 */
export async function runDry(context: ViewContext, wanted: StudyWanted): Promise<DryRun> {
  const { found, silent } = await context.lookup.search(wanted.search);
  const study = found.find((one) => wanted.source === undefined || one.source === wanted.source);
  if (!study) {
    const hint = silent.length > 0 ? `; ${silent.join(', ')} could not be queried` : '';
    throw new OperationError(silent.length > 0 ? 'unavailable' : 'not-found', `no source has a matching study${hint}`);
  }
  const orthanc = await context.lookup.client(study.source);
  const config = context.config();
  const { redis, records } = context.operations;
  try {
    const rules = compileRules(config.rules, config);
    const snapshot = await readForRouting(orthanc, config, rules, study, {
      signal: AbortSignal.timeout(10_000),
    });
    const { manifest, senders, instanceTags } = snapshot;
    const facts = { ...snapshot.study.facts, ...(wanted.now && { now: wanted.now }) };
    const judged = judge(rules, facts, wanted.withValues ?? context.lookup.showsPatientData);
    const deliveries = await foreseeDeliveries(
      { config, redis, records },
      {
        source: study.source,
        orthancStudyId: study.orthancStudyId,
        studyInstanceUid: study.studyInstanceUid,
        contentHash: contentHash(manifest),
        manifest,
        tags: snapshot.study.tags,
        senders,
        instanceTags,
      },
      judged.routing.deliveries,
    );
    const search = { config, orthanc, now: facts.now ?? new Date(), withinMs: foreseePriorsWithinMs };
    const priors = await Promise.all(judged.routing.deliveries.map((one) => foreseePriors(search, study, one)));
    return {
      source: study.source,
      studyInstanceUid: study.studyInstanceUid,
      orthancStudyId: study.orthancStudyId,
      instanceCount: manifest.length,
      ...judged.shown,
      targets: judged.shown.targets.filter((name) => deliveries.some(({ to, omitted }) => to === name && !omitted)),
      deliveries: deliveries.map((one, index) => toView(one, priors[index])),
      others: found.length - 1,
    };
  } catch (error) {
    if (error instanceof DispatchError) throw new OperationError('unavailable', error.message, { cause: error });
    throw error;
  }
}

/** The same for a study that is not in a source: its data come from a file. Values are shown. */
export function runDryOnFacts(
  config: Config,
  facts: RuleFacts,
): Pick<DryRun, 'source' | 'targets' | 'priority' | 'deliveries' | 'waiting' | 'verdicts'> {
  const rules = compileRules(config.rules, config);
  const { routing, shown } = judge(rules, facts, true);
  return {
    source: facts.source,
    ...shown,
    deliveries: describePlanned(config, routing.deliveries).map((one) => toView(one)),
  };
}

function judge(rules: readonly CompiledRule[], facts: RuleFacts, withValues: boolean) {
  const routing = routeStudy(rules, facts);
  return {
    routing,
    shown: {
      targets: [...routing.targets],
      priority: routing.priority,
      waiting: routing.waiting.map(({ rule, missing }) => ({ rule, missing: [...missing] })),
      verdicts: showVerdicts(rules, facts, withValues),
    },
  };
}

function toView(one: ForeseenDelivery, priors?: ForeseenPriors): DryRun['deliveries'][number] {
  return {
    ...one,
    ...(one.group && { group: { ...one.group, members: [...one.group.members] } }),
    rules: [...one.rules],
    ...(priors && { priors: { ...priors, chosen: [...priors.chosen] } }),
  } as DryRun['deliveries'][number];
}

/**
 * Result of each rule for a study, and the part of it that decided.
 *
 * @param withValues - include the values of the parts: patient data
 */
export function showVerdicts(
  rules: readonly CompiledRule[],
  facts: RuleFacts,
  withValues: boolean,
  options: RoutingOptions = {},
): RuleVerdictView[] {
  return explainRules(rules, facts, options).map(({ rule, outcome, matched, because, targets, parts }) => ({
    rule,
    outcome,
    matched,
    because,
    targets: [...targets],
    parts: parts.map((part) => ({
      ...part,
      values: withValues
        ? part.values.map(({ name, value }) => ({
            name,
            ...(value !== undefined && { value: typeof value === 'string' ? value : [...value] }),
          }))
        : [],
    })),
  }));
}
