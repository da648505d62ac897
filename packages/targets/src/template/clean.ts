/**
 * Characters that must not be in the names of file systems, shares or object stores: control, format (among them those that
 * change the
 * reading direction), surrogate and line-separator characters.
 */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}]/gu;
/** Path separators, and characters that Windows shares reject in names. */
const forbidden = /[/\\:*?"<>|]/g;
/** UIDs, numbers, words: no check of each character is needed. */
const plain = /^[0-9A-Za-z._-]*$/;
/** Names that Windows shares reserve for devices, with any suffix after the first dot. */
const reserved = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\.|$)/i;

/**
 * The value of a tag as a part of a name: letters of all scripts are kept (NFC), separators become `_`, invisible characters
 * are
 * removed. Values with several parts (PS3.5 section 6.4) become `A_B`.
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

/** Whether a cleaned name segment is valid: at its ends, and as a whole. */
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
