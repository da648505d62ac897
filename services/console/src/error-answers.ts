import { DispatchError } from '@dicom-dispatch/core';
import { OperationError, type OperationErrorCode } from '@dicom-dispatch/pipeline';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { ConfigError, type Logger } from '@dicom-dispatch/runtime';
import { z } from 'zod';
import type { ConsoleContext } from './console-context.ts';
import { html } from './pages/html.ts';
import { sendPage } from './pages/layout/page.ts';

const statusOf: Readonly<Record<OperationErrorCode, number>> = {
  'not-found': 404,
  conflict: 409,
  invalid: 400,
  unavailable: 503,
};

/** Sends errors as JSON with `error` (a code) and `message` (for users), or as a page. Unexpected errors are logged, not shown. */
export function addErrorAnswers(server: FastifyInstance, context: ConsoleContext): void {
  answerErrors(server, context.log, (request, reply, { status, error, message }) => {
    // A browser that opens a page gets a page, everything else JSON.
    const isPage = request.method === 'GET' && (request.headers.accept ?? '').includes('text/html');
    if (!isPage || !request.identity) return sendError(reply, { status, error, message });
    void reply.code(status);
    const body = html`<div class="empty">
      <p class="title">${message}</p>
      <p><a href="/studies">To the studies</a></p>
    </div>`;
    return sendPage(context, request, reply, { id: 'studies', title: 'Not possible', body });
  });
}

export interface ErrorAnswer {
  readonly status: number;
  /** A code, for programs. */
  readonly error: string;
  /** Text for users. */
  readonly message: string;
}

export function sendError(reply: FastifyReply, { status, error, message }: ErrorAnswer): FastifyReply {
  return reply.code(status).type('application/json').serializer(JSON.stringify).send({ error, message });
}

/** Finds the response for an error of a route, and sends it. */
export function answerErrors(
  server: FastifyInstance,
  log: Logger,
  send: (request: FastifyRequest, reply: FastifyReply, answer: ErrorAnswer) => FastifyReply,
): void {
  const answer = (
    request: FastifyRequest,
    reply: FastifyReply,
    status: number,
    error: string,
    message: string,
  ): FastifyReply => send(request, reply, { status, error, message });
  server.setNotFoundHandler((request, reply) => answer(request, reply, 404, 'not-found', 'There is nothing here.'));
  server.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof OperationError) {
      return answer(request, reply, statusOf[error.code], error.code, error.message);
    }
    // The configuration in Redis cannot be used.
    if (error instanceof ConfigError) return answer(request, reply, 503, 'unavailable', error.format());
    if (hasZodFastifySchemaValidationErrors(error)) {
      const message = error.validation.map(
        (issue) => `${issue.instancePath || 'request'}: ${issue.message ?? 'is wrong'}`,
      );
      return answer(request, reply, 400, 'invalid', message.join('; '));
    }
    if (error instanceof DispatchError && error.code !== 'internal') {
      const isGone = error.code === 'source-gone';
      return answer(request, reply, isGone ? 404 : 503, isGone ? 'not-found' : 'unavailable', error.message);
    }
    if (error instanceof z.ZodError) {
      const [issue] = error.issues;
      const field = issue?.path.join('.') || 'query';
      return answer(request, reply, 400, 'invalid', `The address is invalid: ${field}: ${issue?.message ?? ''}`);
    }
    if (error.statusCode !== undefined && error.statusCode < 500) {
      return answer(request, reply, error.statusCode, 'invalid', error.message);
    }
    log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'request failed');
    return answer(request, reply, 500, 'internal', 'The request failed. See the log of the console.');
  });
}
