import { readBuild } from '@dicom-dispatch/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { html, type Html } from '../pages/html.ts';
import { sendHtml } from '../pages/layout/page.ts';
import { setupSteps, type SetupAnswers, type SetupStep } from './setup-answers.ts';

const titles: Readonly<Record<SetupStep | 'start', string>> = {
  source: 'Orthanc',
  target: 'Target',
  rule: 'Rule',
  administrator: 'Administrator',
  start: 'Start',
};

interface StepPage {
  readonly step: SetupStep | 'start';
  readonly answers: SetupAnswers;
  readonly csrf: string;
  readonly body: Html;
  readonly scripts?: readonly string[];
}

/** A step of the first start, with the others above it. */
export function sendStepPage(reply: FastifyReply, { step, answers, csrf, body, scripts }: StepPage): FastifyReply {
  const entry = (one: SetupStep | 'start'): Html => {
    const isDone = one !== 'start' && answers[one] !== undefined;
    const text = html`${isDone ? '✓ ' : ''}${titles[one]}`;
    return html`<li>
      ${isDone && one !== step ? html`<a href="/setup?step=${one}">${text}</a>` : html`<span ${one === step && html` aria-current="step"`}>${text}</span>`}
    </li>`;
  };
  return sendHtml(reply, {
    title: titles[step],
    csrf,
    build: readBuild(),
    header: bar(
      html`<nav aria-label="Steps">
        <ul>
          ${[...setupSteps, 'start' as const].map(entry)}
        </ul>
      </nav>`,
    ),
    body,
    ...(scripts && { scripts }),
  });
}

/** Why the first start rejects a request: a page for browsers, JSON for programs. */
export function sendSetupRefusal(request: FastifyRequest, reply: FastifyReply, message: string): FastifyReply {
  void reply.code(403);
  if (request.method !== 'GET' || !(request.headers.accept ?? '').includes('text/html'))
    return reply.send({ error: 'forbidden', message });
  const body = html`<div class="empty"><p class="title">${message}</p></div>`;
  return sendHtml(reply, { title: 'First start', csrf: undefined, build: readBuild(), header: bar(html``), body });
}

function bar(inner: Html): Html {
  return html`<header class="top">
    <a class="skip" href="#main">Skip to content</a>
    <span class="brand"><span class="mark" aria-hidden="true"></span>dicom-dispatch</span>
    ${inner}
  </header>`;
}
