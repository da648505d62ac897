import { createBullBoard } from '@bull-board/api';
import { FastifyAdapter } from '@bull-board/fastify';
import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { isRefused, writeAction } from '../audit/audit-actions.ts';
import { boardPrefix } from '../security/access.ts';
import { isAllowed } from '../security/identity.ts';
import { actingAs } from './acting.ts';
import { boardVerdict } from './board-access.ts';
import { boardPage } from './board-page.ts';
import { DeliveryQueueAdapter } from './delivery-queue-adapter.ts';

/** Adds Bull Board with all queues. @returns a function that applies the queues of a new configuration */
export async function addBoard(server: FastifyInstance, context: ConsoleContext): Promise<() => void> {
  const adapter = new FastifyAdapter();
  const board = createBullBoard({
    queues: boardQueues(context, []),
    // The types come from two patch versions of the same package, and differ in name only.
    serverAdapter: adapter as unknown as Parameters<typeof createBullBoard>[0]['serverAdapter'],
    options: {
      uiConfig: {
        boardTitle: 'Queues',
        hideDocsLink: true,
        hideRedisDetails: true,
        sortQueues: true,
        showWorkers: false,
        pollingInterval: { showSetting: true },
        locale: { lng: 'en-US' },
      },
    },
  });
  adapter.setBasePath(boardPrefix);
  await server.register(async (scope) => {
    scope.addHook('preHandler', (request, _reply, done) => {
      actingAs({ name: request.identity?.name ?? 'unknown' }, done);
    });
    scope.addHook('onSend', async (request, reply) => {
      const verdict = boardVerdict(request.method, (request.routeOptions.url ?? '').slice(boardPrefix.length));
      if (verdict.kind !== 'action' || isRefused(reply.statusCode)) return;
      const { queueName = '', jobId = '' } = (request.params ?? {}) as { queueName?: string; jobId?: string };
      await writeAction(context, request, reply, {
        action: verdict.action,
        subject: jobId || queueName || 'all queues',
        detail: `in Bull Board${queueName && jobId ? `, queue ${queueName}` : ''}`,
      });
    });
    scope.addHook('onSend', async (request, reply, payload) => {
      const isPage = String(reply.getHeader('content-type') ?? '').startsWith('text/html');
      return isPage && typeof payload === 'string' ? boardPage(payload, context, request) : payload;
    });
    scope.addHook('onSend', async (request, reply, payload) => {
      const mayAct = request.identity !== undefined && isAllowed(request.identity.role, 'operator');
      const isList = request.routeOptions.url === `${boardPrefix}/api/queues` && reply.statusCode === 200;
      return !mayAct && isList && typeof payload === 'string' ? readOnly(payload) : payload;
    });
    await scope.register(adapter.registerPlugin(), { prefix: boardPrefix });
  });
  const refresh = (): void => {
    board.replaceQueues(boardQueues(context, []));
    // Not awaited: Redis may be unavailable now.
    void removedTargets(context)
      .then((removed) => board.replaceQueues(boardQueues(context, removed)))
      .catch(() => {});
  };
  refresh();
  return refresh;
}

/** The list of queues for viewers: it has no buttons. */
function readOnly(list: string): string {
  const { queues, ...rest } = JSON.parse(list) as { readonly queues: readonly object[] };
  return JSON.stringify({ ...rest, queues: queues.map((queue) => ({ ...queue, readOnlyMode: true })) });
}

/** Targets that are no longer configured, but once had deliveries: their queues may still contain some. */
async function removedTargets({ operations, config }: ConsoleContext): Promise<string[]> {
  const known = await operations.redis.smembers(operations.keys.targets);
  return known.filter((target) => config().targets[target] === undefined);
}

function boardQueues(context: ConsoleContext, removed: readonly string[]): DeliveryQueueAdapter[] {
  const { queues } = context.operations;
  const targets = [...Object.keys(context.config().targets), ...removed].sort();
  return [
    new DeliveryQueueAdapter(queues.study(), context.operations, undefined),
    ...targets.map((target) => new DeliveryQueueAdapter(queues.target(target), context.operations, target)),
  ];
}
