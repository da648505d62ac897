/**
 * One condition of a form: field, comparison and text.
 *
 * - `is`, `is-not`: exactly equal. `contains`: anywhere in the text. `like`: with `*` and `?`
 * - `at-least`, `below`: of `age`, in years
 */
export interface SimpleCondition {
  /** `modality`, `age`, `source`, or a name as in expressions: `study.StudyDescription`, `origin.RemoteAET`. */
  readonly subject: string;
  readonly operator: 'is' | 'is-not' | 'contains' | 'like' | 'at-least' | 'below';
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
  form(`${subject}\\.contains\\(${text}\\)`, ([, name = '', value = '']) => ({
    subject: name,
    operator: 'contains',
    value: plain(value),
  })),
  form(`glob\\(${subject}, ${text}\\)`, ([, name = '', value = '']) => ({
    subject: name,
    operator: 'like',
    value: plain(value),
  })),
  form(String.raw`age\(study\) >= (\d{1,3})`, ([, value = '']) => ({ subject: 'age', operator: 'at-least', value })),
  form(String.raw`age\(study\) < (\d{1,3})`, ([, value = '']) => ({ subject: 'age', operator: 'below', value })),
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
  if (name === 'age') return `age(study) ${operator === 'below' ? '<' : '>='} ${Number.parseInt(value, 10) || 0}`;
  switch (operator) {
    case 'is-not':
      return `${name} != ${literal}`;
    case 'contains':
      return `${name}.contains(${literal})`;
    case 'like':
      return `glob(${name}, ${literal})`;
    default:
      return `${name} == ${literal}`;
  }
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
