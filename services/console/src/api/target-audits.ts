import { readTargetAudit, sendMissing, startTargetAudit, stopTargetAudit } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { auditedTarget } from '../views/audit-schemas.ts';
import { actorOf } from './actor.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

const tags = ['targets'];
const params = z.object({ target: z.string().max(64) });
const studyUid = z.string().max(64).describe('Study Instance UID');
const asked = answers(z.object({ asked: z.literal(true) }));

/** Audits of targets: a dispatcher executes them, and sends missing instances. */
export function addTargetAuditRoutes(server: ApiServer, { operations }: ConsoleContext): void {
  server.get(
    '/api/targets/:target/audit',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'What audits of a target have found', params, response: answers(auditedTarget) },
    },
    async (request) => ({ ...(await readTargetAudit(operations, request.params.target)) }),
  );

  server.post(
    '/api/targets/:target/audit',
    {
      config: { access: 'operator', action: 'audit target' },
      schema: {
        tags,
        summary: 'Compare what a target has now with what it has confirmed',
        params,
        body: z.object({
          since: z.number().int().min(0).optional().describe('only deliveries that changed since (ms since 1970)'),
          study: studyUid.optional(),
          sample: z.number().min(0.001).max(1).default(1).describe('proportion of the studies'),
          content: z.boolean().default(false).describe('compare content as well'),
        }),
        response: asked,
      },
    },
    async (request) => {
      await startTargetAudit(operations, request.params.target, request.body, actorOf(request));
      return { asked: true as const };
    },
  );

  server.post(
    '/api/targets/:target/audit/stop',
    {
      config: { access: 'operator', action: 'stop audit' },
      schema: { tags, summary: 'End the audit that is under way; what it found is kept', params, response: asked },
    },
    async (request) => {
      await stopTargetAudit(operations, request.params.target, actorOf(request));
      return { asked: true as const };
    },
  );

  server.post(
    '/api/targets/:target/audit/send',
    {
      config: { access: 'operator', action: 'send missing' },
      schema: {
        tags,
        summary: 'Send again what audits found missing or different; each study is compared once more before',
        params,
        body: z.object({ study: studyUid.optional().describe('only this study') }),
        response: asked,
      },
    },
    async (request) => {
      await sendMissing(operations, request.params.target, request.body.study, actorOf(request));
      return { asked: true as const };
    },
  );
}
