import { draftText, valueDigest } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ApiServer } from '../../api/api-server.ts';
import { editContext } from '../../configuration/edit-context.ts';
import { indexOfRule, ruleFields, rulesOf } from '../../configuration/rule-form.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { select } from '../components.ts';
import { html, type Html } from '../html.ts';
import { sendPage } from '../layout/page.ts';
import { formField } from './form-field.ts';
import { nameField } from './name-field.ts';

const name = z.string().max(64).optional();
const first = ['description', 'enabled', 'targets', 'sources', 'when'];

/** What the builder can compare; a rule that says more is written as an expression. */
const subjects = [
  ['modality', 'Modality'],
  ['study.StudyDescription', 'Study description'],
  ['study.StationName', 'Station name'],
  ['study.InstitutionName', 'Institution'],
  ['study.BodyPartExamined', 'Body part'],
  ['origin.RemoteAET', 'Sent by (AE title)'],
  ['origin.CalledAET', 'Sent to (AE title)'],
  ['source', 'Source'],
  ['age', 'Age in years'],
] as const;
const operators = [
  ['is', 'is'],
  ['is-not', 'is not'],
  ['contains', 'contains'],
  ['like', 'is like (* and ?)'],
  ['at-least', 'is at least'],
  ['below', 'is below'],
] as const;

/** The form of a rule: a builder for what most rules say, the expression, and what it says of the last studies. */
export function addRuleFormPage(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/configuration/rule',
    { config: { access: 'editor' }, schema: { querystring: z.object({ name, copy: name }) } },
    async (request, reply) => {
      const text = await draftText(editContext(context));
      const rules = rulesOf(text);
      const from = request.query.name ?? request.query.copy;
      const index = from === undefined ? -1 : indexOfRule(rules, from);
      const values = rules[index] ?? {};
      const was = request.query.name;
      const title = was ?? (from === undefined ? 'New rule' : `Copy of ${from}`);
      const basic = first.flatMap((option) => ruleFields.filter((field) => field.name === option));
      const others = ruleFields.filter((field) => !first.includes(field.name));
      const fields = (of: typeof ruleFields): Html[] =>
        of.map((field) => formField(field, values[field.name], [field.name]));
      const body = html`<div class="title-row"><h1>${title}</h1></div>
        <form
          class="config"
          autocomplete="off"
          data-entry-form="/api/configuration/rules"
          data-was="${was}"
          data-seen="${was === undefined ? undefined : valueDigest(text, ['rules', was])}"
        >
          ${nameField(was ?? '')}
          <section class="card options">
            ${fields(basic.filter((field) => field.name !== 'when'))} ${builder()}
            ${fields(basic.filter((field) => field.name === 'when'))}
            <div data-tried aria-live="polite"></div>
          </section>
          <details class="card">
            <summary>Advanced</summary>
            <div class="options">${fields(others)}</div>
          </details>
          <p class="field-error" data-error-of=""></p>
          <div class="buttons">
            <button class="primary">Keep as a change</button>
            <a class="button" href="/configuration/rules">Back</a>
          </div>
        </form>`;
      return sendPage(context, request, reply, {
        id: 'configuration',
        title,
        body,
        scripts: ['configure.js', 'rule-builder.js'],
      });
    },
  );
}

function builder(): Html {
  return html`<fieldset data-builder>
    <legend>Conditions</legend>
    ${select('join', 'A study matches when it meets', [
      ['all', 'all conditions'],
      ['any', 'any condition'],
    ])}
    <div data-rows></div>
    <template>
      <div class="split" data-row>
        ${select('subject', 'What', subjects)} ${select('operator', 'How', operators)}
        <label class="field"><span>Value</span><input name="value" maxlength="200" /></label>
        <button type="button" data-drop-row>Drop</button>
      </div>
    </template>
    <div class="buttons"><button type="button" data-add-row>Add a condition</button></div>
    <small data-beyond hidden>The expression says more than these conditions can: edit it below.</small>
  </fieldset>`;
}
