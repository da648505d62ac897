import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Build } from '@dicom-dispatch/runtime';
import type { ConsoleContext } from '../../console-context.ts';
import { staticUrl } from '../../static-files.ts';
import { html, type Html } from '../html.ts';
import { footer } from './footer.ts';
import { navigation, type PageId } from './navigation.ts';

export interface PageParts {
  readonly id: PageId;
  readonly title: string;
  readonly body: Html;
  /** Whether the page loads its parts again when a study changes. */
  readonly live?: boolean;
  /** Source of the parts; default: the page itself. For a page that queries others when it is opened. */
  readonly refreshFrom?: string;
  /** Additional scripts of `static/`. */
  readonly scripts?: readonly string[];
}

/** A complete page. */
export function sendPage(
  context: ConsoleContext,
  request: FastifyRequest,
  reply: FastifyReply,
  parts: PageParts,
): FastifyReply {
  const { csrf } = request.identity ?? {};
  return sendHtml(reply, { ...parts, csrf, build: context.build, header: navigation(context, request, parts.id) });
}

export interface BarePage extends Omit<PageParts, 'id'> {
  readonly build: Build;
  /** Token that must be sent with every request that changes something. */
  readonly csrf: string | undefined;
  /** Content above the page, such as the navigation bar. */
  readonly header: Html;
}

/** A complete page with the given header. */
export function sendHtml(reply: FastifyReply, parts: BarePage): FastifyReply {
  const { csrf } = parts;
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <meta name="color-scheme" content="light dark" />
        ${csrf !== undefined && html`<meta name="csrf-token" content="${csrf}" />`}
        <title>${parts.title} · dicom-dispatch</title>
        <link rel="icon" type="image/svg+xml" href="${staticUrl('icon.svg')}" />
        <link rel="stylesheet" href="${staticUrl('console.css')}" />
        <script type="module" src="${staticUrl('console.js')}"></script>
        ${parts.scripts?.map((name) => html`<script type="module" src="${staticUrl(name)}"></script>`)}
      </head>
      <body>
        ${parts.header}
        <main
          id="main"
          tabindex="-1"
          ${parts.live === true && html` data-live`}${parts.refreshFrom !== undefined && html` data-refresh-from="${parts.refreshFrom}"`}
        >
          ${parts.body}
        </main>
        ${footer(parts.build)}
        <div id="notices" role="status" aria-live="polite"></div>
        <dialog id="ask" aria-labelledby="ask-text">
          <form method="dialog">
            <p id="ask-text"></p>
            <label class="field" id="ask-reason" hidden
              ><span>Reason (no patient data)</span><input type="text" maxlength="200" autocomplete="off"
            /></label>
            <div class="buttons">
              <button type="button" class="plain" data-close>Go back</button>
              <button value="yes" class="primary">Confirm</button>
            </div>
          </form>
        </dialog>
      </body>
    </html>`;
  return reply.type('text/html; charset=utf-8').send(page.text);
}
