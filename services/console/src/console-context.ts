import type { HealthFinding } from '@dicom-dispatch/operations';
import type { Build, ConfigurationStore, Logger, Registry, RunningService } from '@dicom-dispatch/runtime';
import type { AuditLog } from './audit/audit-log.ts';
import type { QueryEvents } from './audit/query-events.ts';
import type { RefusedEvents } from './audit/refused-events.ts';
import type { FetchRunner } from './fetch/fetch-runner.ts';
import type { Changes } from './live/changes.ts';
import type { OpenAnswers } from './live/open-answers.ts';
import type { ConsoleKeys } from './security/console-keys.ts';
import type { KnownDevices } from './security/known-device.ts';
import type { Sessions } from './security/sessions.ts';
import type { ViewContext } from './views/view-context.ts';

/** Dependencies of pages and routes. */
export interface ConsoleContext extends ViewContext {
  /** Version and build of this program. */
  readonly build: Build;
  readonly log: Logger;
  readonly metrics: Registry;
  /** The services of this process. */
  readonly services: () => readonly RunningService[];
  /** URL of the console for browsers. */
  readonly consoleUrl: () => string;
  /** Current findings, most severe first; read at most every two seconds for all callers. */
  readonly health: () => Promise<readonly HealthFinding[]>;
  /** Keys that sign and encrypt cookies. */
  readonly keys: ConsoleKeys;
  /** Browsers that have signed in before. */
  readonly devices: KnownDevices;
  readonly sessions: Sessions;
  readonly audit: AuditLog;
  readonly refused: RefusedEvents;
  readonly queries: QueryEvents;
  /** Responses that are being sent. */
  readonly open: OpenAnswers;
  readonly changes: Changes;
  /** Retrieves studies from targets. */
  readonly fetches: FetchRunner;
  /** Location of the configuration; absent if it was not loaded from a file. */
  readonly configuration?: ConfigurationStore | undefined;
  readonly cookieName: string;
  /** Whether browsers reach the console over TLS. */
  readonly isSecure: boolean;
}
