import { isMap, isNode, isScalar, parseDocument, visit, type Scalar } from 'yaml';
import { editableSections } from './editor-rights.ts';

type Plain = Readonly<Record<string, unknown>>;

/** Stands where a secret was written in plain text. */
export const hidden = '***';

const userInfo = /^([a-z][a-z0-9+.-]*:\/\/)[^/@\s]+@/i;

/** A value of the configuration without what is secret although it stands there in plain text: logins in URLs, values of headers. */
export function hideSecrets(value: unknown, path: readonly string[] = []): unknown {
  if (typeof value === 'string') return hideText(value, path.at(-2) === 'headers');
  if (Array.isArray(value)) return value.map((one: unknown, index) => hideSecrets(one, [...path, String(index)]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, hideSecrets(one, [...path, key])]));
}

/** Puts values of headers back that a form showed hidden. */
export function restoreHeaders(headers: unknown, was: unknown): unknown {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) return headers;
  const old = (was ?? {}) as Plain;
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      value === hidden && Object.hasOwn(old, name) ? old[name] : (value as unknown),
    ]),
  );
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

/** Whether a value stands in a map `headers`. */
function isHeader(ancestors: readonly unknown[]): boolean {
  const [section] = ancestors.slice(-3) as { key?: Scalar }[];
  return isScalar(section?.key) && section.key.value === 'headers';
}

function hideText(text: string, isInHeaders: boolean): string {
  if (isInHeaders && !/^\$\{\w+\}$/.test(text)) return hidden;
  return text.replace(userInfo, `$1${hidden}@`);
}
