import {
  actOnMany,
  cancelDelivery,
  findDelivery,
  holdDelivery,
  maxReasonLength,
  previewMany,
  releaseDelivery,
  reopenDelivery,
  resolveDelivery,
  sendFirst,
  tryNow,
} from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { pageBudgetMs } from '../views/list-studies.ts';
import { listDeliveries, toDeliveries, toDeliveryDetail } from '../views/list-deliveries.ts';
import {
  bulkPreview,
  bulkRequest,
  bulkResult,
  cursor,
  deliveryDetail,
  deliveryDone,
  deliveryList,
  ledgerPage,
  selection,
} from '../views/schemas.ts';
import { showInstances } from '../views/show-instances.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';
import { actorOf } from './actor.ts';
import { whatWasDone } from './what-was-done.ts';

const tags = ['deliveries'];
const byId = z.object({ deliveryId: z.string().max(60) });

const actions = {
  cancel: { run: cancelDelivery, summary: 'Stop a delivery' },
  hold: { run: holdDelivery, summary: 'Keep a waiting delivery from starting' },
  release: { run: releaseDelivery, summary: 'Let a held delivery go' },
  first: { run: sendFirst, summary: 'Put a waiting delivery before all others of its target' },
  reopen: { run: reopenDelivery, summary: 'Make a resolved delivery what it was before' },
} as const;

export function addDeliveryRoutes(server: ApiServer, context: ConsoleContext): void {
  const { operations } = context;

  server.get(
    '/api/deliveries',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Deliveries, the latest change first',
        querystring: selection.extend({
          cursor: cursor.optional().describe('`next` of the page before'),
          limit: z.coerce.number().int().min(1).max(500).default(50),
        }),
        response: answers(deliveryList),
      },
    },
    (request) => listDeliveries(context, { ...request.query, budgetMs: pageBudgetMs }),
  );

  server.get(
    '/api/deliveries/:deliveryId',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'One delivery with its timeline, and why it has not arrived',
        params: byId,
        response: answers(deliveryDetail),
      },
    },
    async (request) => toDeliveryDetail(operations, await findDelivery(operations, request.params.deliveryId)),
  );

  server.get(
    '/api/deliveries/:deliveryId/log',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Log lines of the job of a delivery',
        params: byId,
        response: answers(z.object({ lines: z.array(z.string()) })),
      },
    },
    async (request) => {
      const record = await findDelivery(operations, request.params.deliveryId);
      const { logs } = await operations.queues.target(record.target).getJobLogs(record.deliveryId, 0, 999);
      return { lines: logs };
    },
  );

  server.get(
    '/api/deliveries/:deliveryId/instances',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'What the target has confirmed or refused of the study, instance by instance',
        params: byId,
        querystring: z.object({
          state: z.enum(['delivered', 'quarantined']).optional(),
          limit: z.coerce.number().int().min(1).max(5000).default(500),
        }),
        response: answers(ledgerPage),
      },
    },
    async (request) =>
      showInstances(operations, await findDelivery(operations, request.params.deliveryId), request.query),
  );

  for (const [action, { run, summary }] of Object.entries(actions)) {
    server.post(
      `/api/deliveries/:deliveryId/${action}`,
      {
        config: { access: 'operator', action },
        schema: { tags, summary, params: byId, response: answers(deliveryDone) },
      },
      async (request) => {
        const { deliveryId } = request.params as z.infer<typeof byId>;
        const changed = await run(operations, deliveryId, actorOf(request));
        const detail = await toDeliveryDetail(operations, await findDelivery(operations, deliveryId));
        return { ...detail, ...whatWasDone(action as keyof typeof actions, detail, changed !== false) };
      },
    );
  }

  server.post(
    '/api/deliveries/:deliveryId/retry',
    {
      config: { access: 'operator', action: 'retry' },
      schema: {
        tags,
        summary: 'Let a delivery go again, with all its attempts; probe its target now; report what came of it',
        params: byId,
        body: z
          .object({ anyway: z.boolean().default(false).describe('also outside the schedule of its target and rules') })
          .nullish(),
        response: answers(deliveryDone),
      },
    },
    async (request) => {
      const { deliveryId } = request.params;
      const anyway = request.body?.anyway ?? false;
      const { did, opensAt } = await tryNow(operations, deliveryId, actorOf(request), { anyway });
      if (anyway) request.auditDetail = 'regardless of its schedule';
      const detail = await toDeliveryDetail(operations, await findDelivery(operations, deliveryId));
      return { ...detail, did, ...(opensAt !== undefined && { asks: { text: `${did} Start it anyway?`, opensAt } }) };
    },
  );

  server.post(
    '/api/deliveries/:deliveryId/resolve',
    {
      config: { access: 'operator', action: 'resolve' },
      schema: {
        tags,
        summary: 'Settle a delivery that did not arrive: it counts as failed no longer',
        params: byId,
        body: z.object({
          reason: z.string().min(1).max(maxReasonLength).describe('kept in Redis and the audit log: no patient data'),
        }),
        response: answers(deliveryDone),
      },
    },
    async (request) => {
      const { deliveryId } = request.params;
      await resolveDelivery(operations, deliveryId, actorOf(request), request.body.reason);
      request.auditDetail = request.body.reason;
      const detail = await toDeliveryDetail(operations, await findDelivery(operations, deliveryId));
      return { ...detail, ...whatWasDone('resolve', detail) };
    },
  );

  server.post(
    '/api/bulk/preview',
    {
      // It changes nothing; it is a POST for the filter in its body.
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'What an action on many deliveries would reach',
        body: bulkRequest,
        response: answers(bulkPreview),
      },
    },
    async (request) => {
      const preview = await previewMany(operations, request.body.action, request.body.filter);
      return {
        count: preview.count,
        byTarget: { ...preview.byTarget },
        sample: await toDeliveries(operations, preview.sample),
      };
    },
  );

  server.post(
    '/api/bulk',
    {
      config: { access: 'operator', action: 'bulk' },
      schema: {
        tags,
        summary: 'Do one thing to all deliveries that a filter means',
        body: bulkRequest,
        response: answers(bulkResult),
      },
    },
    async (request) => {
      const { action, filter, reason } = request.body;
      const result = await actOnMany(operations, action, filter, actorOf(request), reason);
      const why = reason === undefined ? '' : `, ${reason}`;
      request.auditDetail = `${action} ${JSON.stringify(filter)}: ${result.done} of ${result.matched}${why}`;
      return result;
    },
  );
}
