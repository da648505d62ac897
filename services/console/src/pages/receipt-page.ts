import { formatBytes } from '@dicom-dispatch/core';
import type { ReceiptLine, StudyReceipt, TargetReceipt } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { showReceipt } from '../views/show-instances.ts';
import { empty, number, right, studyPath, table, time, withQuery } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';

/** Maximum number of lines of one target on the page; the files have all lines. */
const maxLines = 500;

/** The instances of a study that targets have confirmed, as evidence of the delivery. */
export function addReceiptPage(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/studies/:source/:study/receipt',
    {
      config: { access: 'viewer' },
      schema: {
        params: z.object({ source: z.string(), study: z.string().max(64) }),
        querystring: z.object({ target: z.string().max(64).optional() }),
      },
    },
    async (request, reply) => {
      const { target } = request.query;
      const receipt = await showReceipt(context, request.params, target);
      const body = html`<div class="title-row">
          <h1>Receipt</h1>
          <span class="sub">${receipt.studyInstanceUid}</span>
        </div>
        ${head(receipt, target)} ${receipt.targets.map((one) => ofTarget(one))}`;
      return sendPage(context, request, reply, { id: 'studies', title: 'Receipt', body });
    },
  );
}

function head(receipt: StudyReceipt, target: string | undefined): Html {
  const path = `/api/studies/${encodeURIComponent(receipt.source)}/${encodeURIComponent(receipt.orthancStudyId)}/receipt`;
  const query = target === undefined ? {} : { target };
  return html`<dl class="pairs">
      <dt>Study</dt>
      <dd><a href="${studyPath(receipt)}">${receipt.orthancStudyId}</a> in ${receipt.source}</dd>
      <dt>Made</dt>
      <dd>${time(receipt.at, 'at')}</dd>
    </dl>
    <p>
      <a href="${withQuery(`${path}.csv`, query)}">CSV</a> ·
      <a href="${withQuery(path, query)}">JSON</a>
    </p>`;
}

function ofTarget(one: TargetReceipt): Html {
  const shape = one.transform === undefined ? '' : ` (${one.transform})`;
  const shown = one.lines.slice(0, maxLines);
  return html`<section aria-label="Receipt of ${one.target}">
    <h2>${one.target}${shape}</h2>
    <p>
      ${number(one.delivered)} ${one.delivered === 1 ? 'instance' : 'instances'}
      delivered${one.quarantined > 0 && html`, ${number(one.quarantined)} quarantined`}${
        one.withoutDetails > 0 && html`; the details of ${number(one.withoutDetails)} are no longer stored`
      }.
    </p>
    ${one.deliveries.map(({ notice }) => notice !== undefined && html`<p class="note warn">${notice}</p>`)}
    ${
      shown.length === 0
        ? empty('Nothing confirmed', 'The target has not confirmed an instance of this study.')
        : table(
            `Instances at ${one.target}`,
            ['Instance', 'State', right('Size'), 'SHA-256', 'Confirmed', right('Attempt'), 'Answer', 'Where'],
            shown.map((line) => row(line)),
          )
    }
    ${one.lines.length > shown.length && html`<p class="muted">${number(one.lines.length - shown.length)} more are in the files.</p>`}
  </section>`;
}

function row(line: ReceiptLine): Html {
  return html`<tr>
    <th scope="row" class="uid">
      ${line.sopInstanceUid}${line.seriesInstanceUid !== undefined && html`<span class="second">${line.seriesInstanceUid}</span>`}
    </th>
    <td>${line.state.replace('-', ' ')}</td>
    <td class="num right nowrap">${line.sizeBytes === undefined ? '–' : formatBytes(line.sizeBytes)}</td>
    <td class="uid">${line.sha256 ?? '–'}</td>
    <td class="nowrap">${time(line.at, 'at')}</td>
    <td class="num right">${line.attempt}</td>
    <td class="wide">${line.answer || '–'}</td>
    <td class="wide">${line.place || '–'}</td>
  </tr>`;
}
