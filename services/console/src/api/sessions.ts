import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

export function addSessionRoutes(server: ApiServer, context: ConsoleContext): void {
  server.post(
    '/api/sessions/end',
    {
      config: { access: 'administrator', action: 'end sessions' },
      schema: {
        tags: ['system'],
        summary: 'Sign somebody out everywhere; who is still in the configuration may sign in again',
        body: z.object({ name: z.string().min(1).max(100).describe('as recorded in the audit log') }),
        response: answers(z.object({ ended: z.boolean() })),
      },
    },
    async (request) => {
      await context.sessions.endAllOf(request.body.name);
      request.auditSubject = request.body.name;
      return { ended: true };
    },
  );
}
