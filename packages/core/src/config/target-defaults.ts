import type { Problem } from './problem.ts';

type Plain = Readonly<Record<string, unknown>>;

/** Keys with this prefix are for users and for anchors: they are ignored. */
const isNote = (key: string): boolean => key.startsWith('x-');

/** A configuration as it is written, without `x-` keys at the top and in targets. */
export function withoutNotes(raw: unknown): unknown {
  if (!isPlain(raw)) return raw;
  const { targets, ...others } = omitNotes(raw);
  if (targets === undefined) return others;
  return { ...others, targets: isPlain(targets) ? mapValues(targets, omitNotes) : targets };
}

/** The `x-` keys of a target. */
export function notesOf(target: Plain): Plain {
  return Object.fromEntries(Object.entries(target).filter(([key]) => isNote(key)));
}

/**
 * A configuration as written, with `targetDefaults` merged into the targets of each type. An option in a target
 * replaces the default completely: sections are not merged.
 */
export function withTargetDefaults(raw: unknown): unknown {
  if (!isPlain(raw) || !isPlain(raw['targets']) || !isPlain(raw['targetDefaults'])) return raw;
  return {
    ...raw,
    targets: mapValues(raw['targets'], (target) => {
      const defaults = targetDefaultsOf(raw, field(target, 'type'));
      return isPlain(target) ? { ...defaults, ...target } : target;
    }),
  };
}

/** Names problems of options that a target has from `targetDefaults` where they are written, each once. */
export function atDefaults(problems: readonly Problem[], raw: unknown): Problem[] {
  const seen = new Set<string>();
  return problems
    .map((problem) => {
      const [section, name, option, ...inner] = problem.path;
      if (section !== 'targets' || name === undefined || option === undefined) return problem;
      const target = field(field(raw, 'targets'), name);
      const type = field(target, 'type');
      const isOwn = isPlain(target) && Object.hasOwn(target, option);
      if (isOwn || !Object.hasOwn(targetDefaultsOf(raw, type), option)) return problem;
      return { ...problem, path: ['targetDefaults', String(type), option, ...inner] };
    })
    .filter((problem) => {
      const key = JSON.stringify(problem);
      return !seen.has(key) && seen.add(key);
    });
}

/** The defaults of a type of target, as they are written. */
export function targetDefaultsOf(raw: unknown, type: unknown): Plain {
  const defaults = typeof type === 'string' ? field(field(raw, 'targetDefaults'), type) : undefined;
  return isPlain(defaults) ? omit(defaults, 'type') : {};
}

function omitNotes<Value>(value: Value): Value {
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !isNote(key))) as Value;
}

function omit(value: Plain, name: string): Plain {
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== name));
}

function mapValues(value: Plain, change: (one: unknown) => unknown): Plain {
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, change(one)]));
}

function field(value: unknown, key: string | number): unknown {
  return isPlain(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
