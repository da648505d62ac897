import { tryStudiesNow } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { runDry } from '../views/dry-run.ts';
import {
  auditEntry,
  cacheState,
  dryRun,
  finding,
  overview,
  refusedEvent,
  rule,
  source,
  worker,
} from '../views/schemas.ts';
import { showCache } from '../views/show-cache.ts';
import { showOverview, listSources, showWorkers } from '../views/show-system.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

const tags = ['system'];

export function addSystemRoutes(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/api/overview',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'The whole system in a few numbers', response: answers(overview) },
    },
    () => showOverview(context),
  );

  server.get(
    '/api/me',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Who is signed in',
        response: answers(z.object({ name: z.string(), role: z.string(), by: z.string() })),
      },
    },
    (request) => {
      const { name = '', role = '', by = '' } = request.identity ?? {};
      return { name, role, by };
    },
  );

  server.get(
    '/api/sources',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'All sources as they are now',
        response: answers(z.object({ sources: z.array(source) })),
      },
    },
    async () => ({ sources: await listSources(context) }),
  );

  server.post(
    '/api/sources/:source/try',
    {
      config: { access: 'operator', action: 'try studies' },
      schema: {
        tags,
        summary: 'Try studies now that could not be read: all of the source, or one',
        params: z.object({ source: z.string().max(64) }),
        body: z.object({ orthancStudyId: z.string().max(64).optional() }).default({}),
        response: answers(z.object({ tried: z.number().int(), did: z.string() })),
      },
    },
    async (request) => {
      const { source: name } = request.params;
      const tried = await tryStudiesNow(context.operations, name, request.body.orthancStudyId);
      request.auditDetail = request.body.orthancStudyId ?? `all: ${tried}`;
      return {
        tried,
        did: `${tried} ${tried === 1 ? 'study' : 'studies'} of ${name} ${tried === 1 ? 'is' : 'are'} tried now.`,
      };
    },
  );

  server.get(
    '/api/health',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Findings that need action, worst first; empty when all is well',
        response: answers(z.object({ findings: z.array(finding) })),
      },
    },
    async () => ({ findings: (await context.health()).map((one) => ({ ...one })) }),
  );

  server.get(
    '/api/rules',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'The rules in their order', response: answers(z.object({ rules: z.array(rule) })) },
    },
    () => ({ rules: context.config().rules }),
  );

  server.post(
    '/api/rules/dry-run',
    {
      // It changes nothing; it is a POST for the search in its body.
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'What the rules would do with a study, and why',
        body: z.object({
          search: z.string().min(1).max(200).describe('accession number, UID, patient id …'),
          source: z.string().optional(),
        }),
        response: answers(dryRun),
      },
    },
    (request) => runDry(context, request.body),
  );

  server.get(
    '/api/workers',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Living dispatchers and what they do',
        response: answers(z.object({ workers: z.array(worker) })),
      },
    },
    async () => ({ workers: await showWorkers(context) }),
  );

  server.get(
    '/api/cache',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'What is kept in Redis, and how much the cache helps', response: answers(cacheState) },
    },
    () => showCache(context),
  );

  server.get(
    '/api/audit',
    {
      config: { access: 'administrator', action: 'read audit log' },
      schema: {
        tags,
        summary: 'Who did what, the newest first',
        querystring: z.object({
          before: z
            .string()
            .regex(/^\d{1,16}-\d{1,10}$/)
            .optional()
            .describe('id of the last entry of the page before'),
          limit: z.coerce.number().int().min(1).max(1000).default(100),
        }),
        response: answers(z.object({ entries: z.array(auditEntry) })),
      },
    },
    async (request) => {
      const { before, limit } = request.query;
      return { entries: await context.audit.read({ limit, ...(before !== undefined && { before }) }) };
    },
  );

  server.get(
    '/api/audit/refused',
    {
      config: { access: 'administrator' },
      schema: {
        tags,
        summary: 'What was refused, and sign-ins that failed, the newest first; counted, at most once a minute each',
        querystring: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100) }),
        response: answers(z.object({ entries: z.array(refusedEvent) })),
      },
    },
    async (request) => ({ entries: await context.refused.read(request.query.limit) }),
  );
}
