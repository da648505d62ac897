import { DispatchError } from '@dicom-dispatch/core';
import { OperationError, type OperationErrorCode } from '@dicom-dispatch/operations';
import type { FastifyError, FastifyInstance } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import type { ConsoleContext } from './console-context.ts';

const statusOf: Readonly<Record<OperationErrorCode, number>> = {
  'not-found': 404,
  conflict: 409,
  invalid: 400,
  unavailable: 503,
};

/** Every error as JSON with `error` (a code) and `message` (for people); what we did not expect is logged, not shown. */
export function addErrorAnswers(server: FastifyInstance, context: ConsoleContext): void {
  server.setNotFoundHandler((_, reply) =>
    reply.code(404).send({ error: 'not-found', message: 'There is nothing here.' }),
  );
  server.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof OperationError) {
      return reply.code(statusOf[error.code]).send({ error: error.code, message: error.message });
    }
    if (hasZodFastifySchemaValidationErrors(error)) {
      const message = error.validation.map(
        (issue) => `${issue.instancePath || 'request'}: ${issue.message ?? 'is wrong'}`,
      );
      return reply.code(400).send({ error: 'invalid', message: message.join('; ') });
    }
    if (error instanceof DispatchError && error.code === 'ledger-unavailable') {
      return reply.code(503).send({ error: 'unavailable', message: 'Redis does not answer now; try again.' });
    }
    if (error.statusCode !== undefined && error.statusCode < 500) {
      return reply.code(error.statusCode).send({ error: 'invalid', message: error.message });
    }
    context.log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'request failed');
    return reply.code(500).send({ error: 'internal', message: 'That did not work; the log of the console says why.' });
  });
}
