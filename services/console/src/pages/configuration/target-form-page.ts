import { targetDefaultsOf } from '@dicom-dispatch/core';
import { draftText, valueDigest } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import { configValue } from '@dicom-dispatch/runtime';
import { z } from 'zod';
import type { ApiServer } from '../../api/api-server.ts';
import { editContext, isEditor } from '../../configuration/edit-context.ts';
import { entriesOf } from '../../configuration/entry-form.ts';
import { targetType } from '../../configuration/target-types.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { foreignOrigin } from '../../security/same-origin.ts';
import { select } from '../components.ts';
import { html, type Html } from '../html.ts';
import { sendPage } from '../layout/page.ts';
import { nameField } from './name-field.ts';
import { exampleValues, optionSections } from './option-sections.ts';
import { withoutSecrets } from './without-secrets.ts';
import { typeIcon } from './target-list-page.ts';

type Plain = Readonly<Record<string, unknown>>;

const name = z.string().max(64).optional();
const query = z.object({ name, copy: name, type: z.string().max(300).optional() });
/**
 * The form of a target, generated from the schema of its type, and the question about waiting deliveries of a removed one.
 */
export function addTargetFormPage(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/configuration/target',
    { config: { access: 'editor' }, schema: { querystring: query } },
    async (request, reply) => {
      const edit = editContext(context);
      const text = await draftText(edit);
      const { query: wanted } = request;
      const targets = targetsOf(text);
      const from = wanted.name ?? wanted.copy;
      const present = from === undefined ? undefined : targets[from];
      if (from !== undefined && !present) throw new OperationError('not-found', `There is no target "${from}".`);
      if (!present && wanted.type !== undefined) {
        // An external type is loaded as a program: only on request of pages of this console.
        const foreign = foreignOrigin(request, context.config().console.publicUrl);
        if (foreign !== undefined) throw new OperationError('invalid', `The request was ${foreign}.`);
      }
      const type = await targetType(
        edit,
        String(present?.['type'] ?? wanted.type ?? ''),
        !isEditor(request) || present !== undefined,
      );
      const own = wanted.name === undefined && present ? withoutSecrets(type.fields, present) : present;
      const values = own ?? exampleValues(type);
      const inherited = targetDefaultsOf(configValue(text), type.type);
      const title = wanted.name ?? (present ? `Copy of ${wanted.copy ?? ''}` : `New ${type.about.displayName}`);
      const body = html`<div class="title-row">
          ${typeIcon(type.about.icon)}
          <h1>${title}</h1>
          <span class="sub">${type.about.displayName}: ${type.about.purpose}</span>
        </div>
        <form
          class="config"
          autocomplete="off"
          data-entry-form="/api/configuration/targets"
          data-type="${type.type}"
          data-was="${wanted.name}"
          data-seen="${wanted.name === undefined ? undefined : valueDigest(text, ['targets', wanted.name])}"
        >
          ${nameField(wanted.name ?? '')} ${optionSections(type, values, inherited)}
          ${wanted.name !== undefined && placeQuestion()}
          <p class="field-error" data-error-of=""></p>
          <div class="buttons">
            <button type="button" data-form-test="test-result">Test connection</button>
            <button class="primary">Save to draft</button>
            <a class="button" href="/configuration/targets">Back</a>
          </div>
          <div id="test-result" aria-live="polite"></div>
        </form>`;
      return sendPage(context, request, reply, { id: 'configuration', title, body, scripts: ['configure.js'] });
    },
  );

  server.get(
    '/configuration/target/remove',
    { config: { access: 'editor' }, schema: { querystring: z.object({ name: z.string().max(64) }) } },
    async (request, reply) => {
      const { name: target } = request.query;
      const targets = targetsOf(await draftText(editContext(context)));
      if (!targets[target]) throw new OperationError('not-found', `There is no target "${target}".`);
      const { waiting, active } = await context.operations.records.counts(target);
      const others = Object.keys(context.config().targets).filter(
        (one) => one !== target && targets[one] !== undefined,
      );
      const body = html`<div class="title-row"><h1>Remove ${target}</h1></div>
        <form class="card" data-remove="/api/configuration/targets/${encodeURIComponent(target)}/remove">
          <p>Deliveries that wait for it or are in progress: ${waiting + active}. Its confirmations are kept.</p>
          ${select('waiting', 'Waiting deliveries', [
            ['keep', 'are kept until somebody moves or cancels them'],
            ...(others.length > 0 ? [['move', 'are moved to another target'] as const] : []),
            ['cancel', 'are cancelled'],
          ])}
          ${
            others.length > 0 &&
            select(
              'to',
              'Other target',
              others.map((one) => [one, one] as const),
            )
          }
          <div class="buttons">
            <button class="danger">Remove it in the change</button>
            <a class="button" href="/configuration/targets">Back</a>
          </div>
        </form>`;
      return sendPage(context, request, reply, {
        id: 'configuration',
        title: `Remove ${target}`,
        body,
        scripts: ['configure.js'],
      });
    },
  );
}

function targetsOf(text: string): Readonly<Record<string, Plain>> {
  return entriesOf(text, ['targets']);
}

function placeQuestion(): Html {
  return html`<fieldset class="card" data-place-question>
    <legend>If its address has changed</legend>
    ${select('', 'Confirmations at the previous address', [
      ['', 'are decided later; its deliveries wait until then'],
      ['same', 'stay valid: it is the same archive'],
      ['new', 'do not count: it is another archive'],
    ])}
  </fieldset>`;
}
