import { readConditions, writeConditions } from '../rules/simple-conditions.ts';
import { priorsFromSource } from './priors-config.ts';
import type { Problem } from './problem.ts';

type Path = Problem['path'];

/** Named parts of a configuration that other parts name. */
export const referredKinds = ['sources', 'targets', 'groups', 'transforms'] as const;
export type ReferredKind = (typeof referredKinds)[number];

export interface RenamedReferences {
  /** References to the former name, with their new content. */
  readonly changes: readonly { readonly path: Path; readonly value: string }[];
  /** Places that must first be changed manually, as text. */
  readonly open: readonly string[];
}

/** Where each kind is referenced. `*` represents every key of a map, or every element of a list. */
const places: Readonly<Record<ReferredKind, readonly (readonly string[])[]>> = {
  sources: [
    ['rules', '*', 'sources', '*'],
    ['targets', '*', 'source'],
    ['targetDefaults', '*', 'source'],
  ],
  targets: [
    ['rules', '*', 'targets', '*'],
    ['rules', '*', 'priors', 'targets', '*'],
    ['rules', '*', 'priors', 'from'],
    ['groups', '*', 'targets', '*'],
    ['console', 'tokens', '*', 'targets', '*'],
    ['console', 'notifications', 'webhooks', '*', 'targets', '*'],
    ['console', 'notifications', 'emails', '*', 'targets', '*'],
  ],
  groups: [
    ['rules', '*', 'targets', '*'],
    ['rules', '*', 'priors', 'targets', '*'],
  ],
  transforms: [
    ['rules', '*', 'transform'],
    ['targets', '*', 'transform'],
    ['targetDefaults', '*', 'transform'],
  ],
};

/** Expressions that use the source of a study. */
const expressions: readonly (readonly string[])[] = [
  ['rules', '*', 'when'],
  ['rules', '*', 'complete', 'when'],
  ['rules', '*', 'priors', 'when'],
];

/**
 * Changes elsewhere if a part of the configuration is renamed.
 *
 * @param raw - the configuration as written
 */
export function renameReferences(raw: unknown, kind: ReferredKind, was: string, name: string): RenamedReferences {
  const changes: { path: Path; value: string }[] = [];
  const open: string[] = [];
  for (const place of places[kind]) {
    for (const { path, value } of valuesAt(raw, place)) {
      if (value !== was) continue;
      const isFrom = place.at(-1) === 'from';
      // There it would be, or was, the source of the study.
      if (isFrom && was === priorsFromSource) continue;
      if (isFrom && name === priorsFromSource) open.push(`${words(raw, path)}: "${name}" means the source there`);
      else changes.push({ path, value: name });
    }
  }
  for (const place of kind === 'sources' ? expressions : []) {
    for (const { path, value } of valuesAt(raw, place)) {
      const renamed = typeof value === 'string' ? renameInExpression(value, was, name) : undefined;
      if (renamed === undefined || renamed === value) continue;
      if (renamed !== '') changes.push({ path, value: renamed });
      else
        open.push(
          `${words(raw, path)}: the expression compares the source in a way that is changed by hand only: name "${name}" there first`,
        );
    }
  }
  return { changes, open };
}

/** The expression with the new name; empty if an operator must check it. */
function renameInExpression(text: string, was: string, name: string): string {
  const outside = text.replaceAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/g, "''");
  if (!/(?<![.\w])source\b/.test(outside)) return text;
  const read = readConditions(text);
  const isPlain = read?.conditions.every(
    ({ subject, operator }) => subject !== 'source' || operator === 'is' || operator === 'is-not',
  );
  if (read && isPlain) {
    const isNamed = (one: (typeof read.conditions)[number]): boolean => one.subject === 'source' && one.value === was;
    if (!read.conditions.some(isNamed)) return text;
    const conditions = read.conditions.map((one) => (isNamed(one) ? { ...one, value: name } : one));
    return writeConditions({ ...read, conditions });
  }
  return text.includes(`'${name}'`) || text.includes(`"${name}"`) ? text : '';
}

function valuesAt(value: unknown, place: readonly string[], path: Path = []): { path: Path; value: unknown }[] {
  const [key, ...rest] = place;
  if (key === undefined) return [{ path, value }];
  if (typeof value !== 'object' || value === null) return [];
  if (key !== '*') {
    return Object.hasOwn(value, key) ? valuesAt((value as Record<string, unknown>)[key], rest, [...path, key]) : [];
  }
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return entries.flatMap(([inner, one]) => valuesAt(one, rest, [...path, inner]));
}

/** A path with the name of a rule in the place of its number. */
function words(raw: unknown, path: Path): string {
  const [section, index, ...rest] = path;
  const { rules } = (raw ?? {}) as { rules?: readonly { name?: unknown }[] };
  const name = section === 'rules' && typeof index === 'number' ? String(rules?.[index]?.name ?? index) : index;
  return [section, name, ...rest].join('.');
}
