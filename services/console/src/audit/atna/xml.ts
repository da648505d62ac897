import { printable } from '@dicom-dispatch/core';

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element with its content: text, or elements created by {@link element}. */
export function element(name: string, attributes: Attributes, ...content: readonly (string | undefined)[]): string {
  const list = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escapeXml(String(value))}"`)
    .join('');
  const inner = content.filter((one) => one !== undefined).join('');
  return inner === '' ? `<${name}${list}/>` : `<${name}${list}>${inner}</${name}>`;
}

/** Maximum length of a value: a message then stays below the 32 kB that every receiver accepts (PS3.15 A.6). */
const maxLength = 500;

/** Text that is valid in XML 1.0: no control characters, on one line, of limited length. */
export function escapeXml(text: string): string {
  return printable(text.slice(0, maxLength))
    .replaceAll(/[\t\r\n\ufffe\uffff]/g, ' ')
    .replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
