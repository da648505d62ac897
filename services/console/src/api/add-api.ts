import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ConsoleContext } from '../console-context.ts';
import { addAuditExport } from './audit-export.ts';
import { addBatchRoutes } from './batches.ts';
import { addConfigurationDraftRoutes } from './configuration-draft.ts';
import { addConfigurationEntryRoutes } from './configuration-entries.ts';
import { addConfigurationRuleRoutes } from './configuration-rules.ts';
import { addConfigurationTargetRoutes } from './configuration-targets.ts';
import { addConfigurationRoutes } from './configuration.ts';
import { addDeliveryRoutes } from './deliveries.ts';
import { addEvents } from './events.ts';
import { addFetchRoutes } from './fetches.ts';
import { addListFiles } from './lists-csv.ts';
import { addSessionRoutes } from './sessions.ts';
import { addNotificationRoutes } from './notifications.ts';
import { addReceiptRoutes } from './receipts.ts';
import { addStudyRoutes } from './studies.ts';
import { addSystemRoutes } from './system.ts';
import { addTargetAuditRoutes } from './target-audits.ts';
import { addTargetRoutes } from './targets.ts';
import { addTestStudyRoutes } from './test-studies.ts';

/** All routes under `/api`, and the OpenAPI document, generated from the same schemas. */
export async function addApi(server: FastifyInstance, context: ConsoleContext): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'dicom-dispatch',
        version: '1',
        description:
          'What the pages of the console do, for programs. Send `Authorization: Bearer TOKEN` with a token of the configuration. Times are milliseconds since 1970.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: (input) => {
      const url = input.url ?? '';
      const isApi = url.startsWith('/api/') && url !== '/api/openapi.json';
      const access = input.route.config?.access;
      const schema = { ...input.schema, hide: !isApi, ...(access && { description: `Needs the role ${access}.` }) };
      return jsonSchemaTransform({ ...input, schema } as Parameters<typeof jsonSchemaTransform>[0]);
    },
  });
  await server.register(async (scope) => {
    const api = scope.withTypeProvider<ZodTypeProvider>();
    addStudyRoutes(api, context);
    addListFiles(api, context);
    addReceiptRoutes(api, context);
    addDeliveryRoutes(api, context);
    addBatchRoutes(api, context);
    addFetchRoutes(api, context);
    addTargetRoutes(api, context);
    addTargetAuditRoutes(api, context);
    addSystemRoutes(api, context);
    addNotificationRoutes(api, context);
    addTestStudyRoutes(api, context);
    addSessionRoutes(api, context);
    addConfigurationRoutes(api, context);
    addConfigurationDraftRoutes(api, context);
    addConfigurationTargetRoutes(api, context);
    addConfigurationRuleRoutes(api, context);
    addConfigurationEntryRoutes(api, context);
    addAuditExport(api, context);
    addEvents(scope, context);
    scope.get('/api/openapi.json', { config: { access: 'viewer' } }, () => server.swagger());
  });
}
