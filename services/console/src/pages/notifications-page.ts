import { formatDuration } from '@dicom-dispatch/core';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { listReceivers, type ListedReceiver } from '../notify/list-receivers.ts';
import { isAllowed } from '../security/identity.ts';
import { actionButton, empty, table } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';

/** Receivers of notifications, with a test message for each. */
export function addNotificationsPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/notifications', { config: { access: 'viewer' } }, async (request, reply) => {
    const receivers = listReceivers(context.config().console.notifications);
    const mayTest = isAllowed(request.identity?.role ?? 'viewer', 'operator');
    const body = html`<div class="title-row">
        <h1>Notifications</h1>
        <span class="sub">webhooks and e-mails of console.notifications</span>
      </div>
      ${
        receivers.length === 0
          ? empty('No receivers', 'Add webhooks or e-mail addresses to console.notifications in the configuration.')
          : table(
              'Receivers',
              ['Receiver', 'To', 'Events', 'Targets', 'Digest', ...(mayTest ? [''] : [])],
              receivers.map((one) => row(one, mayTest)),
            )
      }`;
    return sendPage(context, request, reply, { id: 'health', title: 'Notifications', body });
  });
}

function row({ name, to, on, targets, digestMs, patientData }: ListedReceiver, mayTest: boolean): Html {
  return html`<tr>
    <th scope="row">${name}</th>
    <td>${to}${patientData && html`<span class="second">with patient data</span>`}</td>
    <td class="wide">${on.join(', ')}</td>
    <td>${targets?.join(', ') ?? 'all'}</td>
    <td class="nowrap">${digestMs === 0 ? 'none' : formatDuration(digestMs)}</td>
    ${
      mayTest &&
      html`<td>
        ${actionButton({
          label: 'Send a test',
          method: 'POST',
          path: `/api/notifications/${encodeURIComponent(name)}/test`,
          about: `to ${name}`,
        })}
      </td>`
    }
  </tr>`;
}
