import type { FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import type { Identity } from './identity.ts';

/** Routes that are independent of targets. */
const neutral: ReadonlySet<string> = new Set(['GET /api/me', 'GET /api/openapi.json']);

/**
 * Why a token that is limited to some targets may not send a request; undefined if it may. It may use neutral routes, routes of
 * one of its targets or of a delivery to one of them, and the list of deliveries with a filter by one of them; nothing else.
 */
export async function outsideOfScope(
  request: FastifyRequest,
  { targets }: Identity,
  { operations }: ConsoleContext,
): Promise<string | undefined> {
  if (!targets || neutral.has(`${request.method} ${request.routeOptions.url ?? ''}`)) return undefined;
  const meant = await targetOf(request, operations);
  if (meant !== undefined && targets.includes(meant)) return undefined;
  return `This token is limited to ${targets.length === 1 ? 'the target' : 'the targets'} ${targets.join(', ')}.`;
}

async function targetOf(
  request: FastifyRequest,
  operations: ConsoleContext['operations'],
): Promise<string | undefined> {
  const params = (request.params ?? {}) as Readonly<Record<string, string>>;
  const route = request.routeOptions.url ?? '';
  if (route.startsWith('/api/targets/:target')) {
    // Moving deliveries names another target too.
    return route.endsWith('/move') ? undefined : params['target'];
  }
  if (route.startsWith('/api/deliveries/:deliveryId')) {
    return (await operations.records.delivery(params['deliveryId'] ?? ''))?.target;
  }
  if (route === '/api/deliveries') return (request.query as { target?: string }).target;
  return undefined;
}
