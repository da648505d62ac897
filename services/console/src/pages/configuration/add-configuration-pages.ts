import type { ApiServer } from '../../api/api-server.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { addDraftPage } from './draft-page.ts';
import { addEntryFormPage } from './entry-form-page.ts';
import { addEntryListPage } from './entry-list-page.ts';
import { addRuleFormPage } from './rule-form-page.ts';
import { addRuleListPage } from './rule-list-page.ts';
import { addTargetDefaultsPages } from './target-defaults-pages.ts';
import { addTargetFormPage } from './target-form-page.ts';
import { addTargetListPage } from './target-list-page.ts';
import { addVersionPage } from './version-page.ts';

/** Pages that show and change the configuration. */
export function addConfigurationPages(server: ApiServer, context: ConsoleContext): void {
  addDraftPage(server, context);
  addVersionPage(server, context);
  addTargetListPage(server, context);
  addTargetFormPage(server, context);
  addTargetDefaultsPages(server, context);
  addRuleListPage(server, context);
  addRuleFormPage(server, context);
  addEntryListPage(server, context);
  addEntryFormPage(server, context);
}
