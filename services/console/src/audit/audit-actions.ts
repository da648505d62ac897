import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What it was done to, where the address does not say. */
    auditSubject: string | undefined;
    /** Further facts for the audit log; no patient data. */
    auditDetail: string | undefined;
  }
}

/** Writes down every request to a route that has an `action`, with what came of it. Refusals are written by the guard. */
export function auditActions(server: FastifyInstance, context: ConsoleContext): void {
  server.decorateRequest('auditSubject', undefined);
  server.decorateRequest('auditDetail', undefined);
  server.addHook('onResponse', async (request, reply) => {
    const { action } = request.routeOptions.config;
    if (action === undefined || reply.statusCode === 401 || reply.statusCode === 403) return;
    await context.audit.write({
      who: request.identity?.name ?? '',
      role: request.identity?.role ?? '',
      action,
      subject: request.auditSubject ?? Object.values((request.params ?? {}) as Record<string, string>).join(' '),
      outcome: reply.statusCode < 400 ? 'done' : 'failed',
      detail: request.auditDetail ?? (reply.statusCode < 400 ? '' : `HTTP ${reply.statusCode}`),
      address: request.ip,
    });
  });
}
