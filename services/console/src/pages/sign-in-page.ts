import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { html } from './html.ts';
import { sendPage } from './layout/page.ts';
import { withQuery } from './components.ts';

export function sendSignInPage(
  context: ConsoleContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { to, message }: { readonly to: string; readonly message?: string },
): FastifyReply {
  const { users, oidc } = context.config().console;
  const body = html`<div class="sign-in card">
    <h1>Sign in</h1>
    ${message !== undefined && html`<p class="note bad" role="alert">${message}</p>`}
    ${
      users !== undefined &&
      html`<form method="post" action="/sign-in">
        <input type="hidden" name="to" value="${to}" />
        <label class="field"
          ><span>Name</span><input name="name" autocomplete="username" required autofocus maxlength="64"
        /></label>
        <label class="field"
          ><span>Password</span
          ><input type="password" name="password" autocomplete="current-password" required maxlength="1024"
        /></label>
        <button class="primary">Sign in</button>
      </form>`
    }
    ${oidc && html`<p><a class="button" href="${withQuery('/sign-in/oidc', { to })}">${oidc.label}</a></p>`}
    ${users === undefined && !oidc && html`<p>Only programs with a token may use this console.</p>`}
  </div>`;
  return sendPage(context, request, reply, { id: 'sign-in', title: 'Sign in', body });
}
