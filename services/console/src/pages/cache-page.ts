import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { showCache } from '../views/show-cache.ts';
import { bytes, number, table } from './components.ts';
import { html } from './html.ts';
import { sendPage } from './layout/page.ts';

export function addCachePage(server: ApiServer, context: ConsoleContext): void {
  server.get('/cache', { config: { access: 'viewer' } }, async (request, reply) => {
    const cache = await showCache(context);
    const body = html`<div class="title-row">
        <h1>Cache</h1>
        <span class="sub">what is kept in Redis</span>
      </div>
      <div id="cache" data-part>
        <ul class="facts">
          <li>
            <span class="fact"
              ><span class="value">${bytes(cache.usedBytes)}</span><span class="name">memory used by Redis</span></span
            >
          </li>
          <li>
            <span class="fact"
              ><span class="value">${cache.maxBytes === 0 ? 'no limit' : bytes(cache.maxBytes)}</span
              ><span class="name">limit of Redis</span></span
            >
          </li>
        </ul>
        ${table(
          'What is kept',
          ['What', 'Entries', 'Size', 'Remark'],
          cache.groups.map(
            (group) =>
              html`<tr>
                <th scope="row">${group.name}</th>
                <td class="num right">${number(group.entries)}</td>
                <td class="num right">
                  ${group.bytes === undefined ? html`<span class="none">–</span>` : bytes(group.bytes)}
                </td>
                <td>${group.detail}</td>
              </tr>`,
          ),
        )}
      </div>`;
    return sendPage(context, request, reply, { id: 'cache', title: 'Cache', body, live: true });
  });
}
