import { createHmac, randomBytes } from 'node:crypto';
import {
  replaceCredentials,
  replaceMailAddresses,
  replacePersonNames,
  replaceTokens,
  replaceUids,
} from './scrub-patterns.ts';

/** UIDs of the Standard itself (SOP classes, transfer syntaxes) identify nobody. */
const standardRoot = '1.2.840.10008.';
const orthancId = /\b[0-9a-f]{8}(?:-[0-9a-f]{8}){4}\b/g;
/** Keys whose values are always hidden: secrets, and identifying data. */
const hiddenKey =
  /pass(word|phrase)|secret|token|authorization|cookie|credential|privateKey|accessKey|^(patient|otherpatient|referring|performing|operators)|^accessionnumber$|^studydescription$|^\(?0010,? ?[0-9a-f]{4}\)?$/i;

/** A secret encoded as JSON. */
const secretText = '[secret]';
/** Minimum length of a word that is removed: shorter ones would occur in many other words. */
const shortest = 3;

/**
 * Removes confidential data from texts. UIDs and Orthanc ids become pseudonyms that are consistent within one
 * bundle, so that lines about the same study can still be matched, and different in other bundles.
 */
export class Scrubber {
  readonly #key = randomBytes(32);
  readonly #secrets: readonly string[];
  #words: RegExp | undefined;

  constructor(secrets: Iterable<string>) {
    // The longest first: one may be a part of another.
    this.#secrets = [...new Set(secrets)].filter((each) => each.length >= shortest).sort((a, b) => b.length - a.length);
  }

  /** Also removes these words from now on, ignoring case: names and numbers of patients. */
  hide(words: Iterable<string>): void {
    const known = [...new Set(words)].filter((word) => word.length >= shortest).sort((a, b) => b.length - a.length);
    if (known.length === 0) return;
    const any = known.map((word) => word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|');
    this.#words = new RegExp(`(?<![\\p{L}\\p{N}])(?:${any})(?![\\p{L}\\p{N}])`, 'giu');
  }

  text(text: string): string {
    const clean = this.#withoutPatterns(text);
    return this.#words ? clean.replaceAll(this.#words, '[patient]') : clean;
  }

  #withoutPatterns(text: string): string {
    let clean = text;
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, secretText);
    clean = replaceTokens(replaceCredentials(clean, '[hidden]'), '[hidden]');
    clean = replaceUids(clean, (found) => (found.startsWith(standardRoot) ? found : this.#alias('uid', found)));
    clean = clean.replaceAll(orthancId, (found) => this.#alias('orthanc', found));
    return replaceMailAddresses(replacePersonNames(clean, '[name]'), '[address]');
  }

  /** Any JSON value, with every text in it scrubbed and values of confidential keys hidden. */
  value(value: unknown): unknown {
    return this.#walk(JSON.parse(JSON.stringify(value) ?? 'null'));
  }

  #walk(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.#walk(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        this.#withoutPatterns(key),
        // A number or boolean under such a key only shows that something is set.
        hiddenKey.test(key) && typeof item === 'string' && item !== secretText ? '[hidden]' : this.#walk(item),
      ]),
    );
  }

  #alias(kind: string, found: string): string {
    return `[${kind} ${createHmac('sha256', this.#key).update(found).digest('hex').slice(0, 8)}]`;
  }
}
