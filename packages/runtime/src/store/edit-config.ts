import { isDeepStrictEqual } from 'node:util';
import {
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  visit,
  type Alias,
  type Document,
  type ToStringOptions,
  type Node,
  type ParsedNode,
} from 'yaml';
import { maxAliasCount, readYaml } from '../config/read-yaml.ts';
import { keepLines } from './keep-lines.ts';
import { isMergeKey, mergedInto, writeOutMerges } from './merge-keys.ts';

const byteOrderMark = '\uFEFF';

export type ConfigPath = readonly (string | number)[];

/**
 * One change of a configuration file.
 *
 * - `set`: sets the value of a path, which is created if it is missing; equal values keep their notation
 * - `remove`: removes a key of a map or an element of a list
 * - `rename`: renames a key of a map, at its position
 * - `move`: moves an element of a list, with its comments
 */
export type ConfigEdit =
  | { readonly kind: 'set'; readonly path: ConfigPath; readonly value: unknown }
  | { readonly kind: 'remove'; readonly path: ConfigPath }
  | { readonly kind: 'rename'; readonly path: ConfigPath; readonly name: string }
  | { readonly kind: 'move'; readonly path: ConfigPath; readonly to: number };

/**
 * Applies edits to the text of a YAML file. Unaffected lines are unchanged, byte for byte; comments, order, anchors and
 * merge keys are preserved. An alias whose anchor is edited gets its former value: an edit changes nothing elsewhere. A
 * merge key (`<<`) is expanded if an edit removes a part of its content.
 *
 * @throws Error for invalid YAML, or a path into a value that is neither map nor list
 */
export function editConfig(text: string, edits: readonly ConfigEdit[]): string {
  const isWindows = text.includes('\r\n');
  const mark = text.startsWith(byteOrderMark) ? byteOrderMark : '';
  let now = text.slice(mark.length);
  if (isWindows) now = now.replaceAll('\r\n', '\n');
  for (const edit of edits) now = editOnce(now, edit);
  return mark + (isWindows ? now.replaceAll('\n', '\r\n') : now);
}

/** The plain value of the text of a YAML file. */
export function configValue(text: string): unknown {
  return parsed(text).toJS({ maxAliasCount }) as unknown;
}

function editOnce(text: string, edit: ConfigEdit): string {
  const before = parsed(text);
  const value: unknown = before.toJS({ maxAliasCount });
  const wanted = editPlain(value, edit);
  if (isDeepStrictEqual(wanted, value) && edit.kind !== 'rename') return text;
  const yieldsWanted = (candidate: string): boolean => {
    const document = readYaml(candidate);
    if (document.errors.length > 0) return false;
    try {
      return isDeepStrictEqual(document.toJS({ maxAliasCount }), wanted);
    } catch {
      return false; // an alias before its anchor
    }
  };
  const form = { lineWidth: 0, indentSeq: !/^(\s*)[\w.-]+:[^\n]*\n\1- /m.test(text) } as const;
  for (const detaches of [false, true]) {
    const written = tryEdit(parsed(text), edit, detaches, form);
    if (written === undefined) continue;
    const kept = keepLines(text, before.toString(form), written);
    const good = [kept, written].find((candidate) => yieldsWanted(candidate));
    if (good !== undefined) return good;
  }
  throw new Error(`${edit.path.join('.')} cannot be edited in this file: change it by hand`);
}

/** Undefined if a required anchor would be removed, or a path leads through an alias. */
function tryEdit(
  document: Document<ParsedNode>,
  edit: ConfigEdit,
  detaches: boolean,
  form: ToStringOptions,
): string | undefined {
  try {
    if (detaches) detachAliases(document, edit.path);
    if (detaches && edit.kind === 'move') detachWithin(document, edit.path);
    editDocument(document, edit);
    return document.toString(form);
  } catch (error) {
    if (detaches) throw error;
    return undefined;
  }
}

function parsed(text: string): Document<ParsedNode> {
  const document = readYaml(text);
  const [error] = document.errors;
  if (error) throw error;
  return document;
}

/** The same edit of a plain value: the expected content of the edited file. */
function editPlain(root: unknown, edit: ConfigEdit): unknown {
  return step(root, edit.path, (parent, key) => {
    if (edit.kind === 'set') {
      if (Array.isArray(parent)) return parent.toSpliced(Number(key), 1, edit.value);
      return { ...asObject(parent, edit.path), [key]: edit.value };
    }
    if (Array.isArray(parent)) {
      const without = parent.toSpliced(Number(key), 1);
      return edit.kind === 'move' ? without.toSpliced(edit.to, 0, parent[Number(key)]) : without;
    }
    if (edit.kind === 'move') throw new Error(`${edit.path.join('.')}: its parent is no list`);
    const entries = Object.entries(asObject(parent, edit.path));
    return Object.fromEntries(
      edit.kind === 'remove'
        ? entries.filter(([name]) => name !== key)
        : entries.map(([name, value]) => [name === key ? edit.name : name, value]),
    );
  });
}

function step(value: unknown, path: ConfigPath, act: (parent: unknown, key: string | number) => unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) throw new Error('an edit needs a path');
  if (rest.length === 0) return act(value, key);
  if (Array.isArray(value)) return value.toSpliced(Number(key), 1, step(value[Number(key)], rest, act));
  const parent = asObject(value, path);
  return { ...parent, [key]: step(parent[key], rest, act) };
}

function asObject(value: unknown, path: ConfigPath): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new Error(`${path.join('.')}: its parent is no map`);
  return value as Record<string, unknown>;
}

function editDocument(document: Document<ParsedNode>, edit: ConfigEdit): void {
  const { path } = edit;
  if (edit.kind === 'remove') {
    document.deleteIn(path);
    return;
  }
  const last = path.at(-1);
  if (edit.kind === 'move') {
    moveInList(document, path, edit.to);
    return;
  }
  if (edit.kind === 'rename') {
    const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
    const pair = isMap(parent) ? parent.items.find(({ key }) => isScalar(key) && key.value === last) : undefined;
    if (pair && isScalar(pair.key)) pair.key.value = edit.name;
    return;
  }
  const old = document.getIn(path, true);
  const fresh = isNode(old) ? put(document, old, edit.value) : document.createNode(edit.value);
  if (fresh === old) return;
  // Sections with only comments are null: they become maps.
  for (let length = 1; length < path.length; length += 1) {
    const above = document.getIn(path.slice(0, length), true);
    if (above === undefined || isCollection(above)) continue;
    document.setIn(path.slice(0, length), withCommentsOf(above, document.createNode({})));
  }
  document.setIn(path, fresh);
}

/**
 * The YAML library assigns the comment before the first element to the list: here it becomes the comment of this
 * element.
 */
function moveInList(document: Document<ParsedNode>, path: ConfigPath, to: number): void {
  const list = document.getIn(path.slice(0, -1), true);
  if (!isSeq(list)) throw new Error(`${path.join('.')}: its parent is no list`);
  const [first] = list.items;
  if (list.commentBefore && isNode(first) && !list.flow) {
    first.commentBefore = [list.commentBefore, first.commentBefore].filter(Boolean).join('\n');
    list.commentBefore = undefined;
  }
  // Blank lines keep their positions.
  const spaces = list.items.map((item) => isNode(item) && item.spaceBefore === true);
  const [moved] = list.items.splice(Number(path.at(-1)), 1);
  list.items.splice(to, 0, moved);
  for (const [index, item] of list.items.entries()) if (isNode(item)) item.spaceBefore = spaces[index] === true;
}

/** Sets the value of a node, and preserves equal parts with their comments; returns the current node. */
function put(document: Document<ParsedNode>, node: Node, value: unknown): Node {
  if (isDeepStrictEqual(node.toJS(document, { maxAliasCount }), value)) return node;
  if (isScalar(node) && (typeof value !== 'object' || value === null)) {
    node.value = value;
    return node;
  }
  if (isMap(node) && typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const nameOf = (key: unknown): string => String(isScalar(key) ? key.value : key);
    let merged = mergedInto(document, node);
    if (Object.keys(merged).some((name) => !Object.hasOwn(value, name))) {
      writeOutMerges(document, node);
      merged = {};
    }
    const gone = node.items
      .map(({ key }) => key)
      .filter((key) => !isMergeKey(key) && !Object.hasOwn(value, nameOf(key)));
    for (const key of gone) node.delete(key);
    for (const [name, inner] of Object.entries(value)) {
      const old = node.get(name, true);
      if (old === undefined && Object.hasOwn(merged, name) && isDeepStrictEqual(merged[name], inner)) continue;
      const fresh = isNode(old) ? put(document, old, inner) : document.createNode(inner);
      if (fresh !== old) node.set(name, fresh);
    }
    return node;
  }
  if (isSeq(node) && Array.isArray(value)) {
    const olds = keptItems(document, node.items, value);
    const items = value.map((inner: unknown, index) => {
      const old = olds[index];
      return isNode(old) ? put(document, old, inner) : document.createNode(inner);
    });
    node.items.splice(0, node.items.length, ...(items as typeof node.items));
    return node;
  }
  return withCommentsOf(node, document.createNode(value) as Node);
}

/**
 * For each new value of a list the old element that it continues: an equal one, otherwise the one at the same position if that
 * equals no new value.
 */
function keptItems(document: Document<ParsedNode>, items: readonly unknown[], values: readonly unknown[]): unknown[] {
  const left = new Set(items);
  const olds = values.map((value) => {
    const same = [...left].find(
      (item) => isNode(item) && isDeepStrictEqual(item.toJS(document, { maxAliasCount }), value),
    );
    if (same !== undefined) left.delete(same);
    return same;
  });
  // With fewer elements than before, one has been removed: its comment belongs to no other.
  const isShorter = values.length < items.length;
  return olds.map((old, index) => old ?? (!isShorter && left.has(items[index]) ? items[index] : undefined));
}

/** Comments of an empty node, or of an alias, are moved to the new one. */
function withCommentsOf(old: unknown, fresh: Node): Node {
  if (!isNode(old)) return fresh;
  const isOwn = isAlias(old) || (isScalar(old) && (old.value === null || isCollection(fresh)));
  const comments = [old.commentBefore, isOwn ? old.comment : undefined].filter(Boolean);
  if (comments.length > 0) fresh.commentBefore = comments.join('\n');
  return fresh;
}

/** Aliases of values below a path, and aliases on the path, become separate values. */
function detachAliases(document: Document<ParsedNode>, path: ConfigPath): void {
  // On the path: the edit only applies here.
  for (let length = 1; length <= path.length; length += 1) {
    const node = document.getIn(path.slice(0, length), true);
    if (isAlias(node)) document.setIn(path.slice(0, length), copyOf(document, node));
  }
  // Content of a merge key can only be edited after it is expanded.
  for (let length = 0; length < path.length; length += 1) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isMap(node) && Object.hasOwn(mergedInto(document, node), String(path[length]))) writeOutMerges(document, node);
  }
  const anchors = new Set<string>();
  const collect = (node: unknown): void => {
    if (!isNode(node)) return;
    visit(node, {
      Node: (_, one) => {
        if (!isAlias(one) && one.anchor !== undefined) anchors.add(one.anchor);
      },
    });
  };
  collect(document.getIn(path, true));
  // An anchored parent map or list contains the edited value, too.
  for (let length = 1; length < path.length; length += 1) {
    const node = document.getIn(path.slice(0, length), true);
    if (isCollection(node) && node.anchor !== undefined) anchors.add(node.anchor);
  }
  if (anchors.size === 0) return;
  visit(document, { Alias: (_, node) => (anchors.has(node.source) ? copyOf(document, node) : undefined) });
}

/** An element that is moved could come before the anchors that it refers to. */
function detachWithin(document: Document<ParsedNode>, path: ConfigPath): void {
  const moved = document.getIn(path, true);
  if (isNode(moved)) visit(moved, { Alias: (_, node) => copyOf(document, node) });
}

function copyOf(document: Document<ParsedNode>, alias: Alias): Node {
  const { comment, commentBefore, spaceBefore } = alias;
  const copy = document.createNode(
    alias.toJS(document, {
      anchors: new Map(),
      doc: document,
      keep: true,
      mapAsMap: false,
      mapKeyWarned: false,
      maxAliasCount,
    } as never),
  ) as Node;
  return Object.assign(copy, { comment, commentBefore, spaceBefore });
}
