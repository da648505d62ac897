import { fetchStates, type FetchRecord } from '@dicom-dispatch/state/fetches';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { foreignOrigin } from '../security/same-origin.ts';
import { time } from '../views/delivery-schemas.ts';
import { findAtTarget, foundAtTarget, targetSearch } from '../views/find-at-target.ts';
import { actorOf } from './actor.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

const tags = ['fetches'];

const uid = z.string().regex(/^[0-9.]{1,64}$/, 'a UID has digits and dots, 64 at most');

const fetched = z.object({
  id: z.string(),
  target: z.string(),
  studyInstanceUid: z.string(),
  source: z.string().optional().describe('without one it is downloaded'),
  by: z.string(),
  state: z.enum(fetchStates).describe('interrupted: the console that ran the fetch has stopped; start the fetch again'),
  completed: z.number().int(),
  failed: z.number().int(),
  remaining: z.number().int().optional(),
  startedAt: time,
  problem: z.string().optional(),
});

export function addFetchRoutes(server: ApiServer, context: ConsoleContext): void {
  server.post(
    '/api/fetches/find',
    {
      // It changes nothing here, but querying a target requires the role operator.
      config: { access: 'operator', action: 'search target' },
      schema: { tags, summary: 'What a target has', body: targetSearch, response: answers(foundAtTarget) },
    },
    (request) => {
      request.auditSubject = request.body.target;
      return findAtTarget(context, request.body);
    },
  );

  server.get(
    '/api/fetches',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Studies that are fetched, and were within a day, the newest first',
        response: answers(z.object({ fetches: z.array(fetched) })),
      },
    },
    async (): Promise<{ fetches: FetchRecord[] }> => ({ fetches: await context.fetches.list() }),
  );

  server.post(
    '/api/fetches',
    {
      config: { access: 'operator', action: 'fetch' },
      schema: {
        tags,
        summary: 'Get a study from a target into the Orthanc of a source, where the rules see it',
        body: z.object({
          target: z.string().max(64),
          studyInstanceUid: uid,
          source: z.string().max(64),
        }),
        response: answers(fetched),
      },
    },
    async (request) => {
      const { target, studyInstanceUid, source } = request.body;
      request.auditSubject = studyInstanceUid;
      request.auditDetail = `from ${target} into ${source}`;
      return context.fetches.start(request.body, actorOf(request));
    },
  );

  server.get(
    '/api/fetches/download',
    {
      config: { access: 'operator', action: 'download study' },
      schema: {
        tags,
        summary: 'A study of a target as a ZIP file, streamed; at most four studies are fetched at a time',
        querystring: z.object({ target: z.string().max(64), studyInstanceUid: uid }),
      },
    },
    async (request, reply) => {
      const { target, studyInstanceUid } = request.query;
      // A GET, so that browsers store the response as it arrives; requests of other sites are rejected.
      const foreign = foreignOrigin(request, context.config().console.publicUrl);
      if (foreign !== undefined) throw new OperationError('invalid', `The request was ${foreign}.`);
      if (!context.config().console.patientData) {
        throw new OperationError('invalid', 'studies are not downloaded while console.patientData is false');
      }
      request.auditSubject = studyInstanceUid;
      request.auditDetail = `from ${target}`;
      const { id, file, ended } = await context.fetches.download(request.query, actorOf(request));
      request.auditDetail = `from ${target}, ${id}`;
      void ended.then(({ state, completed }) => noteEnd(context, request, { id, state, completed })).catch(() => {});
      return reply
        .type('application/zip')
        .header('content-disposition', `attachment; filename="${studyInstanceUid}.zip"`)
        .send(file);
    },
  );

  server.post(
    '/api/fetches/:fetch/cancel',
    {
      config: { access: 'operator', action: 'cancel fetch' },
      schema: {
        tags,
        summary: 'End a fetch; what has arrived stays',
        params: z.object({ fetch: z.string().max(40) }),
        response: answers(fetched.extend({ did: z.string() })),
      },
    },
    async (request) => {
      const record = await context.fetches.cancel(request.params.fetch);
      const { state, completed } = record;
      const did =
        state === 'running'
          ? `The fetch is being cancelled: ${completed} instances have arrived, and stay.`
          : `The fetch is ${state}: ${completed} instances have arrived.`;
      return { ...record, did };
    },
  );
}

/** Records in the audit log how much of a study was downloaded. */
async function noteEnd(
  context: ConsoleContext,
  request: FastifyRequest,
  { id, state, completed }: Pick<FetchRecord, 'id' | 'state' | 'completed'>,
): Promise<void> {
  await context.audit.write({
    who: request.identity?.name ?? '',
    role: request.identity?.role ?? '',
    action: 'download study: end',
    subject: request.auditSubject ?? '',
    detail: `${id}: ${state}, ${completed} instances`,
    outcome: state === 'done' ? 'done' : 'failed',
    address: request.ip,
  });
}
