import { notificationKinds } from '@dicom-dispatch/core';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { listReceivers } from '../notify/list-receivers.ts';
import { sendTestNotification } from '../notify/send-test.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

const tags = ['notifications'];

const receiver = z.object({
  name: z.string().describe('webhook:NAME or email:NAME'),
  to: z.string().describe('host of the webhook, or number of addresses'),
  on: z.array(z.enum(notificationKinds)),
  targets: z.array(z.string()).optional().describe('only for these targets; default: all'),
  digestMs: z.number().int(),
  patientData: z.boolean(),
});

export function addNotificationRoutes(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/api/notifications',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Who is notified of what',
        response: answers(z.object({ receivers: z.array(receiver) })),
      },
    },
    () => ({ receivers: listReceivers(context.config().console.notifications) }),
  );

  server.post(
    '/api/notifications/:receiver/test',
    {
      config: { access: 'operator', action: 'test notification' },
      schema: {
        tags,
        summary: 'Send a test message to a receiver now',
        params: z.object({ receiver: z.string().max(80) }),
        response: answers(z.object({ did: z.string() })),
      },
    },
    async (request) => {
      const { receiver: name } = request.params;
      request.auditDetail = name;
      await sendTestNotification(context.config().console.notifications, name, context.consoleUrl());
      return { did: `A test message was accepted by ${name}.` };
    },
  );
}
