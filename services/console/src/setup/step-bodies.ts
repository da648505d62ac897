import type { OptionField } from '@dicom-dispatch/core';
import { hideSecrets } from '@dicom-dispatch/operations';
import { createOrthancClient, OrthancError } from '@dicom-dispatch/orthanc';
import { parse, stringify } from 'yaml';
import { targetType } from '../configuration/target-types.ts';
import { fieldGroup, formFields } from '../pages/configuration/form-field.ts';
import { nameField } from '../pages/configuration/name-field.ts';
import { exampleValues, optionSections } from '../pages/configuration/option-sections.ts';
import { ruleBuilder } from '../pages/configuration/rule-builder.ts';
import { typeIcon, typeList } from '../pages/configuration/target-list-page.ts';
import { html, type Html } from '../pages/html.ts';
import {
  setupRuleFields,
  setupText,
  sourceFields,
  type SetupAnswers,
  type SetupPlace,
  type SetupStep,
} from './setup-answers.ts';

type Plain = Readonly<Record<string, unknown>>;

const usualOrthanc = 'http://127.0.0.1:8042';
const lookMs = 1_500;
/** Options of a source that are always shown; the others are advanced. */
const basicOfSource: ReadonlySet<string> = new Set(['url', 'username', 'password']);

/** Orthanc: its address and credentials. */
export async function sourceBody({ source }: SetupAnswers): Promise<Html> {
  const found = source ? undefined : await lookForOrthanc();
  const values = source?.value ?? { url: usualOrthanc };
  const isBasic = ({ name }: OptionField): boolean => basicOfSource.has(name);
  return html`<h1>Where is Orthanc?</h1>
    <p>Studies that arrive in this Orthanc are sent to the targets. You can add more sources later.</p>
    ${found !== undefined && html`<p class="note good">${found}</p>`}
    ${form(
      'source',
      source?.name ?? 'orthanc',
      html`<section class="card options">${formFields(sourceFields.filter(isBasic), values)}</section>
        ${fieldGroup(
          'Advanced',
          formFields(
            sourceFields.filter((field) => !isBasic(field)),
            values,
          ),
        )}`,
    )}`;
}

/** Text about a server that responds at the default address of Orthanc; undefined if none does. */
async function lookForOrthanc(): Promise<string | undefined> {
  const orthanc = createOrthancClient({ url: usualOrthanc, timeoutMs: lookMs });
  try {
    const { Version: version, Name: title } = await orthanc.system();
    return `Found Orthanc ${version}${title === undefined ? '' : ` (${title})`} at ${usualOrthanc}.`;
  } catch (error) {
    const needsLogin = error instanceof OrthancError && error.code === 'unauthorized';
    return needsLogin ? `Found a server at ${usualOrthanc} that requires a user name and a password.` : undefined;
  } finally {
    await orthanc.close();
  }
}

/** The first target: its type, then its form. @param wanted - the type; empty to choose another one */
export async function targetBody({ store }: SetupPlace, { target }: SetupAnswers, wanted?: string): Promise<Html> {
  const type = wanted ?? target?.value['type'];
  if (typeof type !== 'string' || type === '')
    return html`<h1>Where do studies go?</h1>
      <p>Choose the type of the first target. You can add more targets later.</p>
      ${typeList('/setup')}`;
  const about = await targetType({ store }, type, true);
  const values: Plain = target?.value['type'] === type ? target.value : exampleValues(about);
  return html`<div class="title-row">
      ${typeIcon(about.about.icon)}
      <h1>${about.about.displayName}</h1>
      <span class="sub">${about.about.purpose}</span>
      <a href="/setup?step=target&type=">Another kind</a>
    </div>
    ${form('target', target?.name ?? '', html`${optionSections(about, values)}`, type)}`;
}

/** The first rule, tried on studies that Orthanc has. */
export function ruleBody({ rule, target }: SetupAnswers): Html {
  const values = rule?.value ?? {};
  return html`<h1>Which studies go to ${target?.name}?</h1>
    <p>Without a condition: every study that arrives from now on. You can add more rules later.</p>
    ${form(
      'rule',
      rule?.name ?? 'everything',
      html`<section class="card options">
        ${ruleBuilder({ path: '/setup/rule/try', studies: '# studies in Orthanc', hasPages: false })}
        ${formFields(setupRuleFields, values)}
        <div data-tried aria-live="polite"></div>
      </section>`,
    )}`;
}

export function administratorBody({ administrator }: SetupAnswers): Html {
  const password = (name: string, label: string, help: string): Html =>
    html`<label class="field"
      ><span>${label}</span
      ><input
        type="password"
        name="${name}"
        required
        maxlength="1024"
        autocomplete="new-password"
        aria-describedby="error-${name}" /><small>${help}</small
      ><small class="field-error" id="error-${name}" data-error-of="${name}"></small
    ></label>`;
  return html`<h1>Who administers it?</h1>
    <p>Users sign in to the console. You can add more users later.</p>
    ${form(
      'administrator',
      administrator?.name ?? 'admin',
      html`<section class="card options">
        ${password('password', 'Password', 'At least 15 characters, e.g. four words. Only its hash is stored.')}
        ${password('again', 'Password again', '')}
      </section>`,
    )}`;
}

/** The file to be written, and the button that starts. */
export function startBody({ store, listen }: SetupPlace, answers: SetupAnswers): Html {
  const shown = stringify(hideSealed(parse(setupText(answers, listen))), { lineWidth: 0 });
  return html`<h1>Start</h1>
    <p>This is written to <code>${store.path}</code>. Then the services start, and you sign in.</p>
    <pre class="patch" tabindex="0">${shown}</pre>
    <p class="field-error" id="start-error" role="alert"></p>
    <div class="buttons"><button type="button" class="primary" data-start>Write the file and start</button></div>`;
}

function hideSealed(value: unknown): unknown {
  const text = JSON.stringify(hideSecrets(value), (key, inner: unknown) => (key === 'sealed' ? '(encrypted)' : inner));
  return JSON.parse(text) as unknown;
}

function form(step: SetupStep, name: string, fields: Html, type?: string): Html {
  const isTested = step === 'source' || step === 'target';
  return html`<form
    class="config"
    autocomplete="off"
    data-entry-form="/setup/${step}"
    data-next="/setup"
    ${type !== undefined && html` data-type="${type}"`}
  >
    ${nameField(name)} ${fields}
    <p class="field-error" data-error-of=""></p>
    <div class="buttons">
      ${isTested && html`<button type="button" data-form-test="test-result">Test connection</button>`}
      <button class="primary">${isTested ? 'Test and continue' : 'Continue'}</button>
    </div>
    <div id="test-result" aria-live="polite"></div>
  </form>`;
}
