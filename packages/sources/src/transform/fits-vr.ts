/** Values of a VR (PS3.5 table 6.2-1): the maximum length in characters, and the form where it is restricted. */
interface VrRules {
  readonly maxCharacters: number;
  readonly form?: RegExp;
  /** Whether a backslash is a character of the value. */
  readonly isSingle?: true;
}

const rulesOf: Readonly<Record<string, VrRules>> = {
  AE: { maxCharacters: 16, form: /^[\x20-\x7e]*$/ },
  AS: { maxCharacters: 4, form: /^\d{3}[DWMY]$/ },
  CS: { maxCharacters: 16, form: /^[A-Z0-9 _]*$/ },
  DA: { maxCharacters: 8, form: /^\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$/ },
  DS: { maxCharacters: 16, form: /^ *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *$/ },
  DT: {
    maxCharacters: 26,
    form: /^\d{4}((0[1-9]|1[0-2])((0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})? ?$/,
  },
  IS: { maxCharacters: 12, form: /^ *[+-]?\d+ *$/ },
  LO: { maxCharacters: 64 },
  LT: { maxCharacters: 10_240, isSingle: true },
  PN: { maxCharacters: 64 },
  SH: { maxCharacters: 16 },
  ST: { maxCharacters: 1024, isSingle: true },
  TM: { maxCharacters: 14, form: /^([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)? ?$/ },
  UI: { maxCharacters: 64, form: /^[0-9]+(\.[0-9]+)*$/ },
};

/** Why a VR cannot have a text as its value or values; undefined if it can, or if its values are not restricted. */
export function whyUnfit(vr: string | undefined, text: string): string | undefined {
  const rules = vr === undefined ? undefined : rulesOf[vr];
  if (!rules) return undefined;
  const { maxCharacters, form, isSingle } = rules;
  for (const value of isSingle ? [text] : text.split('\\')) {
    // Alphabetic, ideographic and phonetic (PS3.5 section 6.2.1).
    const components = vr === 'PN' ? value.split('=') : [value];
    const longest = Math.max(...components.map((one) => Array.from(one).length));
    if (longest > maxCharacters) return `${longest} characters, and ${vr} has at most ${maxCharacters}`;
    if (form && value !== '' && !form.test(value)) return `a value that ${vr} does not allow`;
  }
  return undefined;
}
