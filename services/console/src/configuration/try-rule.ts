import {
  compileRules,
  DispatchError,
  explainRules,
  readConditions,
  type CompiledRule,
  ruleConfig,
  type SimpleConditions,
} from '@dicom-dispatch/core';
import { readForRouting } from '@dicom-dispatch/pipeline';
import type { ConsoleContext } from '../console-context.ts';

/** What an expression would say of the studies that were routed last. */
export interface TriedRule {
  /** Why it cannot be used, with line and column. */
  readonly problem?: string;
  /** Why no study was looked at. */
  readonly untried?: string;
  /** As the builder shows it; absent when it says more than the builder can. */
  readonly conditions?: SimpleConditions;
  /** Studies that were looked at. */
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

/** Which studies an expression of one's own matches says what their tags are. */
export const untried =
  'Studies are not tried while console.patientData is false. On the command line: ./dispatch rules replay -c draft.yaml';

/** Judges the studies that were routed last by one expression, as many as can be read in a few seconds. */
export async function tryRule(context: ConsoleContext, when: string): Promise<TriedRule> {
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
  if (!context.lookup.showsPatientData) return { ...none, untried };
  const { records } = await context.operations.records.studies({ limit: maxStudies });
  const until = Date.now() + maxMs;
  const examples: TriedRule['examples'][number][] = [];
  for (let at = 0; at < records.length && Date.now() < until; at += lanes) {
    const judged = await Promise.all(records.slice(at, at + lanes).map((study) => judge(study)));
    examples.push(...judged.flatMap((one) => one ?? []));
  }
  return { ...shown, studies: examples.length, matches: examples.filter(({ matched }) => matched).length, examples };

  async function judge(study: (typeof records)[number]): Promise<TriedRule['examples'][number] | undefined> {
    const { source, orthancStudyId, studyInstanceUid, routedAt } = study;
    if (!context.config().sources[source]) return undefined;
    try {
      const orthanc = await context.lookup.client(source);
      const signal = AbortSignal.timeout(maxMs);
      const snapshot = await readForRouting(orthanc, context.config(), rules ?? [], study, { signal });
      const [verdict] = explainRules(rules ?? [], { ...snapshot.study.facts, now: new Date(routedAt) });
      return {
        source,
        orthancStudyId,
        studyInstanceUid,
        matched: verdict?.matched ?? false,
        because: verdict?.because ?? '',
      };
    } catch (error) {
      // Gone from its source, or not to be read now: nobody can say.
      if (error instanceof DispatchError) return undefined;
      throw error;
    }
  }
}
