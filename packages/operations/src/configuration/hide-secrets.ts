import { isMap, isNode, isScalar, parseDocument, visit, type Scalar } from 'yaml';
import { editableSections } from './editor-rights.ts';

type Plain = Readonly<Record<string, unknown>>;

/** Placeholder for a secret in plain text. */
export const hidden = '***';

const userInfo = /^([a-z][a-z0-9+.-]*:\/\/)[^/@\s]+@/i;

/** A value of the configuration without secrets in plain text: logins in URLs, values of headers. */
export function hideSecrets(value: unknown, path: readonly string[] = []): unknown {
  if (typeof value === 'string') return hideText(value, path.at(-2) === 'headers');
  if (Array.isArray(value)) return value.map((one: unknown, index) => hideSecrets(one, [...path, String(index)]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, hideSecrets(one, [...path, key])]));
}

/** Puts values of headers back that a form showed hidden. @returns with `missing`, names of hidden ones that were not there */
export function restoreHeaders(
  headers: unknown,
  was: unknown,
): { readonly headers: unknown; readonly missing: readonly string[] } {
  if (!isMapping(headers)) return { headers, missing: [] };
  const old = isMapping(was) ? was : {};
  const isOld = (name: string): boolean => Object.hasOwn(old, name);
  const entries = Object.entries(headers);
  return {
    headers: Object.fromEntries(
      entries.map(([name, value]) => [name, value === hidden && isOld(name) ? old[name] : value]),
    ),
    missing: entries.filter(([name, value]) => value === hidden && !isOld(name)).map(([name]) => name),
  };
}

/** Headers with masked values; undefined for another value. */
export function shownHeaders(headers: unknown): unknown {
  if (!isMapping(headers)) return headers;
  const shown = Object.entries(headers).filter(([, value]) => hideSecrets(value, ['headers', '']) !== hidden);
  return shown.length > 0 ? Object.fromEntries(shown) : undefined;
}

function isMapping(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What an editor may read of the text of a configuration: the sections that they may change, without plain secrets. */
export function textForEditors(text: string): string {
  const document = parseDocument(text, { uniqueKeys: false, merge: true });
  const { contents } = document;
  if (document.errors.length > 0 || !isMap(contents)) return '';
  const edits: { from: number; to: number; text: string }[] = [];
  visit(contents, {
    Scalar(key, node, ancestors) {
      if (key === 'key' || typeof node.value !== 'string' || !node.range) return;
      const shown = hideText(node.value, isHeader(ancestors));
      const [from, to] = node.range;
      const end = text.slice(from, to).endsWith('\n') ? '\n' : '';
      if (shown !== node.value) edits.push({ from, to, text: `'${shown.replaceAll("'", "''")}'${end}` });
    },
  });
  const parts = contents.items.flatMap(({ key, value }) => {
    if (!isScalar(key) || !editableSections.has(String(key.value)) || !key.range) return [];
    const from = key.range[0];
    const to = isNode(value) && value.range ? value.range[1] : key.range[1];
    let part = text.slice(from, to);
    for (const edit of edits.toReversed()) {
      if (edit.from >= from && edit.to <= to)
        part = part.slice(0, edit.from - from) + edit.text + part.slice(edit.to - from);
    }
    return [part.trimEnd()];
  });
  return parts.map((part) => `${part}\n`).join('');
}

/** Whether a value is in a map `headers`. */
function isHeader(ancestors: readonly unknown[]): boolean {
  const [section] = ancestors.slice(-3) as { key?: Scalar }[];
  return isScalar(section?.key) && section.key.value === 'headers';
}

function hideText(text: string, isInHeaders: boolean): string {
  if (isInHeaders && !/^\$\{\w+\}$/.test(text)) return hidden;
  return text.replace(userInfo, `$1${hidden}@`);
}
