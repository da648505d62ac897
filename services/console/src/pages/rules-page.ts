import { OperationError } from '@dicom-dispatch/pipeline';
import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { isAllowed } from '../security/identity.ts';
import { runDry } from '../views/dry-run.ts';
import type { DryRun } from '../views/schemas.ts';
import { actionButton, empty, number, outcomeChip, right, select, studyPath, table, withCode } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';
import { profileSection } from './profile-section.ts';
import { emptyAsMissing } from './query.ts';

const query = z.object({ search: z.string().max(200).optional(), source: z.string().max(64).optional() });

/** The rules in their order, and their result for a study. */
export function addRulesPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/rules', { config: { access: 'viewer' } }, async (request, reply) => {
    const { search, source } = query.parse(emptyAsMissing(request.query));
    const { rules, sources } = context.config();
    const body = html`<div class="title-row">
        <h1>Rules</h1>
        <span class="sub">all that match apply</span>
        ${
          request.identity &&
          isAllowed(request.identity.role, 'administrator') &&
          actionButton({ label: 'Reload the configuration', method: 'POST', path: '/api/configuration/reload' })
        }
      </div>
      <section class="card" aria-label="Dry run">
        <h2>Dry run</h2>
        <p class="muted">Dry run: shows what the rules would do with a study, and why. Nothing is sent.</p>
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
          ? empty('No rules', 'Without a rule no study is sent.')
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
      }
      ${profileSection(context.config())}`;
    return sendPage(context, request, reply, { id: 'rules', title: 'Rules', body });
  });
}

async function outcome(context: ConsoleContext, search: string, source: string | undefined): Promise<Html> {
  try {
    const run = await runDry(context, { search, source });
    return html`<p class="note ${run.targets.length > 0 ? 'good' : 'warn'}">
        <a href="${studyPath(run)}">This study</a> (${number(run.instanceCount)} instances, in ${run.source})
        ${run.targets.length > 0 ? html`would go to <b>${run.targets.join(', ')}</b> with priority ${run.priority}.` : nowhere(run)}
        ${run.others > 0 && `The search found ${number(run.others)} more; this is the first.`}
      </p>
      ${
        run.deliveries.length > 0 &&
        table(
          'Deliveries that would be created',
          ['To', 'Members', 'Rules', right('Instances'), 'How'],
          run.deliveries.map((one) => deliveryRow(one)),
        )
      }
      ${table(
        'Result of each rule',
        ['Rule', 'Verdict', 'Why', 'Tags used', 'Targets'],
        run.verdicts.map(
          (one) =>
            html`<tr>
              <th scope="row">${one.rule}</th>
              <td>${outcomeChip(one.outcome)}</td>
              <td class="wide">${withCode(one.because)}</td>
              <td class="wide">${one.parts.flatMap(({ values }) => values).map((each) => valueLine(each))}</td>
              <td>${one.targets.join(', ')}</td>
            </tr>`,
        ),
      )}`;
  } catch (error) {
    if (error instanceof OperationError) return html`<p class="note bad">${error.message}</p>`;
    throw error;
  }
}

function nowhere(run: DryRun): Html {
  if (run.deliveries.length > 0) return html`would go to no target: see below.`;
  if (run.waiting.length === 0) return html`would go to no target: no rule matches.`;
  return html`would wait:
  ${run.waiting.map(({ rule, missing }) => html`<b>${rule}</b> waits for ${withCode(missing.join(', '))}. `)}`;
}

function deliveryRow(one: DryRun['deliveries'][number]): Html {
  const how = [
    `priority ${one.priority}`,
    ...(one.transform === undefined ? [] : [`changed by ${one.transform}`]),
    ...(one.hold ? ['held until released'] : []),
    ...(one.scheduled ? ['within its schedule'] : []),
  ];
  return html`<tr>
    <th scope="row">${one.to}${one.group && html`<span class="second">group, ${one.group.strategy}</span>`}</th>
    <td>
      ${one.group && one.group.members.join(', ')}${one.group?.chosen !== undefined && html`<span class="second">${one.group.chosen} has it</span>`}
    </td>
    <td>${one.rules.join(', ')}</td>
    <td class="num right">${number(one.instances ?? 0)}</td>
    <td class="wide">
      ${one.omitted === undefined ? how.join(', ') : html`<span class="chip warn">⊘ not sent</span> ${one.omitted}`}
      ${one.priors && priorsLines(one.priors)}
    </td>
  </tr>`;
}

function priorsLines({ chosen, note }: NonNullable<DryRun['deliveries'][number]['priors']>): Html {
  const none = chosen.length === 0 ? html`<span class="second">no earlier study goes along</span>` : html``;
  return html`${none}${chosen.map(
    ({ studyInstanceUid, from, why }) =>
      html`<span class="second">with <code>${studyInstanceUid}</code> from ${from} (${withCode(why)})</span>`,
  )}${note !== undefined && html`<span class="second">${note}</span>`}`;
}

function valueLine({ name, value }: DryRun['verdicts'][number]['parts'][number]['values'][number]): Html {
  const text = value === undefined ? 'missing' : Array.isArray(value) ? value.join(', ') : value;
  return html`<span class="second"><code>${name}</code> ${text}</span>`;
}
