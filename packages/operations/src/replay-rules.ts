import type { DeliveryRecord, Place, StudyRecord } from '@dicom-dispatch/state/records';
import {
  compileRules,
  contentHash,
  DispatchError,
  routeStudy,
  type CompiledRule,
  type Config,
} from '@dicom-dispatch/core';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { foreseeDeliveries, type ForeseenDelivery } from './foresee-deliveries.ts';
import { readForRouting } from '@dicom-dispatch/pipeline';
import { replayPriors, type PriorsBudget, type ReplayedPriors } from './replay-priors.ts';

export interface ReplayOptions {
  /** Studies that were routed last at or after this (ms since 1970). */
  readonly since: number;
  /** Studies that were routed last before this (ms since 1970). */
  readonly until?: number | undefined;
  readonly source?: string | undefined;
  readonly signal?: AbortSignal;
  /** Searches priors as well, within these limits. */
  readonly priors?: PriorsBudget;
}

/**
 * Result of the current rules for an earlier study.
 *
 * - `same`: it would be sent to the same targets
 * - `differs`: some would be added or removed
 * - `gone`: it is no longer in the source, so the result is unknown
 * - `unread`: the source could not be queried
 */
export type ReplayOutcome = 'same' | 'differs' | 'gone' | 'unread';

export interface ReplayedStudy {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
  /** ms since 1970 */
  readonly routedAt: number;
  readonly outcome: ReplayOutcome;
  /** Why it could not be judged. */
  readonly detail?: string;
  /** Targets that got it, or were to get it, by the rules; `NAME (TRANSFORM)` if it was transformed. */
  readonly before: readonly string[];
  /** Targets that would get it; `NAME (one of A, B)` for a group that would have to select. */
  readonly after: readonly string[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly rulesBefore: readonly string[];
  readonly rulesAfter: readonly string[];
  /** Rules that would still wait until it is complete. */
  readonly waiting: readonly string[];
  /** Priors by target; undefined if they were not searched. */
  readonly priors?: readonly ReplayedPriors[];
}

const pageSize = 200;
const lanes = 4;

/**
 * Iterates over the studies that were routed since a time, newest first, and returns the result of the current rules for each,
 * with its current content in the source and the time when it was routed. Nothing is sent or written. Deliveries that operators
 * requested, or rules for another study (as a prior), are excluded.
 *
 * @param client - opens a source
 */
export async function* replayRules(
  context: PipelineContext,
  client: (source: string) => Promise<OrthancClient>,
  options: ReplayOptions,
): AsyncGenerator<ReplayedStudy> {
  const config = context.config();
  const priors = options.priors && replayPriors(options.priors);
  const dependencies = { context, client, config, rules: compileRules(config.rules, config), priors };
  let page: StudyRecord[] = [];
  for await (const study of studiesSince(context, options)) {
    page.push(study);
    if (page.length < lanes) continue;
    yield* await replayAll(dependencies, page);
    page = [];
  }
  yield* await replayAll(dependencies, page);
}

async function replayAll(
  dependencies: ReplayDependencies,
  studies: readonly StudyRecord[],
): Promise<readonly ReplayedStudy[]> {
  const replayed = await Promise.all(studies.map((one) => replayOne(dependencies, one)));
  return replayed.filter((one) => one !== undefined);
}

async function* studiesSince(context: PipelineContext, options: ReplayOptions): AsyncGenerator<StudyRecord> {
  const { since, until, source, signal } = options;
  let after: Place | undefined;
  do {
    signal?.throwIfAborted();
    const { records, next } = await context.records.studies({ since, until, source, limit: pageSize, after });
    yield* records;
    after = next;
  } while (after);
}

interface ReplayDependencies {
  readonly context: PipelineContext;
  readonly client: (source: string) => Promise<OrthancClient>;
  readonly config: Config;
  readonly rules: readonly CompiledRule[];
  readonly priors: ReturnType<typeof replayPriors> | undefined;
}

/**
 * Whether the rules were applied to a study: not to a prior that was pulled, or to one that only operators or rules for another
 * study have sent.
 */
function isRouted(study: StudyRecord, deliveries: readonly DeliveryRecord[]): boolean {
  if (study.pulled === study.contentHash) return false;
  return study.rules.length > 0 || study.lastUpdate !== undefined || deliveries.length === 0;
}

async function replayOne(dependencies: ReplayDependencies, study: StudyRecord): Promise<ReplayedStudy | undefined> {
  const { context, config, rules } = dependencies;
  const { source, orthancStudyId, studyInstanceUid, routedAt } = study;
  const deliveries = await context.records.deliveriesOf(study);
  if (!isRouted(study, deliveries)) return undefined;
  const byRules = deliveries.filter(
    (one) => one.state !== 'moved' && one.rules.some((rule) => study.rules.includes(rule)),
  );
  const before = [...new Set(byRules.map((one) => labelOf(one.target, one.transform?.name)))].sort();
  const known = { source, orthancStudyId, studyInstanceUid, routedAt, before, rulesBefore: study.rules };
  const unjudged = { after: [], added: [], removed: [], rulesAfter: [], waiting: [] };
  if (!config.sources[source]) {
    return { ...known, ...unjudged, outcome: 'unread', detail: `the source ${source} is no longer configured` };
  }
  try {
    const orthanc = await dependencies.client(source);
    const snapshot = await readForRouting(orthanc, config, rules, study);
    const facts = { ...snapshot.study.facts, now: new Date(routedAt) };
    const waitedMs = Date.now() - routedAt;
    const timeouts = new Map(rules.map(({ name, complete }) => [name, complete?.timeout ?? 0]));
    const hasWaited = (rule: string): boolean => {
      const timeout = timeouts.get(rule) ?? 0;
      return timeout > 0 && waitedMs >= timeout;
    };
    const routing = routeStudy(rules, facts, { hasWaited });
    const foreseen = await foreseeDeliveries(
      { config, redis: context.redis, records: context.records },
      {
        source,
        orthancStudyId,
        studyInstanceUid,
        contentHash: contentHash(snapshot.manifest),
        manifest: snapshot.manifest,
        tags: snapshot.study.tags,
        senders: snapshot.senders,
        instanceTags: snapshot.instanceTags,
      },
      routing.deliveries,
    );
    const created = foreseen.flatMap((one, index) => {
      const delivery = routing.deliveries[index];
      return one.omitted === undefined && delivery ? [{ ...targetOf(config, one, byRules), delivery }] : [];
    });
    const after = [...new Set(created.map(({ label }) => label))].sort();
    const priors = await dependencies.priors?.({ ...study, config, orthanc, now: facts.now, planned: created });
    const added = after.filter((one) => !before.includes(one));
    const removed = before.filter((one) => !after.includes(one));
    return {
      ...known,
      outcome: added.length + removed.length === 0 ? 'same' : 'differs',
      after,
      added,
      removed,
      rulesAfter: routing.rules,
      waiting: routing.waiting.map(({ rule }) => rule),
      ...(priors && { priors }),
    };
  } catch (error) {
    if (!(error instanceof DispatchError)) throw error;
    const isGone = error.code === 'source-gone';
    return { ...known, ...unjudged, outcome: isGone ? 'gone' : 'unread', detail: error.message };
  }
}

/** For a group the member that has the study, regardless of how it was selected. */
function targetOf(
  config: Config,
  one: ForeseenDelivery,
  had: readonly DeliveryRecord[],
): { readonly target: string; readonly label: string } {
  if (!one.group) return { target: one.to, label: labelOf(one.to, one.transform) };
  const { chosen, members } = one.group;
  const member =
    chosen ?? members.find((name) => had.some((each) => each.target === name && each.group?.name === one.to));
  if (member === undefined) {
    const open = `${one.to} (one of ${members.join(', ')})`;
    return { target: open, label: open };
  }
  return { target: member, label: labelOf(member, one.transform ?? config.targets[member]?.transform) };
}

function labelOf(target: string, transform: string | undefined): string {
  return transform === undefined ? target : `${target} (${transform})`;
}
