// Control characters except tab and line ends; marks that change the text direction; Unicode line separators.
const obeyed =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]/g;

/**
 * A text that a terminal or a page shows literally: control characters (escape sequences) and marks that change the
 * text direction become `\uXXXX`. In JSON this is the same text.
 */
export function printable(text: string): string {
  return text.replaceAll(obeyed, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
