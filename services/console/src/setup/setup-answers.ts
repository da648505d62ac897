import {
  optionFields,
  passwordProblem,
  ruleConfig,
  sourceConfig,
  type Config,
  type OptionField,
} from '@dicom-dispatch/core';
import { readForm, type FormValues } from '@dicom-dispatch/operations';
import { judgeText, type ConfigurationStore } from '@dicom-dispatch/runtime';
import { stringify } from 'yaml';
import { problemOf, type FieldProblem } from '../configuration/entry-form.ts';
import { targetType } from '../configuration/target-types.ts';
import { hashPassword } from '../security/password.ts';

type Plain = Readonly<Record<string, unknown>>;

/** Steps of the first start, in this order. */
export const setupSteps = ['source', 'target', 'rule', 'administrator'] as const;
export type SetupStep = (typeof setupSteps)[number];

/** An answer: a named part of the configuration, as it will be written. */
export interface SetupAnswer {
  readonly name: string;
  readonly value: Plain;
}
export type SetupAnswers = Partial<Record<SetupStep, SetupAnswer>>;

export interface StepForm {
  readonly name: string;
  /** Type of a target. */
  readonly type?: string | undefined;
  readonly values: FormValues;
}

export interface JudgedStep {
  readonly answer: SetupAnswer;
  readonly problems: readonly FieldProblem[];
  /** The configuration so far, if it is valid. */
  readonly config?: Config | undefined;
}

export interface SetupPlace {
  readonly store: ConfigurationStore;
  /** The listening address of the page and of the later console. */
  readonly listen: string;
}

/** The default address of the console, which is not written to the file. */
export const usualListen = '127.0.0.1:8080';
export const sourceFields: readonly OptionField[] = optionFields(sourceConfig);
/** Options of a rule in this step; its target is that of the previous step. */
export const setupRuleFields: readonly OptionField[] = optionFields(ruleConfig).filter(
  ({ name }) => name === 'description' || name === 'when',
);

const head = `# Written by the first start of dicom-dispatch.
# docs/example.yaml has every option; "./dispatch config check" shows errors; the console can change it, too.
`;

/** The configuration for the answers, as written. */
export function setupText(answers: SetupAnswers, listen: string): string {
  return `${head}${stringify(configOf(answers, listen), { lineWidth: 0 })}`;
}

/** Missing parts are omitted, or replaced with placeholders if a configuration requires them. */
function configOf({ source, target, rule, administrator }: SetupAnswers, listen: string): Plain {
  const named = (one: SetupAnswer): Plain => ({ [one.name]: one.value });
  return {
    sources: source ? named(source) : { source: { url: 'http://127.0.0.1:8042' } },
    targets: target ? named(target) : {},
    // Its target is that of the previous step, with its current name.
    rules: rule ? [{ name: rule.name, ...rule.value, targets: target ? [target.name] : [] }] : [],
    console: {
      ...(listen !== usualListen && { listen }),
      ...(administrator && { users: named(administrator) }),
    },
  };
}

/** Reads the form of a step, and checks it by the code that checks the file. */
export async function judgeStep(
  place: SetupPlace,
  answers: SetupAnswers,
  step: SetupStep,
  form: StepForm,
): Promise<JudgedStep> {
  if (step === 'administrator') return judgeAdministrator(place, answers, form);
  const { fields, fixed } = await stepFields(place, step, form);
  const before = answers[step]?.value ?? {};
  const present = before['type'] === fixed['type'] ? before : {};
  const read = await readForm(fields, form.values, present, (text) => place.store.seal.seal(text));
  const value = { ...fixed, ...read.value };
  const found = read.problems.map(({ path, message }) => ({ field: path.join('.'), message }));
  return judgeAnswer(place, answers, step, { name: form.name, value }, found);
}

/** The fields of a step, and additional data. */
async function stepFields(
  { store }: SetupPlace,
  step: SetupStep,
  { type = '' }: StepForm,
): Promise<{ readonly fields: readonly OptionField[]; readonly fixed: Plain }> {
  if (step !== 'target') return { fields: step === 'source' ? sourceFields : setupRuleFields, fixed: {} };
  return { fields: (await targetType({ store }, type, true)).fields, fixed: { type } };
}

/** A placeholder in the form of a hash: to check a name, no password is needed. */
const anyHash = `scrypt:32768:8:1:${'A'.repeat(22)}:${'A'.repeat(43)}`;

async function judgeAdministrator(place: SetupPlace, answers: SetupAnswers, form: StepForm): Promise<JudgedStep> {
  const { password = '', again = '' } = form.values;
  const found: FieldProblem[] = [];
  const why = passwordProblem(password, form.name);
  if (why !== undefined) found.push({ field: 'password', message: why });
  if (again !== '' && again !== password) found.push({ field: 'again', message: 'is a different password' });
  const value = { password: { sealed: await place.store.seal.seal(anyHash) }, role: 'administrator' };
  return judgeAnswer(place, answers, 'administrator', { name: form.name, value }, found);
}

/** The administrator as it is written: the hash of the password, sealed. */
export async function administratorOf({ store }: SetupPlace, form: StepForm): Promise<SetupAnswer> {
  const sealed = await store.seal.seal(await hashPassword(form.values['password'] ?? ''));
  return { name: form.name, value: { password: { sealed }, role: 'administrator' } };
}

async function judgeAnswer(
  { store, listen }: SetupPlace,
  answers: SetupAnswers,
  step: SetupStep,
  answer: SetupAnswer,
  found: readonly FieldProblem[],
): Promise<JudgedStep> {
  const { config, problems } = await judgeText(store, setupText({ ...answers, [step]: answer }, listen));
  const above = pathOf(step, answer.name);
  const mine = problems.flatMap((problem) => problemOf(problem, above));
  return { answer, problems: [...found, ...mine], config };
}

function pathOf(step: SetupStep, name: string): readonly (string | number)[] {
  return {
    source: ['sources', name],
    target: ['targets', name],
    rule: ['rules', 0],
    administrator: ['console', 'users', name],
  }[step];
}
