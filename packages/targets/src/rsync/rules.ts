import { posix } from 'node:path';

/** A path as in a rule, with its wildcards escaped (rsync(1), "PATTERN MATCHING RULES"). */
export function asPattern(path: string): string {
  return /[*?[]/.test(path) ? path.replaceAll(/[\\*?[]/g, String.raw`\$&`) : path;
}

/** Rules (rsync(1), "FILTER RULES") that include only matches of the patterns, and their parent folders. */
export function rulesFor(patterns: readonly string[]): string {
  const onTheWay = new Set<string>();
  for (const pattern of patterns) {
    for (let one = posix.dirname(pattern); one !== '.'; one = posix.dirname(one)) onTheWay.add(one);
  }
  const lines = [...[...onTheWay].map((folder) => `+ /${folder}/`), ...patterns.map((one) => `+ /${one}`), '- *'];
  return `${lines.join('\n')}\n`;
}
