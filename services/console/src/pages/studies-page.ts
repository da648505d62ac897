import { selectableStates } from '@dicom-dispatch/state/records';
import type { ConsoleContext } from '../console-context.ts';
import { studyQuery } from '../api/studies.ts';
import type { ApiServer } from '../api/api-server.ts';
import { listStudies, pageBudgetMs } from '../views/list-studies.ts';
import type { Overview, StudyList, StudySummary } from '../views/schemas.ts';
import { showOverview } from '../views/show-system.ts';
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
  withQuery,
} from './components.ts';
import { html, type Html } from './html.ts';
import { moreFilters, nothingFound, pager, searchedText } from './pager.ts';
import { sendPage } from './layout/page.ts';
import { dayFields, daysInLinks, emptyAsMissing, readDays, type DayRange } from './query.ts';

type Query = ReturnType<typeof studyQuery.parse>;

/** The list of studies with the states of their deliveries, updated live. */
export function addStudiesPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/studies', { config: { access: 'viewer' } }, async (request, reply) => {
    const asked = emptyAsMissing(request.query);
    const { days, times } = readDays(asked);
    const query = studyQuery.parse({ ...asked, ...times });
    const linked = { ...query, limit: undefined, ...daysInLinks(days) };
    const [list, overview] = await Promise.all([
      listStudies(context, { ...query, budgetMs: pageBudgetMs }),
      showOverview(context),
    ]);
    const body = html`<div class="title-row"><h1>Studies</h1></div>
      <div id="numbers" data-part>${numbers(overview)}</div>
      ${filter(context, query, days)} ${list.notSearched.map((why) => html`<p class="note warn">${why}</p>`)}
      <div id="list" data-part>${rows(context, query, list)}</div>
      ${pager('/studies', linked, list, searchedText(list, html`${number(list.studies.length)} shown of ${number(list.total)} that were routed`), withQuery('/api/studies.csv', { ...query, cursor: undefined, limit: undefined }))}`;
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

function filter(context: ConsoleContext, query: Query, days: DayRange): Html {
  const config = context.config();
  const named = (names: readonly string[], all: string) => [
    ['', all] as const,
    ...names.map((name) => [name, name] as const),
  ];
  const isSet = isFiltered(query);
  return html`<form class="filter" action="/studies" role="search">
    <label class="field grow"
      ><span>Search</span
      ><input
        type="search"
        name="search"
        value="${query.search}"
        placeholder="Accession number, patient, description, UID, Orthanc id"
        autocomplete="off"
        maxlength="200"
    /></label>
    ${select('state', 'State', [['', 'any state'], ...selectableStates.map((state) => [state, stateText(state)] as const)], query.state)}
    ${select('target', 'Target', named(Object.keys(config.targets), 'any target'), query.target)}
    <button class="primary">Search</button>
    ${isSet && html`<a class="button" href="/studies">Clear</a>`}
    ${moreFilters(
      query.rule !== undefined || query.since !== undefined || query.until !== undefined,
      html`${select(
        'rule',
        'Rule',
        named(
          config.rules.map(({ name }) => name),
          'any rule',
        ),
        query.rule,
      )}
      ${dayFields('Routed', days)}`,
    )}
  </form>`;
}

function isFiltered(query: Query): boolean {
  return Object.values({ ...query, limit: undefined, cursor: undefined }).some((value) => value !== undefined);
}

function rows(context: ConsoleContext, query: Query, list: StudyList): Html {
  const { studies } = list;
  if (studies.length === 0) {
    return isFiltered(query)
      ? nothingFound(
          list,
          'No study matches',
          'Neither the records nor the sources have a matching study. Clear the filter to see all.',
        )
      : empty('No study yet', 'As soon as a study is stable in a source and a rule matches it, it appears here.');
  }
  const withSource = Object.keys(context.config().sources).length > 1;
  const columns: Parameters<typeof table>[1] = [
    'Patient',
    'State at targets',
    'Accession',
    'Study',
    ...(withSource ? ['Source'] : []),
    'Routed',
    optional('Rules'),
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
    <td class="states">
      <span class="chips"
        >${study.deliveries.length > 0 ? study.deliveries.map((one) => targetChip(one)) : html`<span class="chip">not routed</span>`}</span
      >
      ${study.deliveries.flatMap(({ target, why }) => (why === undefined ? [] : html`<span class="second">${target}: ${why}</span>`))}
    </td>
    <td class="nowrap">${label?.accessionNumber || html`<span class="none">–</span>`}</td>
    <td>
      ${label?.description || html`<span class="none">no description</span>`}
      <span class="second"
        >${[study.modalities.join(', '), dicomDate(label?.studyDate ?? ''), study.instanceCount === undefined ? '' : `${number(study.instanceCount)}\u00A0${study.instanceCount === 1 ? 'instance' : 'instances'}`].filter(Boolean).join(' · ')}</span
      >
      ${study.inSource === 'no' && html`<span class="second">no longer in ${study.source} · <a href="${studyPath(study)}/receipt">receipt</a></span>`}
      ${study.inSource === 'unknown' && html`<span class="second">${study.source} could not be queried · <a href="${studyPath(study)}/receipt">receipt</a></span>`}
    </td>
    ${withSource && html`<td>${study.source}</td>`}
    <td class="nowrap">${study.routed ? time(study.routedAt) : html`<span class="none">never</span>`}</td>
    <td class="opt">${study.rules.length > 0 ? study.rules.join(', ') : html`<span class="none">none</span>`}</td>
  </tr>`;
}

function shortUid(uid: string): string {
  return uid.length > 24 ? `…\u2060${uid.slice(-20)}` : uid;
}
