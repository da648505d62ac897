import { isMap, isNode, isScalar, parseDocument, visit, type Scalar } from 'yaml';
import { isOpenHeader } from '@dicom-dispatch/core';
import { editableSections } from './editor-rights.ts';

/** Placeholder for a secret in plain text. */
export const hidden = '***';

const userInfo = /^([a-z][a-z0-9+.-]*:\/\/)[^/@\s]+@/i;

/** A value of the configuration without secrets in plain text: logins in URLs, values of headers, addresses of webhooks. */
export function hideSecrets(value: unknown, path: readonly string[] = []): unknown {
  if (typeof value === 'string' && path.at(-1) === 'url' && path.at(-3) === 'webhooks' && !isReference(value))
    return hideAddress(value);
  if (typeof value === 'string') return hideText(value, path.at(-2) === 'headers' && !isOpenHeader(path.at(-1) ?? ''));
  if (Array.isArray(value)) return value.map((one: unknown, index) => hideSecrets(one, [...path, String(index)]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, hideSecrets(one, [...path, key])]));
}

/** The host of an address that is itself a secret; `otherwise` if it is not a URL. */
export function hideAddress(text: string, otherwise = hidden): string {
  return URL.canParse(text) ? `${new URL(text).origin}/${hidden}` : otherwise;
}

/** The part of the text of a configuration that an editor may read: the sections that they may change, without plain secrets. */
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

/** Whether a value is a header that may be a secret. */
function isHeader(ancestors: readonly unknown[]): boolean {
  const [section, , header] = ancestors.slice(-3) as { key?: Scalar }[];
  const isIn = isScalar(section?.key) && section.key.value === 'headers';
  return isIn && !(isScalar(header?.key) && isOpenHeader(String(header.key.value)));
}

function hideText(text: string, isInHeaders: boolean): string {
  if (isInHeaders && !isReference(text)) return hidden;
  return text.replace(userInfo, `$1${hidden}@`);
}

function isReference(text: string): boolean {
  return /^\$\{\w+\}$/.test(text);
}
