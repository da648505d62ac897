/**
 * Characters that must not be in the names of file systems, shares or object stores: control, format (among them those that change
 * the reading direction), surrogate and line-separator characters, and noncharacters.
 */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}]/gu;
/** Path separators, and characters that Windows shares reject in names. */
const forbidden = /[/\\:*?"<>|]/g;
/** UIDs, numbers and words, which need no cleaning. */
const plain = /^[0-9A-Za-z._-]*$/;
/** Names that Windows shares reserve for devices, with any suffix after the first dot. */
const reserved = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\.|$)/i;

/**
 * The value of a tag as a part of a name: letters of all scripts are kept (NFC), separators become `_`, invisible characters and
 * runs of spaces become one space. Values with several parts (PS3.5 section 6.4) become `A_B`.
 */
export function cleanValue(value: string): string {
  if (plain.test(value)) return value;
  return (
    value
      .normalize('NFC')
      .replaceAll(invisible, ' ')
      .replaceAll(forbidden, '_')
      .replaceAll(/\s+/gu, ' ')
      .trim()
      // PN pads missing components with ^ (PS3.5 section 6.2.1).
      .replace(/\^+$/, '')
      .trim()
  );
}

/** Makes cleaned text valid as a name: replaces characters that names must not begin or end with, and prefixes reserved names. */
export function cleanSegment(segment: string): string {
  // Leading: hidden files and `..`, options of commands, home folders. Trailing: dropped by Windows shares.
  const ends = segment.replace(/^[.\-~ ]+/, leading).replace(/[. ]+$/, trailing);
  return reserved.test(ends) ? `_${ends}` : ends;
}

function leading(text: string): string {
  return '_'.repeat(Math.min(text.length, 3));
}

function trailing(text: string): string {
  return text.trim() === '' ? '' : '_';
}
