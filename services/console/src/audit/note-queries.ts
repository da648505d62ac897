import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';

/** Records searches of users and programs, on any route, if an audit record repository is configured for them. */
export function noteQueries(server: FastifyInstance, context: ConsoleContext): void {
  server.addHook('onResponse', async (request, reply) => {
    if (!context.config().console.audit.syslog?.queries || !request.identity || reply.statusCode >= 400) return;
    const text = searchOf(request) ?? exportOf(request);
    if (text !== undefined) await context.queries.note({ who: request.identity.name, address: request.ip, text });
  });
}

/** An export of a list, which contains names of patients also without a search. */
function exportOf(request: FastifyRequest): string | undefined {
  const list = /^export (studies|deliveries)$/.exec(request.routeOptions.config.action ?? '')?.[1];
  return list && `all ${list}, as CSV`;
}

/** All search terms of a request. */
function searchOf(request: FastifyRequest): string | undefined {
  const texts = [request.query, request.body].flatMap((part) => {
    if (typeof part !== 'object' || part === null) return [];
    const { search, accession, patient } = part as Readonly<Record<string, unknown>>;
    return [search, accession, patient].flatMap((text) => (typeof text === 'string' ? text.trim() : []));
  });
  return texts.filter((text) => text !== '').join(', ') || undefined;
}
