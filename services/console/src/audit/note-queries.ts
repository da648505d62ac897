import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';

/** Notes what people and programs search for, on whatever route, where an audit record repository wants to know. */
export function noteQueries(server: FastifyInstance, context: ConsoleContext): void {
  server.addHook('onResponse', async (request, reply) => {
    if (!context.config().console.audit.syslog?.queries || !request.identity || reply.statusCode >= 400) return;
    const text = searchOf(request);
    if (text !== undefined) await context.queries.note({ who: request.identity.name, address: request.ip, text });
  });
}

function searchOf(request: FastifyRequest): string | undefined {
  for (const part of [request.query, request.body]) {
    if (typeof part !== 'object' || part === null) continue;
    const { search, accession, patient } = part as Readonly<Record<string, unknown>>;
    for (const text of [search, accession, patient]) {
      if (typeof text === 'string' && text.trim() !== '') return text.trim();
    }
  }
  return undefined;
}
