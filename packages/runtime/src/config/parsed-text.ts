import { withoutNotes } from '@dicom-dispatch/core';
import { isMap, isNode, isPair, isScalar, LineCounter, type Document } from 'yaml';
import { ConfigError, type LocatedProblem } from './config-error.ts';
import { maxAliasCount, readYaml } from './read-yaml.ts';

/** A text that was parsed as YAML. */
export interface ParsedText {
  /** Its location, for users. */
  readonly title: string;
  readonly document: Document;
  readonly lines: LineCounter;
  /** Its value, without notes and empty sections. */
  readonly raw: unknown;
}

/**
 * Parses a text as YAML, with its aliases expanded, without notes and empty sections.
 *
 * @throws ConfigError
 */
export function parseText(title: string, text: string): ParsedText {
  const lines = new LineCounter();
  const document = readYaml(text, lines);
  if (document.errors.length > 0) {
    throw new ConfigError(
      title,
      document.errors.map((error) => ({
        ...lines.linePos(error.pos[0]),
        path: [],
        message: yamlWords(error),
      })),
    );
  }
  return { title, document, lines, raw: withoutNotes(withoutEmptySections(unfold(document, title))) };
}

function unfold(document: Document, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount });
  } catch (error) {
    const message = yamlWords(error as Error);
    throw new ConfigError(path, [{ line: 1, col: 1, path: [], message }], { cause: error });
  }
}

/** Why a text cannot be parsed as YAML, for users. */
function yamlWords({ message }: Error): string {
  if (message.startsWith('has a map of ')) return message;
  if (/resource exhaustion/i.test(message)) {
    return 'has aliases (*name) that expand to too much data: replace the aliases by their content';
  }
  if (/merge sources must be/i.test(message)) {
    return 'has a merge key (<<) that names no map: correct the alias (*name) behind it, or write the map above it';
  }
  if (/call stack/i.test(message)) return 'has lists or maps that are nested too deeply';
  if (/unresolved tag/i.test(message)) {
    return `has a tag that is not known (${/!\S+/.exec(message)?.[0] ?? '!'}): write the value itself; files are not included`;
  }
  if (/multiple documents/i.test(message)) return 'has more than one document (---): keep one';
  return `is not YAML: ${message}`;
}

/** A section with only comments counts as omitted. */
function withoutEmptySections(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return raw;
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null));
}

/** Adds line and column to a problem: those of its key, or of the nearest parent that exists in the text. */
export function locate(
  { document, lines }: Pick<ParsedText, 'document' | 'lines'>,
  problem: { path: readonly (string | number)[]; message: string },
): LocatedProblem {
  for (let length = problem.path.length; length > 0; length -= 1) {
    const offset = offsetOf(document, problem.path.slice(0, length));
    if (offset !== undefined) return { ...problem, ...lines.linePos(offset) };
  }
  return { ...problem, line: 1, col: 1 };
}

function offsetOf(document: Document, path: readonly (string | number)[]): number | undefined {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === path.at(-1));
    return pair && isNode(pair.key) ? pair.key.range?.[0] : undefined;
  }
  const value = document.getIn(path, true);
  return isNode(value) ? value.range?.[0] : undefined;
}
