import { OperationError } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { runDry } from '../views/dry-run.ts';
import { empty, number, select, studyPath, table, withCode, outcomeChip } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';
import { emptyAsMissing } from './query.ts';

const query = z.object({ search: z.string().max(200).optional(), source: z.string().max(64).optional() });

/** The rules in their order, and what they would do with a study. */
export function addRulesPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/rules', { config: { access: 'viewer' } }, async (request, reply) => {
    const { search, source } = query.parse(emptyAsMissing(request.query));
    const { rules, sources } = context.config();
    const body = html`<div class="title-row">
        <h1>Rules</h1>
        <span class="sub">all that match apply</span>
      </div>
      <section class="card" aria-label="Dry run">
        <h2>Dry run</h2>
        <p class="muted">What would the rules do with a study, and why? Nothing is sent.</p>
        <form class="filter" action="/rules">
          <label class="field grow"
            ><span>Study</span
            ><input
              type="search"
              name="search"
              required
              maxlength="200"
              value="${search}"
              placeholder="Accession number, patient id or Study Instance UID"
              autocomplete="off"
          /></label>
          ${select('source', 'Source', [['', 'any source'], ...Object.keys(sources).map((name) => [name, name] as const)], source)}
          <button class="primary">Try</button>
        </form>
        ${search !== undefined && (await outcome(context, search, source))}
      </section>
      ${
        rules.length === 0
          ? empty('No rules', 'Without a rule no study goes anywhere.')
          : table(
              'Rules',
              ['#', 'Rule', 'When', 'Sources', 'Targets', 'Priority'],
              rules.map(
                (rule, index) =>
                  html`<tr>
                    <td class="num">${index + 1}</td>
                    <th scope="row">
                      ${rule.name}${!rule.enabled && html` <span class="chip warn">⊘ off</span>`}${rule.hold && html` <span class="chip held">‖ holds</span>`}${rule.fallback && html` <span class="chip">fallback</span>`}
                      ${rule.description !== undefined && html`<span class="second">${rule.description}</span>`}
                    </th>
                    <td class="wide">${rule.when === undefined ? 'every study' : html`<code>${rule.when}</code>`}</td>
                    <td>${rule.sources?.join(', ') ?? 'all'}</td>
                    <td>${rule.targets.join(', ')}</td>
                    <td>${rule.priority}</td>
                  </tr>`,
              ),
            )
      }`;
    return sendPage(context, request, reply, { id: 'rules', title: 'Rules', body });
  });
}

async function outcome(context: ConsoleContext, search: string, source: string | undefined): Promise<Html> {
  try {
    const run = await runDry(context, { search, source });
    return html`<p class="note ${run.targets.length > 0 ? 'good' : 'warn'}">
        <a href="${studyPath(run)}">This study</a> (${number(run.instanceCount)} instances, in ${run.source})
        ${run.targets.length > 0 ? html`would go to <b>${run.targets.join(', ')}</b> with priority ${run.priority}.` : 'would go nowhere: no rule matches.'}
        ${run.others > 0 && `The search found ${number(run.others)} more; this is the first.`}
      </p>
      ${table(
        'What each rule says',
        ['Rule', 'Verdict', 'Why', 'Targets'],
        run.verdicts.map(
          (one) =>
            html`<tr>
              <th scope="row">${one.rule}</th>
              <td>${outcomeChip(one.outcome)}</td>
              <td class="wide">${withCode(one.because)}</td>
              <td>${one.targets.join(', ')}</td>
            </tr>`,
        ),
      )}`;
  } catch (error) {
    if (error instanceof OperationError) return html`<p class="note bad">${error.message}</p>`;
    throw error;
  }
}
