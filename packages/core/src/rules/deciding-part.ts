import type { ASTNode } from '@marcbachmann/cel-js';
import type { RuleFacts } from './rule-facts.ts';
import { eachTag } from './wanted-tags.ts';

/** A part of an expression that decided. */
export interface DecidingPart {
  /** As in the expression. */
  readonly text: string;
  /** Start position; both count from 1. */
  readonly line: number;
  readonly column: number;
  /** Its result: `is true`, `is false`, or why there is none. No values. */
  readonly result: string;
  /** Its values. Patient data: for the requesting user, never for a log. */
  readonly values: readonly LookedAt[];
}

export interface LookedAt {
  /** `study.PatientID`, `series.Modality` … */
  readonly name: string;
  /** Of series one value each; undefined when the study has no such tag. */
  readonly value: string | readonly string[] | undefined;
}

/** Variables of a part of an expression, each name once. */
export function lookedAt(part: ASTNode, text: string, facts: RuleFacts): LookedAt[] {
  const found = new Map<string, LookedAt>();
  const add = (name: string, value: LookedAt['value']): void => void found.set(name, { name, value });
  eachTag(part, ({ variable, name }) => {
    if (variable === 'study') add(`study.${name}`, facts.study[name]);
    else if (variable === 'origin') add(`origin.${name}`, asText(facts.origin[name]));
    else add(`series.${name}`, ofSeries(facts, name));
  });
  if (/\bsource\b/.test(text)) add('source', facts.source);
  if (/\bnow\b/.test(text)) add('now', asText(facts.now ?? new Date()));
  if (/\bage\(\s*study\s*\)/.test(text)) {
    for (const name of ['PatientAge', 'PatientBirthDate', 'StudyDate']) add(`study.${name}`, facts.study[name]);
  }
  return [...found.values()];
}

function ofSeries(facts: RuleFacts, name: string): readonly string[] | undefined {
  const values = facts.series.flatMap((series) => series[name] ?? []);
  return values.length > 0 ? values : undefined;
}

function asText(value: string | Date | undefined): string | undefined {
  return value instanceof Date ? value.toISOString() : value;
}
