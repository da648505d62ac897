import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ConsoleContext } from '../console-context.ts';
import { addAuditPage } from './audit-page.ts';
import { addBatchesPage } from './batches-page.ts';
import { addCachePage } from './cache-page.ts';
import { addConfigurationPages } from './configuration/add-configuration-pages.ts';
import { addDeliveriesPage } from './deliveries-page.ts';
import { addDeliveryPage } from './delivery-page.ts';
import { addHealthPage } from './health-page.ts';
import { addFetchPage } from './fetch-page.ts';
import { addNotificationsPage } from './notifications-page.ts';
import { addRulesPage } from './rules-page.ts';
import { addSourcesPage } from './sources-page.ts';
import { addStudiesPage } from './studies-page.ts';
import { addReceiptPage } from './receipt-page.ts';
import { addStudyPage } from './study-page.ts';
import { addTargetAuditPage } from './target-audit-page.ts';
import { addTargetsPages } from './targets-pages.ts';
import { addTestStudyPage } from './test-study-page.ts';
import { addWorkersPage } from './workers-page.ts';

/** All pages except those of Bull Board. */
export function addPages(server: FastifyInstance, context: ConsoleContext): void {
  const pages = server.withTypeProvider<ZodTypeProvider>();
  addHealthPage(pages, context);
  addStudiesPage(pages, context);
  addStudyPage(pages, context);
  addReceiptPage(pages, context);
  addDeliveriesPage(pages, context);
  addDeliveryPage(pages, context);
  addBatchesPage(pages, context);
  addFetchPage(pages, context);
  addTargetsPages(pages, context);
  addTargetAuditPage(pages, context);
  addSourcesPage(pages, context);
  addTestStudyPage(pages, context);
  addRulesPage(pages, context);
  addWorkersPage(pages, context);
  addCachePage(pages, context);
  addNotificationsPage(pages, context);
  addConfigurationPages(pages, context);
  addAuditPage(pages, context);
}
