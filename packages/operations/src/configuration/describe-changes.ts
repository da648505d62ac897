import { isDeepStrictEqual } from 'node:util';
import { hideSecrets } from './hide-secrets.ts';

type Plain = Readonly<Record<string, unknown>>;

const maxShown = 80;

/** One change in words, e.g. `targets.pacs.port: 104 becomes 11112`. */
export interface DescribedChange {
  readonly path: string;
  readonly words: string;
}

/** Differences between two configurations, as written: `${NAME}` represents its value. */
export function describeChanges(before: unknown, after: unknown): DescribedChange[] {
  return compare(byName(before), byName(after), []);
}

/** Rules are identified by their names, independent of their positions. */
function byName(raw: unknown): unknown {
  const plain = asPlain(raw) ?? {};
  const { rules } = plain;
  if (!Array.isArray(rules)) return plain;
  const named = rules.map(
    (rule: unknown, index) => [String(asPlain(rule)?.['name'] ?? `rule ${index + 1}`), rule] as const,
  );
  return { ...plain, rules: Object.fromEntries(named), 'order of rules': named.map(([name]) => name) };
}

function compare(before: unknown, after: unknown, path: readonly string[]): DescribedChange[] {
  if (isDeepStrictEqual(before, after)) return [];
  const [old, now] = [asPlain(before), asPlain(after)];
  const isWhole = path.length >= 2 && (old === undefined || now === undefined);
  if (!isWhole && (old !== undefined || before === undefined) && (now !== undefined || after === undefined)) {
    const names = [...new Set([...Object.keys(old ?? {}), ...Object.keys(now ?? {})])];
    return names.flatMap((name) => compare(old?.[name], now?.[name], [...path, name]));
  }
  return [{ path: path.join('.'), words: words(path.join('.'), hideSecrets(before, path), hideSecrets(after, path)) }];
}

function words(name: string, before: unknown, after: unknown): string {
  if (before === undefined) return `${name} is added: ${show(after)}`;
  if (after === undefined) return `${name} is removed; it was ${show(before)}`;
  return `${name}: ${show(before)} becomes ${show(after)}`;
}

function show(value: unknown): string {
  const text =
    JSON.stringify(value, (_, inner: unknown) => (asPlain(inner)?.['sealed'] === undefined ? inner : 'a secret')) ?? '';
  return text.length > maxShown ? `${text.slice(0, maxShown - 1)}…` : text;
}

function asPlain(value: unknown): Plain | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plain) : undefined;
}
