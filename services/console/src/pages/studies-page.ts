import { deliveryStates } from '@dicom-dispatch/state/records';
import type { ConsoleContext } from '../console-context.ts';
import { studyQuery } from '../api/studies.ts';
import type { ApiServer } from '../api/api-server.ts';
import { listStudies, pageBudgetMs } from '../views/list-studies.ts';
import type { Overview, StudyList, StudySummary } from '../views/schemas.ts';
import { showOverview } from '../views/show-overview.ts';
import {
  dicomDate,
  empty,
  number,
  optional,
  select,
  stateText,
  studyPath,
  table,
  targetChip,
  time,
} from './components.ts';
import { html, type Html } from './html.ts';
import { nothingFound, pager, searchedText } from './pager.ts';
import { sendPage } from './layout/page.ts';
import { emptyAsMissing } from './query.ts';

type Query = ReturnType<typeof studyQuery.parse>;

/** The list of studies: what arrives where, as it happens. */
export function addStudiesPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/studies', { config: { access: 'viewer' } }, async (request, reply) => {
    const query = studyQuery.parse(emptyAsMissing(request.query));
    const [list, overview] = await Promise.all([
      listStudies(context, { ...query, budgetMs: pageBudgetMs }),
      showOverview(context),
    ]);
    const body = html`<div class="title-row"><h1>Studies</h1></div>
      <div id="numbers" data-part>${numbers(overview)}</div>
      ${filter(context, query)} ${list.notSearched.map((why) => html`<p class="note warn">${why}</p>`)}
      <div id="list" data-part>${rows(context, query, list)}</div>
      ${pager('/studies', { ...query, limit: undefined }, list, searchedText(list, html`${number(list.studies.length)} shown of ${number(list.total)} that were routed`))}`;
    return sendPage(context, request, reply, {
      id: 'studies',
      title: 'Studies',
      body,
      live: query.cursor === undefined,
    });
  });
}

function numbers({ counts, openCircuits, pausedTargets, workers, studies }: Overview): Html {
  const fact = (href: string, value: string, name: string, kind = ''): Html =>
    html`<li>
      <a class="${kind}" href="${href}"><span class="value">${value}</span><span class="name">${name}</span></a>
    </li>`;
  return html`<ul class="facts">
    ${fact('/studies', number(studies), 'studies routed')}
    ${fact('/deliveries?state=active', number(counts.active), 'sending now')}
    ${fact('/deliveries?state=waiting', number(counts.waiting), 'waiting')}
    ${fact('/deliveries?state=failed', number(counts.failed), 'failed', counts.failed > 0 ? 'bad' : '')}
    ${fact('/deliveries?state=partial', number(counts.partial), 'partial', counts.partial > 0 ? 'warn' : '')}
    ${openCircuits.length > 0 && fact('/targets', openCircuits.join(', '), 'cannot be reached', 'bad')}
    ${pausedTargets.length > 0 && fact('/targets', pausedTargets.join(', '), 'paused', 'warn')}
    ${workers === 0 && fact('/workers', 'none', 'dispatchers running', 'bad')}
  </ul>`;
}

function filter(context: ConsoleContext, query: Query): Html {
  const config = context.config();
  const named = (names: readonly string[], all: string) => [
    ['', all] as const,
    ...names.map((name) => [name, name] as const),
  ];
  const isSet = Object.entries(query).some(([key, value]) => key !== 'limit' && value !== undefined);
  return html`<form class="filter" action="/studies" role="search">
    <label class="field grow"
      ><span>Search</span
      ><input
        type="search"
        name="search"
        value="${query.search}"
        placeholder="Accession number, patient, description, UID, delivery"
        autocomplete="off"
        maxlength="200"
    /></label>
    ${select('state', 'State', [['', 'any state'], ...deliveryStates.map((state) => [state, stateText(state)] as const)], query.state)}
    ${select('target', 'Target', named(Object.keys(config.targets), 'any target'), query.target)}
    ${select(
      'rule',
      'Rule',
      named(
        config.rules.map(({ name }) => name),
        'any rule',
      ),
      query.rule,
    )}
    ${select('since', 'Routed', periods(query.since), query.since === undefined ? '' : String(query.since))}
    <button class="primary">Search</button>
    ${isSet && html`<a class="button" href="/studies">Clear</a>`}
  </form>`;
}

/** Starts of periods, rounded so that the address of a page stays the same for a while. */
function periods(current: number | undefined): (readonly [string, string])[] {
  const hour = 3_600_000;
  const now = Math.floor(Date.now() / hour) * hour;
  const list: [string, string][] = [
    ['', 'at any time'],
    [String(now), 'in the last hour'],
    [String(now - 24 * hour), 'in the last day'],
    [String(now - 7 * 24 * hour), 'in the last week'],
  ];
  if (current !== undefined && !list.some(([value]) => value === String(current))) {
    list.push([String(current), `since ${new Date(current).toISOString().slice(0, 16).replace('T', ' ')} UTC`]);
  }
  return list;
}

function rows(context: ConsoleContext, query: Query, list: StudyList): Html {
  const { studies } = list;
  if (studies.length === 0) {
    const isFiltered =
      query.search !== undefined ||
      query.state !== undefined ||
      query.target !== undefined ||
      query.rule !== undefined ||
      query.since !== undefined;
    return isFiltered
      ? nothingFound(
          list,
          'No study matches',
          'Neither the records nor the sources have one. Clear the filter to see all.',
        )
      : empty('No study yet', 'As soon as a study is stable in a source and a rule matches it, it appears here.');
  }
  const withSource = Object.keys(context.config().sources).length > 1;
  const columns: Parameters<typeof table>[1] = [
    'Patient',
    'Accession',
    'Study',
    ...(withSource ? ['Source'] : []),
    'Routed',
    optional('Rules'),
    'Targets',
  ];
  return table(
    'Studies',
    columns,
    studies.map((study) => row(study, withSource)),
  );
}

function row(study: StudySummary, withSource: boolean): Html {
  const { label } = study;
  return html`<tr data-key="${study.source} ${study.orthancStudyId}">
    <th scope="row">
      <a href="${studyPath(study)}">${label?.patientName || 'Study'}</a>
      <span class="second">${label?.patientId || shortUid(study.studyInstanceUid)}</span>
    </th>
    <td class="nowrap">${label?.accessionNumber || html`<span class="none">–</span>`}</td>
    <td>
      ${label?.description || html`<span class="none">no description</span>`}
      <span class="second"
        >${[study.modalities.join(', '), dicomDate(label?.studyDate ?? ''), study.instanceCount === undefined ? '' : `${number(study.instanceCount)}\u00A0${study.instanceCount === 1 ? 'instance' : 'instances'}`].filter(Boolean).join(' · ')}</span
      >
      ${study.inSource === 'no' && html`<span class="second">no longer in ${study.source} · <a href="${studyPath(study)}/receipt">receipt</a></span>`}
      ${study.inSource === 'unknown' && html`<span class="second">${study.source} could not be asked · <a href="${studyPath(study)}/receipt">receipt</a></span>`}
    </td>
    ${withSource && html`<td>${study.source}</td>`}
    <td class="nowrap">${study.routed ? time(study.routedAt) : html`<span class="none">never</span>`}</td>
    <td class="opt">${study.rules.length > 0 ? study.rules.join(', ') : html`<span class="none">none</span>`}</td>
    <td class="wide">
      <span class="chips"
        >${study.deliveries.length > 0 ? study.deliveries.map((one) => targetChip(one)) : html`<span class="chip">not routed</span>`}</span
      >
    </td>
  </tr>`;
}

function shortUid(uid: string): string {
  return uid.length > 24 ? `…\u2060${uid.slice(-20)}` : uid;
}
