/*
 * Texts that must be hidden are found by their form. Each function checks every character a limited number of times, so that
 * text from a malicious peer cannot block it. Runs of characters are found first, and evaluated as a whole.
 */

/** Replaces possible UIDs (PS3.5, section 9.1): numbers with dots, with more parts than an IPv4 address, or longer. */
export function replaceUids(text: string, alias: (uid: string) => string): string {
  return text.replaceAll(/\d[\d.]*/g, (run) =>
    run
      .split(/(\.{2,}|\.$)/)
      .map((part) => (isUidLike(part) ? alias(part) : part))
      .join(''),
  );
}

function isUidLike(part: string): boolean {
  const count = part.split('.').length;
  return /^\d/.test(part) && (count >= 5 || (count >= 3 && part.length >= 16));
}

/** Replaces person names in the notation of DICOM (PS3.5, section 6.2.1): components between carets. */
export function replacePersonNames(text: string, hidden: string): string {
  return text.replaceAll(/[\p{L}\p{N} '.^-]+/gu, (run) => {
    const lastCaret = run.lastIndexOf('^');
    const start = lastCaret < 0 ? -1 : run.search(/\p{L}/u);
    return start < 0 || start > lastCaret ? run : run.slice(0, start) + hidden;
  });
}

export function replaceMailAddresses(text: string, hidden: string): string {
  return text.replaceAll(/[\w.+@-]+/g, (run) => {
    if (!run.includes('@')) return run;
    const [first = '', ...others] = run.split('@');
    let local = first;
    let done = '';
    for (const part of others) {
      const domain = /^[\w-]+(?:\.[\w-]+)+/.exec(part)?.[0];
      if (domain === undefined || local === '') {
        done += `${local}@`;
        local = part;
      } else {
        done += hidden;
        local = part.slice(domain.length);
      }
    }
    return done + local;
  });
}

/** Replaces user and password in a URL: the text between `://` and the last `@` before a slash. */
export function replaceCredentials(text: string, hidden: string): string {
  return text.replaceAll(/(?<=[a-z0-9+.-]:\/\/)[^/\s"']+/gi, (authority) => {
    const at = authority.lastIndexOf('@');
    return at > 0 ? hidden + authority.slice(at) : authority;
  });
}

export function replaceTokens(text: string, hidden: string): string {
  return text.replaceAll(
    /\b(Bearer|Basic)(\s{1,8})[\w.~+/=-]{8,}/gi,
    (_, scheme: string, gap: string) => `${scheme}${gap}${hidden}`,
  );
}
