import type { ASTNode } from '@marcbachmann/cel-js';

/** Keywords of an expression, by variable. */
export interface WantedTags {
  readonly study: ReadonlySet<string>;
  /** Of series, and of what an expression calls them inside `exists` and the like. */
  readonly series: ReadonlySet<string>;
  readonly instance: ReadonlySet<string>;
  /** Of an earlier study. */
  readonly prior: ReadonlySet<string>;
}

const keyword = /^[A-Za-z][A-Za-z0-9]{1,63}$/;
/** Variables without tags. */
const others = new Set(['origin', 'source', 'now']);

/** Collects the DICOM keywords of an expression, so that tags beyond Orthanc's main ones can be requested. */
export function wantedTags(ast: ASTNode): WantedTags {
  const found = none();
  eachTag(ast, ({ variable, name }) => {
    if (!keyword.test(name) || (variable !== undefined && others.has(variable))) return;
    found[variable === 'study' || variable === 'instance' || variable === 'prior' ? variable : 'series'].add(name);
  });
  return found;
}

function none() {
  const set = (): Set<string> => new Set();
  return { study: set(), series: set(), instance: set(), prior: set() };
}

/** The union of several expressions. */
export function uniteWanted(all: Iterable<WantedTags>): WantedTags {
  const united = none();
  for (const one of all) {
    for (const level of ['study', 'series', 'instance', 'prior'] as const)
      for (const name of one[level]) united[level].add(name);
  }
  return united;
}

/** A name that an expression reads from a variable. */
export interface NamedTag {
  /** The variable; undefined for an element of a list. */
  readonly variable: string | undefined;
  readonly name: string;
  readonly node: ASTNode;
  /** `study["Name"]` and not `study.Name`. */
  readonly isIndex: boolean;
}

/** Calls back with every `variable.Name` and `variable["Name"]` of an expression. */
export function eachTag(value: unknown, select: (tag: NamedTag) => void): void {
  if (Array.isArray(value)) {
    for (const one of value) eachTag(one, select);
    return;
  }
  if (!isNode(value)) return;
  if (value.op === '.' || value.op === '.?') selectTag(value, value.args[0], value.args[1], false);
  if (value.op === '[]' || value.op === '[?]') {
    const [object, index] = value.args;
    if (index.op === 'value' && typeof index.args === 'string') selectTag(value, object, index.args, true);
  }
  eachTag(value.args, select);

  function selectTag(node: ASTNode, object: ASTNode, name: string, isIndex: boolean): void {
    // Members of a tag are not tags.
    if (object.op === '.' || object.op === '.?') return;
    select({ variable: object.op === 'id' ? object.args : undefined, name, node, isIndex });
  }
}

/** Whether a part of an expression's tree is a node of it. */
export function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}
