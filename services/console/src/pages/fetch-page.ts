import { DispatchError } from '@dicom-dispatch/core';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { FetchRecord } from '@dicom-dispatch/state/fetches';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { askableTargets, findAtTarget, targetSearch } from '../views/find-at-target.ts';
import { actionButton, dicomDate, empty, number, select, table, time, withQuery } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';
import { emptyAsMissing } from './query.ts';

const query = targetSearch.partial({ target: true });
type Query = ReturnType<typeof query.parse>;

/** Finds studies at a target, and retrieves them into a source or as a download. */
export function addFetchPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/fetch', { config: { access: 'operator' } }, async (request, reply) => {
    const asked = query.parse(emptyAsMissing(request.query));
    const [targets, fetches] = await Promise.all([askableTargets(context), context.fetches.list()]);
    const body = html`<div class="title-row">
        <h1>Fetch</h1>
        <span class="sub"
          >retrieve a study from a target into a source, where the rules apply to it, or as a download</span
        >
      </div>
      ${targets.length === 0 ? empty('No target can be searched', 'Targets of type dicom, dicomweb and orthanc can be searched.') : form(targets, asked)}
      ${await results(context, asked)}
      <div id="list" data-part>${under(fetches)}</div>`;
    // Only the list below changes: the target is not searched again.
    return sendPage(context, request, reply, { id: 'fetch', title: 'Fetch', body, live: true, refreshFrom: '/fetch' });
  });
}

function form(targets: readonly string[], asked: Query): Html {
  const day = (text: string | undefined): string => dicomDate(text ?? '');
  return html`<form class="filter" action="/fetch" role="search">
    ${select(
      'target',
      'Target',
      targets.map((name) => [name, name] as const),
      asked.target,
    )}
    <label class="field"
      ><span>Accession number</span
      ><input type="search" name="accession" maxlength="64" value="${asked.accession}" autocomplete="off"
    /></label>
    <label class="field"
      ><span>Patient ID</span><input name="patient" maxlength="64" value="${asked.patient}" autocomplete="off"
    /></label>
    <label class="field"
      ><span>Study date from</span><input type="date" name="from" value="${day(asked.from)}"
    /></label>
    <label class="field"><span>until</span><input type="date" name="until" value="${day(asked.until)}" /></label>
    <label class="field grow"
      ><span>Study Instance UID</span><input name="study" maxlength="64" value="${asked.study}" autocomplete="off"
    /></label>
    <button class="primary">Find</button>
  </form>`;
}

async function results(context: ConsoleContext, { target, ...asked }: Query): Promise<Html> {
  if (target === undefined || Object.values(asked).every((one) => one === undefined)) return html``;
  try {
    const { studies, more } = await findAtTarget(context, { target, ...asked });
    if (studies.length === 0) return empty('Nothing found', `${target} has no such study.`);
    const { sources: configured, console } = context.config();
    const sources = Object.keys(configured);
    const downloads = console.patientData;
    return html`${table(
      `Studies at ${target}`,
      ['Patient', 'Accession', 'Study', 'Series', 'Instances', ''],
      studies.map(
        ({ studyInstanceUid, label, modalities, seriesCount, instanceCount }) =>
          html`<tr>
            <th scope="row">${label?.patientName || 'Study'}<span class="second">${label?.patientId}</span></th>
            <td class="nowrap">${label?.accessionNumber || html`<span class="none">–</span>`}</td>
            <td>
              ${label?.description || html`<span class="none">no description</span>`}
              <span class="second"
                >${[modalities.join(', '), dicomDate(label?.studyDate ?? '')].filter(Boolean).join(' · ')}</span
              >
              <span class="second uid">${studyInstanceUid}</span>
            </td>
            <td class="num">${number(seriesCount)}</td>
            <td class="num">${instanceCount === undefined ? '–' : number(instanceCount)}</td>
            <td>
              <form
                class="split"
                data-method="POST"
                data-path="/api/fetches"
                data-body="${JSON.stringify({ target, studyInstanceUid })}"
                data-done="The study is being fetched."
              >
                ${select(
                  'source',
                  'Into',
                  sources.map((name) => [name, name] as const),
                )}
                <button aria-label="Fetch study ${studyInstanceUid}">Fetch</button>
                ${downloads && html`<a class="button" href="${withQuery('/api/fetches/download', { target, studyInstanceUid })}" aria-label="Download study ${studyInstanceUid} as ZIP">Download</a>`}
              </form>
            </td>
          </tr>`,
      ),
    )}
    ${more && html`<p class="note">${target} has more than these ${number(studies.length)}: narrow the search.</p>`}`;
  } catch (error) {
    if (!(error instanceof DispatchError) && !(error instanceof OperationError)) throw error;
    return html`<p class="note bad">${error.message}</p>`;
  }
}

const kinds = { running: 'busy', done: 'good', failed: 'bad', cancelled: '', interrupted: 'warn' } as const;

function under(fetches: readonly FetchRecord[]): Html {
  if (fetches.length === 0) return html``;
  return table(
    'Fetched within a day',
    ['Study', 'From', 'Into', 'State', 'Progress', 'Begun', ''],
    fetches.map((one) => {
      const total = one.completed + one.failed + (one.remaining ?? 0);
      return html`<tr>
        <th scope="row" class="uid">${one.studyInstanceUid}<span class="second">by ${one.by}</span></th>
        <td>${one.target}</td>
        <td>${one.source ?? html`<span class="none">a download</span>`}</td>
        <td>
          <span class="chip ${kinds[one.state]}">${one.state}</span
          >${one.problem !== undefined && html`<span class="second">${one.problem}</span>`}
        </td>
        <td class="num">
          ${number(one.completed)} of
          ${one.remaining === undefined ? '?' : number(total)}${one.failed > 0 && html`, ${number(one.failed)} failed`}
        </td>
        <td class="nowrap">${time(one.startedAt)}</td>
        <td>
          <span class="buttons"
            >${one.state === 'running' && actionButton({ label: 'Cancel', method: 'POST', path: `/api/fetches/${one.id}/cancel`, kind: 'danger', about: `the fetch of ${one.studyInstanceUid}` })}</span
          >
        </td>
      </tr>`;
    }),
  );
}
