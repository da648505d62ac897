import { selectableStates } from '@dicom-dispatch/state/records';
import { forgetStudies, retryAfterSuccess, sendFirst } from '@dicom-dispatch/operations';
import { OperationError, previewRoute, routeAgain, type Actor, type Enqueued } from '@dicom-dispatch/pipeline';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { listStudies, pageBudgetMs } from '../views/list-studies.ts';
import { cursor, studyDetail, studyList } from '../views/schemas.ts';
import { findRecord, showStudy } from '../views/show-study.ts';
import { answers } from './answers.ts';
import { actorOf } from './actor.ts';
import type { ApiServer } from './api-server.ts';

const tags = ['studies'];
const byId = z.object({
  source: z.string().max(64),
  study: z
    .string()
    .max(64)
    .describe("Orthanc's id of the study, or its Study Instance UID where only one study has it"),
});

/** Filters of the list of studies, as query parameters. */
export const studyQuery = z.object({
  search: z
    .string()
    .max(200)
    .optional()
    .describe("accession number, patient, UID, description, Orthanc's id, or id of a delivery"),
  state: z.enum(selectableStates).optional().describe('with a delivery in this state'),
  target: z.string().max(64).optional(),
  rule: z.string().max(64).optional(),
  source: z.string().max(64).optional(),
  since: z.coerce.number().int().optional().describe('routed at or after, ms since 1970'),
  until: z.coerce.number().int().optional().describe('routed before, ms since 1970'),
  cursor: cursor.optional().describe('`next` of the page before'),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});

export function addStudyRoutes(server: ApiServer, context: ConsoleContext): void {
  const { operations } = context;

  server.get(
    '/api/studies',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Studies with the latest delivery to each target; a search asks the sources',
        querystring: studyQuery,
        response: answers(studyList),
      },
    },
    (request) => listStudies(context, { ...request.query, budgetMs: pageBudgetMs }),
  );

  server.get(
    '/api/studies/:source/:study',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'One study with all its deliveries', params: byId, response: answers(studyDetail) },
    },
    (request) => showStudy(context, request.params.source, request.params.study),
  );

  server.get(
    '/api/studies/:source/:study/thumbnail',
    { config: { access: 'viewer' }, schema: { tags, summary: 'A small image of the study', params: byId } },
    async (request, reply) => {
      const { source, study: id } = request.params;
      const study = await findRecord(context, source, id);
      const image = study && (await context.lookup.thumbnail(study.source, study.orthancStudyId));
      if (!image) return reply.code(404).send({ error: 'not-found', message: 'There is no image of this study.' });
      return reply.type(image.type).header('cache-control', 'private, max-age=600').send(image.bytes);
    },
  );

  server.post(
    '/api/studies/:source/:study/after-success',
    {
      config: { access: 'operator', action: 'retry after success' },
      schema: {
        tags,
        summary: 'Try now what the rules want done in the source after success, and what did not succeed yet',
        params: byId,
        response: answers(z.object({ did: z.string() })),
      },
    },
    async (request) => {
      const { source, study: id } = request.params;
      const study = await findRecord(context, source, id);
      if (!study) throw new OperationError('not-found', `there is no record of a study ${id} from ${source}`);
      await retryAfterSuccess(operations, study);
      return { did: `What is to be done in ${source} is tried now.` };
    },
  );

  server.post(
    '/api/studies/:source/:study/forget',
    {
      config: { access: 'administrator', action: 'forget' },
      schema: {
        tags,
        summary: 'Forget a study that has left its source, with what targets have confirmed of it',
        params: byId,
        body: z.strictObject({
          failed: z.boolean().default(false).describe('also when a delivery of it has failed'),
          dryRun: z.boolean().default(false).describe('dry run: only report what would be done'),
        }),
        response: answers(
          z.object({
            forgotten: z.boolean(),
            deliveries: z.number().int(),
            why: z.string().optional().describe('why it is kept: in-source, open, failed, waiting, needed, busy'),
          }),
        ),
      },
    },
    async (request) => {
      const { source, study } = request.params;
      const { failed, dryRun } = request.body;
      const wish = { source, studies: [study], failed };
      const client = (name: string): ReturnType<typeof context.lookup.client> => context.lookup.client(name);
      const { forgotten, deliveries, kept } = await forgetStudies(context.operations, wish, client, dryRun);
      const [why] = Object.keys(kept);
      request.auditDetail = `${dryRun ? 'dry run, ' : ''}${why === undefined ? `${deliveries} deliveries` : `kept: ${why}`}`;
      return { forgotten: forgotten > 0, deliveries, ...(why !== undefined && { why }) };
    },
  );

  server.post(
    '/api/studies/:source/:study/first',
    {
      config: { access: 'operator', action: 'first' },
      schema: {
        tags,
        summary: 'Put all waiting deliveries of a study before all others of their targets',
        params: byId,
        response: answers(
          z.object({
            first: z.number().int().describe('deliveries that were moved to the front'),
            did: z.string().describe('action and result'),
          }),
        ),
      },
    },
    async (request) => {
      const { source, study: id } = request.params;
      const study = await findRecord(context, source, id);
      if (!study)
        throw new OperationError('not-found', `there is no study ${id} from ${source}, or it was never routed`);
      const deliveries = await context.operations.records.deliveriesOf(study);
      const waiting = deliveries.filter(({ state }) => state === 'waiting');
      const first = await sendAllFirst(context, waiting, actorOf(request));
      const did =
        first === 0
          ? 'No delivery of the study waits any more: nothing has changed.'
          : `${first} ${first === 1 ? 'delivery is' : 'deliveries are'} before all others of ${first === 1 ? 'its target' : 'their targets'} now.`;
      return { first, did };
    },
  );

  server.post(
    '/api/route/preview',
    {
      // It changes nothing; it is a POST for the study in its body.
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'What targets have confirmed already of what a routing would send',
        body: z.object({
          source: z.string(),
          orthancStudyId: z.string().max(100),
          targets: z.array(z.string()).min(1).optional(),
        }),
        response: answers(
          z.object({
            targets: z.array(
              z.object({
                target: z.string(),
                total: z.number().int().describe('total number of instances that would be sent'),
                confirmed: z.number().int().describe('instances that are already confirmed'),
              }),
            ),
          }),
        ),
      },
    },
    async (request) => {
      const orthanc = await context.lookup.client(request.body.source);
      return { targets: await previewRoute(context.operations, request.body, orthanc) };
    },
  );

  server.post(
    '/api/route',
    {
      config: { access: 'operator', action: 'route' },
      schema: {
        tags,
        summary: 'Route a study of a source now: by the rules, or to the targets that are named',
        body: z.strictObject({
          source: z.string(),
          orthancStudyId: z.string().max(100),
          targets: z.array(z.string()).min(1).optional(),
          everything: z.boolean().default(false).describe('also resend instances that are already confirmed'),
          first: z.boolean().default(false).describe('before all other deliveries of its targets'),
        }),
        response: answers(
          z.object({
            studyTaskId: z.string(),
            deliveries: z.array(z.object({ deliveryId: z.string(), target: z.string() })),
            did: z.string().describe('action and result'),
          }),
        ),
      },
    },
    async (request) => {
      const { source, orthancStudyId, targets } = request.body;
      const orthanc = await context.lookup.client(source);
      const actor = actorOf(request);
      const enqueued = await routeAgain(context.operations, request.body, orthanc, actor);
      if (request.body.first) await sendAllFirst(context, enqueued.added, actor);
      request.auditSubject = `${source} ${orthancStudyId}`;
      request.auditDetail = `to ${targets?.join(', ') ?? 'the targets of the rules'}${request.body.everything ? ', everything' : ''}${request.body.first ? ', first' : ''}`;
      return {
        studyTaskId: enqueued.studyTaskId,
        deliveries: enqueued.added.map(({ deliveryId, target }) => ({ deliveryId, target })),
        did: routedTo(enqueued),
      };
    },
  );
}

/** Result of routing as text: the targets of the study, and omitted ones with the reason. */
function routedTo({ added, deliveries, omitted }: Enqueued): string {
  const names = (of: readonly { readonly target: string }[]): string => of.map(({ target }) => target).join(', ');
  const sent =
    added.length > 0
      ? `The study is routed to ${names(added)}.`
      : deliveries.length > 0
        ? `Nothing is sent: the study is on its way to ${names(deliveries)} already.`
        : 'Nothing is sent.';
  return [sent, ...omitted.map(({ target, why }) => `Not sent to ${target}: ${why}.`)].join(' ');
}

/** @returns the number of deliveries that are first now; started ones need no position in the queue */
async function sendAllFirst(
  { operations }: ConsoleContext,
  deliveries: readonly { readonly deliveryId: string }[],
  actor: Actor,
): Promise<number> {
  let count = 0;
  for (const { deliveryId } of deliveries) {
    try {
      await sendFirst(operations, deliveryId, actor);
      count += 1;
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
    }
  }
  return count;
}
