import type { ASTNode } from '@marcbachmann/cel-js';

/** Keywords that an expression speaks about, by the variable they are asked of. */
export interface WantedTags {
  readonly study: ReadonlySet<string>;
  /** Of series, and of what an expression calls them inside `exists` and the like. */
  readonly series: ReadonlySet<string>;
  readonly instance: ReadonlySet<string>;
}

const keyword = /^[A-Z][A-Za-z0-9]{1,63}$/;
/** Of `origin` and `now`: no tags. */
const others = new Set(['origin', 'source', 'now']);

/** Collects the DICOM keywords of an expression, so that tags beyond Orthanc's main ones can be asked for. */
export function wantedTags(ast: ASTNode): WantedTags {
  const found = { study: new Set<string>(), series: new Set<string>(), instance: new Set<string>() };
  visit(ast, (object, name) => {
    if (!keyword.test(name)) return;
    const variable = object.op === 'id' ? object.args : undefined;
    if (variable !== undefined && others.has(variable)) return;
    found[variable === 'study' || variable === 'instance' ? variable : 'series'].add(name);
  });
  return found;
}

/** All that several expressions want. */
export function uniteWanted(all: Iterable<WantedTags>): WantedTags {
  const united = { study: new Set<string>(), series: new Set<string>(), instance: new Set<string>() };
  for (const one of all) {
    for (const level of ['study', 'series', 'instance'] as const)
      for (const name of one[level]) united[level].add(name);
  }
  return united;
}

function visit(value: unknown, select: (object: ASTNode, name: string) => void): void {
  if (Array.isArray(value)) {
    for (const one of value) visit(one, select);
    return;
  }
  if (!isNode(value)) return;
  if (value.op === '.' || value.op === '.?') select(value.args[0], value.args[1]);
  if (value.op === '[]' || value.op === '[?]') {
    const [object, index] = value.args;
    if (index.op === 'value' && typeof index.args === 'string') select(object, index.args);
  }
  visit(value.args, select);
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}
