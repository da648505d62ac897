import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import type { CacheState } from '../views/schemas.ts';
import { showCache } from '../views/show-cache.ts';
import { bytes, empty, number, right, table } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';

export function addCachePage(server: ApiServer, context: ConsoleContext): void {
  server.get('/cache', { config: { access: 'viewer' } }, async (request, reply) => {
    const cache = await showCache(context);
    const body = html`<div class="title-row">
        <h1>Cache</h1>
        <span class="sub">content of Redis</span>
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
        <h2>Intermediate results</h2>
        ${results(cache.results)}
        <h2>Records</h2>
        ${table(
          'Content',
          ['What', right('Entries'), right('Size'), 'Remark'],
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

function results(state: CacheState['results']): Html {
  if (!state) return empty('Not known', 'Redis does not respond.');
  if (!state.enabled) return empty('The cache is disabled', 'All results are computed each time they are needed.');
  const types = Object.entries(state.types);
  if (types.length === 0) return empty('Nothing is cached yet', 'Results that many deliveries share appear here.');
  return table(
    'Intermediate results by type',
    [
      'Type',
      ...['Entries', 'In Redis', 'In the folder', 'Hits', 'Misses', 'Hit rate', 'Evicted', 'Expired'].map((name) =>
        right(name),
      ),
    ],
    types.map(
      ([type, one]) =>
        html`<tr>
          <th scope="row">${type}</th>
          <td class="num right">${number(one.entries)}</td>
          <td class="num right">${bytes(one.bytes)}</td>
          <td class="num right">${bytes(one.fileBytes)}</td>
          <td class="num right">${number(one.hits)}</td>
          <td class="num right">${number(one.misses)}</td>
          <td class="num right">${Math.round(one.hitRate * 100)} %</td>
          <td class="num right">${number(one.evictions)}</td>
          <td class="num right">${number(one.expired)}</td>
        </tr>`,
    ),
  );
}
