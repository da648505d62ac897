import { changedWords, editableSections } from '@dicom-dispatch/operations';
import type { FastifyRequest } from 'fastify';
import type { DraftView } from '../../api/configuration-schemas.ts';
import type { ApiServer } from '../../api/api-server.ts';
import { editContext, isEditor, whyNoEditing } from '../../configuration/edit-context.ts';
import { aboutKind, entryKinds, singleKinds, type FormKind } from '../../configuration/entry-kinds.ts';
import { showDraft } from '../../configuration/show-draft.ts';
import { warningsNow, type PresentWarning } from '../../configuration/warnings-now.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { isAllowed } from '../../security/identity.ts';
import { actionButton, empty, table, time, withQuery } from '../components.ts';
import { html, type Html } from '../html.ts';
import { sendPage } from '../layout/page.ts';

/** The change that is being prepared, and the versions before it. */
export function addDraftPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/configuration', { config: { access: 'editor' } }, async (request, reply) => {
    const edit = editContext(context);
    const [draft, versions, { text, digest }, warnings] = await Promise.all([
      showDraft(edit, request),
      edit.store.versions.list(50),
      edit.store.current.read(),
      warningsNow(context, isEditor(request)),
    ]);
    const isAdministrator = request.identity !== undefined && isAllowed(request.identity.role, 'administrator');
    const whyNot = whyNoEditing(context);
    const body = html`<div class="title-row">
        <h1>Configuration</h1>
        <span class="sub">${edit.store.current.title}</span>
      </div>
      ${sections(request)} ${whyNot !== undefined && html`<p class="note">${whyNot}</p>`}
      ${draft ? change(draft, { editing: whyNot === undefined, changed: changedWords(edit) }) : empty('No change', 'Edit a target, for example, to start a change.')}
      ${presentWarnings(warnings)}
      ${isAdministrator && !isEditor(request) && yamlEditor(draft ?? { text, seen: digest })}
      <h2>Versions</h2>
      ${
        versions.length === 0
          ? empty('No version', 'The first version is stored when the services start.')
          : table(
              'Versions',
              ['Version', 'In use from', 'Author', 'Reason'],
              versions.map(
                ({ number, at, author, reason }) =>
                  html`<tr>
                    <th scope="row"><a href="/configuration/versions/${number}">${number}</a></th>
                    <td class="nowrap">${time(at, 'at')}</td>
                    <td>${author}</td>
                    <td class="wide">${reason}</td>
                  </tr>`,
              ),
            )
      }`;
    return sendPage(context, request, reply, {
      id: 'configuration',
      title: 'Configuration',
      body,
      scripts: ['configure.js'],
    });
  });
}

/** Links to the lists and forms of everything that the user may change. */
function sections(request: FastifyRequest): Html {
  const mayChange = (kind: FormKind): boolean =>
    !isEditor(request) || editableSections.has(aboutKind(kind).path[0] ?? '');
  const links = [
    ['/configuration/targets', 'Targets'],
    ...(mayChange('targetDefaults') ? [['/configuration/target-defaults', 'Target defaults'] as const] : []),
    ['/configuration/rules', 'Rules'],
    ...entryKinds
      .filter(mayChange)
      .map((kind) => [withQuery('/configuration/entries', { kind }), aboutKind(kind).title] as const),
    ...singleKinds
      .filter(mayChange)
      .map((kind) => [withQuery('/configuration/entry', { kind }), aboutKind(kind).title] as const),
  ] as const;
  return html`<nav class="buttons" aria-label="Sections">
    ${links.map(([path, label]) => html`<a class="button" href="${path}">${label}</a>`)}
  </nav>`;
}

/** Warnings of `config check` about the configuration that is in use. */
function presentWarnings(warnings: readonly PresentWarning[]): Html {
  if (warnings.length === 0) return html``;
  return html`<section class="note warn" aria-label="Warnings">
    <p><b>Warnings for the configuration in use:</b></p>
    <ul>
      ${warnings.map(({ path, message }) => html`<li><code>${path}</code> ${message}</li>`)}
    </ul>
  </section>`;
}

function change(draft: DraftView, { editing, changed }: { readonly editing: boolean; readonly changed: string }): Html {
  const isGood = draft.problems.length === 0 && !draft.isStale;
  return html`<section class="card" aria-label="Change">
    <h2>Draft (not in use yet)</h2>
    <ul>
      ${draft.changes.map(({ at, who, what }) => html`<li>${what} <span class="muted">${who}, ${time(at)}</span></li>`)}
    </ul>
    ${
      draft.isStale &&
      html`<p class="note bad">
        Since this change was started, ${changed}, in the same lines. Discard this change and make it again.
      </p>`
    }
    ${
      draft.problems.length > 0 &&
      html`<div class="note bad">
        <p><b>It cannot be applied yet:</b></p>
        <ul>
          ${draft.problems.map(({ line, path, message }) => html`<li>${line > 0 && html`line ${line}: <code>${path}</code> `}${message}</li>`)}
        </ul>
      </div>`
    }
    ${
      draft.warnings.length > 0 &&
      html`<div class="note warn">
        <ul>
          ${draft.warnings.map((warning) => html`<li>${warning}</li>`)}
        </ul>
      </div>`
    }
    <h3>What it changes</h3>
    <ul>
      ${draft.differences.map(({ words }) => html`<li>${words}</li>`)}
    </ul>
    <details open>
      <summary>As YAML</summary>
      <pre class="patch" tabindex="0">${draft.patch}</pre>
      <button type="button" data-copy="${draft.patch}">Copy as a patch</button>
    </details>
    ${
      isGood &&
      html`<div class="buttons">
          <button type="button" data-preview="preview">What would the rules have done?</button>
        </div>
        <div id="preview" aria-live="polite"></div>`
    }
    <div class="split">
      ${
        isGood &&
        editing &&
        html`<form
          class="filter"
          data-apply="/api/configuration/draft/apply"
          data-body="${JSON.stringify({ seen: draft.seen })}"
        >
          <label class="field grow"
            ><span>Reason, for the history</span><input name="reason" maxlength="200" autocomplete="off"
          /></label>
          <button class="primary">Apply to all services</button>
        </form>`
      }
      ${actionButton({ label: 'Discard', method: 'POST', path: '/api/configuration/draft/discard', body: { seen: draft.seen }, kind: 'danger', confirm: 'Discard this change?' })}
    </div>
  </section>`;
}

function yamlEditor({ text, seen }: Pick<DraftView, 'text' | 'seen'>): Html {
  return html`<details class="card">
    <summary>Edit as YAML</summary>
    <form data-yaml="/api/configuration/draft" data-seen="${seen}">
      <label class="field grow"
        ><span>Configuration</span><textarea name="text" rows="30" spellcheck="false" class="code">${text}</textarea>
      </label>
      <div class="buttons"><button>Save to draft</button></div>
    </form>
  </details>`;
}
