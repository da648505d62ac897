import {
  compileRules,
  DispatchError,
  explainRules,
  readConditions,
  type CompiledRule,
  type Config,
  ruleConfig,
  type SimpleConditions,
} from '@dicom-dispatch/core';
import { readForRouting } from '@dicom-dispatch/pipeline';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { ConsoleContext } from '../console-context.ts';

/** The result of an expression for the studies that were routed last. */
export interface TriedRule {
  /** Why it cannot be used, with line and column. */
  readonly problem?: string;
  /** Why no study was checked. */
  readonly untried?: string;
  /** As shown by the builder; absent if the builder cannot show it. */
  readonly conditions?: SimpleConditions;
  /** Checked studies. */
  readonly studies: number;
  readonly matches: number;
  readonly examples: readonly {
    readonly source: string;
    readonly orthancStudyId: string;
    readonly studyInstanceUid: string;
    readonly matched: boolean;
    /** The part of the expression that decided; no values. */
    readonly because: string;
  }[];
}

const maxStudies = 200;
const maxMs = 6_000;
const lanes = 4;

/** Message without patient data: the studies that a custom expression matches would reveal their tags. */
export const untried =
  'Studies are not tried while console.patientData is false. On the command line: ./dispatch rules replay -c draft.yaml';

/** Studies that an expression is tried on. */
export interface StudiesToTry {
  readonly config: Pick<Config, 'sources' | 'targets'>;
  list(): Promise<readonly StudyToTry[]>;
  client(source: string): Promise<OrthancClient>;
}

interface StudyToTry {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
  /** Time of its routing, for conditions on the time. */
  readonly routedAt: number;
}

/** Evaluates an expression for the latest routed studies, as many as can be read in a few seconds. */
export function tryRule(context: ConsoleContext, when: string): Promise<TriedRule> {
  if (!context.lookup.showsPatientData) return tryExpression(when, untried);
  return tryExpression(when, {
    config: context.config(),
    list: async () => (await context.operations.records.studies({ limit: maxStudies })).records,
    client: (source) => context.lookup.client(source),
  });
}

/** @param among - studies, or why none is checked */
export async function tryExpression(when: string, among: StudiesToTry | string): Promise<TriedRule> {
  const conditions = readConditions(when);
  const shown = conditions && { conditions };
  const none = { ...shown, studies: 0, matches: 0, examples: [] };
  const parsed = ruleConfig.safeParse({ name: 'this-rule', targets: ['any'], ...(when.trim() !== '' && { when }) });
  if (!parsed.success) return { ...none, problem: parsed.error.issues[0]?.message ?? 'it cannot be used' };
  let rules: CompiledRule[];
  try {
    rules = compileRules([parsed.data]);
  } catch (error) {
    return { ...none, problem: (error as Error).message };
  }
  if (typeof among === 'string') return { ...none, untried: among };
  const studies = await among.list();
  const until = Date.now() + maxMs;
  const examples: TriedRule['examples'][number][] = [];
  for (let at = 0; at < studies.length && Date.now() < until; at += lanes) {
    const judged = await Promise.all(studies.slice(at, at + lanes).map((study) => judge(among, rules, study)));
    examples.push(...judged.flatMap((one) => one ?? []));
  }
  return { ...shown, studies: examples.length, matches: examples.filter(({ matched }) => matched).length, examples };
}

async function judge(
  { config, client }: StudiesToTry,
  rules: readonly CompiledRule[],
  study: StudyToTry,
): Promise<TriedRule['examples'][number] | undefined> {
  const { source, orthancStudyId, studyInstanceUid, routedAt } = study;
  if (!config.sources[source]) return undefined;
  try {
    const orthanc = await client(source);
    const signal = AbortSignal.timeout(maxMs);
    const snapshot = await readForRouting(orthanc, config, rules, study, { signal });
    const [verdict] = explainRules(rules, { ...snapshot.study.facts, now: new Date(routedAt) });
    const { matched = false, because = '' } = verdict ?? {};
    return { source, orthancStudyId, studyInstanceUid, matched, because };
  } catch (error) {
    // Deleted from its source, or currently unreadable: the result is unknown.
    if (error instanceof DispatchError) return undefined;
    throw error;
  }
}
