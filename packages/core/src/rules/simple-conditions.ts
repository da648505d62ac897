export const simpleOperators = [
  'is',
  'is-not',
  'contains',
  'contains-not',
  'like',
  'like-not',
  'at-least',
  'below',
] as const;

/**
 * One condition of a form: field, comparison and text.
 *
 * - `is`, `is-not`: exactly equal. `contains`: anywhere in the text. `like`: with `*` and `?`. `contains-not`, `like-not`: the
 *   opposite
 * - `at-least`, `below`: of `age`, in years, and of `hour`
 */
export interface SimpleCondition {
  /** `modality`, `age`, `hour`, `source`, or a name as in expressions: `study.StudyDescription`, `origin.RemoteAET`. */
  readonly subject: string;
  readonly operator: (typeof simpleOperators)[number];
  /** Of `hour`, 0 to 23, with a time zone if it is not that of this host: `20 Europe/Berlin`. */
  readonly value: string;
}

/** Conditions of which all must be met, or any. */
export interface SimpleConditions {
  readonly join: 'all' | 'any';
  readonly conditions: readonly SimpleCondition[];
}

const subject = String.raw`(source|(?:study|origin)\.[A-Za-z][A-Za-z0-9]*)`;
const text = String.raw`('(?:[^'\\]|\\['"\\])*'|"(?:[^"\\]|\\['"\\])*")`;

/** The written forms; each of them can be parsed again, also with texts in double quotes. */
const forms: readonly {
  readonly pattern: RegExp;
  readonly read: (match: readonly string[]) => SimpleCondition;
}[] = [
  form(`${text} in study\\.ModalitiesInStudy`, ([, value = '']) => ({
    subject: 'modality',
    operator: 'is',
    value: plain(value),
  })),
  form(`!\\(${text} in study\\.ModalitiesInStudy\\)`, ([, value = '']) => ({
    subject: 'modality',
    operator: 'is-not',
    value: plain(value),
  })),
  form(`${subject} == ${text}`, ([, name = '', value = '']) => ({
    subject: name,
    operator: 'is',
    value: plain(value),
  })),
  form(`${subject} != ${text}`, ([, name = '', value = '']) => ({
    subject: name,
    operator: 'is-not',
    value: plain(value),
  })),
  form(`(!?)${subject}\\.contains\\(${text}\\)`, ([, not = '', name = '', value = '']) => ({
    subject: name,
    operator: not === '' ? 'contains' : 'contains-not',
    value: plain(value),
  })),
  form(`(!?)glob\\(${subject}, ${text}\\)`, ([, not = '', name = '', value = '']) => ({
    subject: name,
    operator: not === '' ? 'like' : 'like-not',
    value: plain(value),
  })),
  form(String.raw`age\(study\) >= (\d{1,3})`, ([, value = '']) => ({ subject: 'age', operator: 'at-least', value })),
  form(String.raw`age\(study\) < (\d{1,3})`, ([, value = '']) => ({ subject: 'age', operator: 'below', value })),
  form(String.raw`now\.getHours\(["']([\w/+-]+)["']\) (>=|<) (\d{1,2})`, ([, zone, sign, hour = '']) => ({
    subject: 'hour',
    operator: sign === '<' ? 'below' : 'at-least',
    value: zone === ownZone() ? hour : `${hour} ${zone}`,
  })),
];

function form(
  pattern: string,
  read: (match: readonly string[]) => SimpleCondition,
): { pattern: RegExp; read: (match: readonly string[]) => SimpleCondition } {
  return { pattern: new RegExp(`^\\s*${pattern}\\s*$`), read };
}

/** Writes conditions as an expression of a rule; empty without conditions: every study. */
export function writeConditions({ join, conditions }: SimpleConditions): string {
  return conditions.map((one) => write(one)).join(join === 'all' ? ' && ' : ' || ');
}

function write({ subject: name, operator, value }: SimpleCondition): string {
  const literal = `'${value.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
  if (name === 'modality') {
    const has = `${literal} in study.ModalitiesInStudy`;
    return operator === 'is-not' ? `!(${has})` : has;
  }
  if (name === 'hour') {
    const [hour = '', zone = ownZone()] = value.trim().split(/\s+/);
    return `now.getHours("${zone}") ${operator === 'below' ? '<' : '>='} ${Number.parseInt(hour, 10) || 0}`;
  }
  if (name === 'age') return `age(study) ${operator === 'below' ? '<' : '>='} ${Number.parseInt(value, 10) || 0}`;
  switch (operator) {
    case 'is-not':
      return `${name} != ${literal}`;
    case 'contains':
      return `${name}.contains(${literal})`;
    case 'contains-not':
      return `!${name}.contains(${literal})`;
    case 'like':
      return `glob(${name}, ${literal})`;
    case 'like-not':
      return `!glob(${name}, ${literal})`;
    default:
      return `${name} == ${literal}`;
  }
}

/** The time zone of this host. */
function ownZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** Parses an expression of this form; undefined for another one. */
export function readConditions(expression: string): SimpleConditions | undefined {
  if (expression.trim() === '') return { join: 'all', conditions: [] };
  for (const [join, sign] of [
    ['all', '&&'],
    ['any', '||'],
  ] as const) {
    const conditions = splitOutside(expression, sign).map((part) => readOne(part));
    if (conditions.every((one) => one !== undefined)) return { join, conditions };
  }
  return undefined;
}

function readOne(part: string): SimpleCondition | undefined {
  for (const { pattern, read } of forms) {
    const match = pattern.exec(part);
    if (match) return read(match);
  }
  return undefined;
}

/** Splits at a sign outside of quoted texts. */
function splitOutside(expression: string, sign: string): string[] {
  const parts = [''];
  for (const [piece] of expression.matchAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|&&|\|\||[^]/g)) {
    if (piece === sign) parts.push('');
    else parts[parts.length - 1] += piece;
  }
  return parts;
}

/** The content of a quoted text. */
function plain(quoted: string): string {
  return quoted.slice(1, -1).replaceAll(/\\(['"\\])/g, '$1');
}
