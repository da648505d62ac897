import { needsSignIn } from '@dicom-dispatch/core';
import type { FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../../console-context.ts';
import { isAllowed } from '../../security/identity.ts';
import { html, type Html } from '../html.ts';

const entries = [
  { id: 'health', path: '/', label: 'Health' },
  { id: 'studies', path: '/studies', label: 'Studies' },
  { id: 'deliveries', path: '/deliveries', label: 'Deliveries' },
  { id: 'batches', path: '/batches', label: 'Batches' },
  { id: 'targets', path: '/targets', label: 'Targets' },
  { id: 'sources', path: '/sources', label: 'Sources' },
  { id: 'rules', path: '/rules', label: 'Rules' },
  { id: 'workers', path: '/workers', label: 'Workers' },
  { id: 'cache', path: '/cache', label: 'Cache' },
  { id: 'queues', path: '/queues', label: 'Queues' },
] as const;

export type PageId = (typeof entries)[number]['id'] | 'fetch' | 'configuration' | 'audit' | 'sign-in';

/** The navigation bar above every page, also above Bull Board. */
export function navigation(context: ConsoleContext, request: FastifyRequest, current: PageId): Html {
  const { identity } = request;
  const fetch =
    identity && isAllowed(identity.role, 'operator') ? [{ id: 'fetch', path: '/fetch', label: 'Fetch' }] : [];
  const audit =
    identity && isAllowed(identity.role, 'administrator') ? [{ id: 'audit', path: '/audit', label: 'Audit' }] : [];
  const configuration =
    identity && isAllowed(identity.role, 'editor')
      ? [{ id: 'configuration', path: '/configuration', label: 'Configuration' }]
      : [];
  const mayleave = identity?.by === 'password' || identity?.by === 'oidc';
  return html`<header class="top">
    <a class="skip" href="#main">Skip to content</a>
    <a class="brand" href="/"><span class="mark" aria-hidden="true"></span>dicom-dispatch</a>
    <nav aria-label="Main">
      <ul>
        ${[...entries, ...fetch, ...configuration, ...audit].map(
          ({ id, path, label }) =>
            html`<li><a href="${path}" ${id === current && html` aria-current="page"`}>${label}</a></li>`,
        )}
      </ul>
    </nav>
    <div class="who">
      ${identity && needsSignIn(context.config().console) && html`<span>${identity.name} · ${identity.role}</span>`}
      ${mayleave && html`<button type="button" class="quiet" data-sign-out>Sign out</button>`}
    </div>
  </header>`;
}
