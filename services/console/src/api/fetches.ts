import { fetchStates, type FetchRecord } from '@dicom-dispatch/state/fetches';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { time } from '../views/delivery-schemas.ts';
import { findAtTarget, foundAtTarget, targetSearch } from '../views/find-at-target.ts';
import { actorOf } from './actor.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

const tags = ['fetches'];

const fetched = z.object({
  id: z.string(),
  target: z.string(),
  studyInstanceUid: z.string(),
  source: z.string(),
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
      // It changes nothing here; what is asked of a target is the work of an operator.
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
          studyInstanceUid: z.string().regex(/^[0-9.]{1,64}$/, 'a UID has digits and dots, 64 at most'),
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

  server.post(
    '/api/fetches/:fetch/cancel',
    {
      config: { access: 'operator', action: 'cancel fetch' },
      schema: {
        tags,
        summary: 'End a fetch; what has arrived stays',
        params: z.object({ fetch: z.string().max(40) }),
        response: answers(fetched),
      },
    },
    async (request) => context.fetches.cancel(request.params.fetch),
  );
}
