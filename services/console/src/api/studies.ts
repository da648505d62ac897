import { deliveryStates } from '@dicom-dispatch/state/records';
import { forgetStudies, retryAfterSuccess } from '@dicom-dispatch/operations';
import { OperationError, routeAgain } from '@dicom-dispatch/pipeline';
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

/** Filters of the list of studies, as they stand in an address. */
export const studyQuery = z.object({
  search: z.string().max(200).optional().describe('accession number, patient, UID, description, or id of a delivery'),
  state: z.enum(deliveryStates).optional().describe('with a delivery in this state'),
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
        body: z.object({
          failed: z.boolean().default(false).describe('also when a delivery of it has failed'),
          dryRun: z.boolean().default(false).describe('only say what would come of it'),
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
    '/api/route',
    {
      config: { access: 'operator', action: 'route' },
      schema: {
        tags,
        summary: 'Route a study of a source now: by the rules, or to the targets that are named',
        body: z.object({
          source: z.string(),
          orthancStudyId: z.string().max(100),
          targets: z.array(z.string()).min(1).optional(),
          everything: z.boolean().default(false).describe('send also what a target has confirmed already'),
        }),
        response: answers(
          z.object({
            studyTaskId: z.string(),
            deliveries: z.array(z.object({ deliveryId: z.string(), target: z.string() })),
          }),
        ),
      },
    },
    async (request) => {
      const { source, orthancStudyId, targets } = request.body;
      const orthanc = await context.lookup.client(source);
      const enqueued = await routeAgain(context.operations, request.body, orthanc, actorOf(request));
      request.auditSubject = `${source} ${orthancStudyId}`;
      request.auditDetail = `to ${targets?.join(', ') ?? 'the targets of the rules'}${request.body.everything ? ', everything' : ''}`;
      return {
        studyTaskId: enqueued.studyTaskId,
        deliveries: enqueued.added.map(({ deliveryId, target }) => ({ deliveryId, target })),
      };
    },
  );
}
