import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import type { AuditFacts } from './audit-entry.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The object of the action, if the URL does not contain it. */
    auditSubject: string | undefined;
    /** Further facts for the audit log; no patient data. */
    auditDetail: string | undefined;
  }
}

/**
 * Records every request to a route that has an `action`, with its result, before the response: an acknowledged action is in the
 * audit log, or in the log of the console if the former cannot be written. `guardAccess` records rejections.
 */
export function auditActions(server: FastifyInstance, context: ConsoleContext): void {
  server.decorateRequest('auditSubject', undefined);
  server.decorateRequest('auditDetail', undefined);
  server.addHook('onSend', async (request, reply) => {
    const { action } = request.routeOptions.config;
    if (action === undefined || isRefused(reply.statusCode)) return;
    await writeAction(context, request, reply, {
      action,
      subject: request.auditSubject ?? Object.values((request.params ?? {}) as Record<string, string>).join(' '),
      detail: request.auditDetail ?? (reply.statusCode < 400 ? '' : `HTTP ${reply.statusCode}`),
    });
  });
}

export function isRefused(statusCode: number): boolean {
  return statusCode === 401 || statusCode === 403 || statusCode === 429;
}

/** Records an action. If this fails, the completed action is not undone, and the log of the console contains it. */
export async function writeAction(
  context: ConsoleContext,
  request: FastifyRequest,
  reply: FastifyReply,
  what: Pick<AuditFacts, 'action' | 'subject' | 'detail'>,
): Promise<void> {
  const facts: AuditFacts = {
    who: request.identity?.name ?? '',
    role: request.identity?.role ?? '',
    ...what,
    outcome: reply.statusCode < 400 ? 'done' : 'failed',
    address: request.ip,
  };
  try {
    await context.audit.write(facts);
  } catch (error) {
    context.log.error({ err: error, audit: facts }, 'audit log not written');
  }
}
