import { draftText, valueDigest } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ApiServer } from '../../api/api-server.ts';
import { editContext } from '../../configuration/edit-context.ts';
import { indexOfRule, ruleFields, rulesOf } from '../../configuration/rule-form.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { html } from '../html.ts';
import { sendPage } from '../layout/page.ts';
import { fieldGroup, formFields } from './form-field.ts';
import { nameField } from './name-field.ts';
import { ruleBuilder } from './rule-builder.ts';

const name = z.string().max(64).optional();
const first = ['description', 'enabled', 'targets', 'sources', 'when'];

/** The form of a rule: a builder for most rules, the expression, and its result for the last studies. */
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
            ${formFields(
              basic.filter((field) => field.name !== 'when'),
              values,
            )}
            ${ruleBuilder({
              path: '/api/configuration/rules/try',
              studies: 'the last # studies',
              hasPages: true,
              complete: '/api/configuration/rules/complete',
            })}
            ${formFields(
              basic.filter((field) => field.name === 'when'),
              values,
            )}
            <div data-tried aria-live="polite"></div>
          </section>
          ${fieldGroup('Advanced', formFields(others, values))}
          <p class="field-error" data-error-of=""></p>
          <div class="buttons">
            <button class="primary">Save to draft</button>
            <a class="button" href="/configuration/rules">Back</a>
          </div>
        </form>`;
      return sendPage(context, request, reply, {
        id: 'configuration',
        title,
        body,
        scripts: ['configure.js', 'rule-builder.js', 'complete-words.js'],
      });
    },
  );
}
