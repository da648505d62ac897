import { Environment, EvaluationError } from '@marcbachmann/cel-js';
import { Duration } from '@marcbachmann/cel-js/evaluator';
import { compileGlob } from './glob.ts';
import { linearMatches, matchesPattern } from './patterns.ts';

/**
 * An environment with our expression functions.
 *
 * - `matches(pattern)`: RE2, see `patterns.ts`
 * - `glob(value, pattern)`: `*` and `?`, case-insensitive; for a list, whether one of its values matches
 * - `date(da)`, `date(da, tm)`: a timestamp (UTC) of the DICOM forms DA, DT, and DA with TM (PS3.5 section 6.2)
 * - `time(tm)`: a duration since midnight of the DICOM form TM
 * - `age(as)`: years, of the DICOM form AS, e.g. "045Y"; `age(study)`: of PatientAge, otherwise of PatientBirthDate at
 *   StudyDate
 */
export function newEnvironment(options: ConstructorParameters<typeof Environment>[0] = {}): Environment {
  return new Environment({ unlistedVariablesAreDyn: false, enableOptionalTypes: true, ...options })
    .registerFunction('glob(dyn, string): bool', matchesGlob)
    .registerFunction(`string.${linearMatches}(string): bool`, matchesSafely)
    .registerFunction('date(string): google.protobuf.Timestamp', (text: string) => parseDate(text))
    .registerFunction('date(string, string): google.protobuf.Timestamp', (date: string, time: string) =>
      parseDate(date.slice(0, 8) + time),
    )
    .registerFunction('time(string): google.protobuf.Duration', (text: string) => parseTime(text))
    .registerFunction('age(string): double', (text: string) => parseAge(text))
    .registerFunction('age(map): double', (study: Readonly<Record<string, unknown>>) => ageOf(study));
}

function matchesGlob(value: unknown, pattern: string): boolean {
  const matches = compileGlob(pattern);
  const values = Array.isArray(value) ? value : [value];
  return values.some((one) => typeof one === 'string' && matches(one));
}

function matchesSafely(text: string, pattern: string): boolean {
  try {
    return matchesPattern(text, pattern);
  } catch {
    throw unusable('matches', 'not a valid RE2 regular expression');
  }
}

const yearMs = 365.25 * 86_400_000;
const ageUnits = { D: 1 / 365.25, W: 7 / 365.25, M: 1 / 12, Y: 1 } as const;

/** DA `YYYYMMDD`, DT `YYYYMMDDHHMMSS.FFFFFF&ZZXX`, or Orthanc's `YYYYMMDDTHHMMSS`. */
function parseDate(text: string): Date {
  const match = /^(\d{4})(\d{2})(\d{2})(?:T?(\d{2})(\d{2})?(\d{2})?(?:\.\d{1,6})?)?([+-]\d{4})?$/.exec(text.trim());
  if (!match) throw unusable('date', 'a date is YYYYMMDD');
  const [, year, month, day, hours = '00', minutes = '00', seconds = '00', offset] = match;
  const zone = offset === undefined ? 'Z' : `${offset.slice(0, 3)}:${offset.slice(3)}`;
  const parsed = new Date(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}${zone}`);
  if (Number.isNaN(parsed.getTime())) throw unusable('date', 'this date or time does not exist');
  return parsed;
}

function parseTime(text: string): Duration {
  const match = /^(\d{2})(\d{2})?(\d{2})?(?:\.\d{1,6})?$/.exec(text.trim());
  if (!match) throw unusable('time', 'a time is HHMMSS');
  const [, hours, minutes = '0', seconds = '0'] = match;
  return Duration.fromMilliseconds(((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000);
}

function parseAge(text: string): number {
  const match = /^(\d{1,3})([DWMY])$/.exec(text.trim());
  if (!match) throw unusable('age', 'an age is three digits and D, W, M or Y');
  return Number(match[1]) * ageUnits[match[2] as keyof typeof ageUnits];
}

function ageOf(study: Readonly<Record<string, unknown>>): number {
  const { PatientAge: age, PatientBirthDate: birth, StudyDate: date } = study;
  if (typeof age === 'string' && age.trim() !== '') return parseAge(age);
  if (typeof birth !== 'string' || birth.trim() === '') {
    throw new EvaluationError({ code: 'no_such_key', message: 'No such key: PatientBirthDate' });
  }
  const at = typeof date === 'string' && date.trim() !== '' ? parseDate(date) : new Date();
  return (at.getTime() - parseDate(birth).getTime()) / yearMs;
}

/** Without the value, which may be patient data. */
function unusable(name: string, text: string): EvaluationError {
  return new EvaluationError({ code: 'unusable_value', message: `${name}(): ${text}` });
}
