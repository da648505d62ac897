import type { FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { html } from '../pages/html.ts';
import { footer } from '../pages/layout/footer.ts';
import { navigation } from '../pages/layout/navigation.ts';
import { staticUrl } from '../static-files.ts';

/** The page of Bull Board with the navigation bar of the console, without the font that it would load from another host. */
export function boardPage(page: string, context: ConsoleContext, request: FastifyRequest): string {
  const { csrf } = request.identity ?? {};
  const head = html`${csrf !== undefined && html`<meta name="csrf-token" content="${csrf}" />`}
    <link rel="stylesheet" href="${staticUrl('board.css')}" />
    <script type="module" src="${staticUrl('board.js')}"></script>
    <script type="module" src="${staticUrl('console.js')}"></script>`;
  return page
    .replaceAll(/<link[^>]+href="https?:\/\/[^>]*>\s*/g, '')
    .replace('</body>', `${footer(context.build).text}</body>`)
    .replace('</head>', `${head.text}</head>`)
    .replace('<div id="root">', `${navigation(context, request, 'queues').text}<div id="root">`);
}
