import type { Config } from '@dicom-dispatch/core';
import type { OperationsContext } from '@dicom-dispatch/operations';
import type { Logger, Redis, Registry, RunningService } from '@dicom-dispatch/runtime';
import type { AuditLog } from './audit/audit-log.ts';
import type { Changes } from './live/changes.ts';
import type { Sessions } from './security/sessions.ts';
import type { SourceLookup } from './source/source-lookup.ts';

/** What every page and every route of the API needs. */
export interface ConsoleContext {
  /** The configuration as it is now. */
  readonly config: () => Config;
  readonly redis: Redis;
  readonly log: Logger;
  readonly metrics: Registry;
  /** The services of this process. */
  readonly services: () => readonly RunningService[];
  readonly operations: OperationsContext;
  readonly sessions: Sessions;
  readonly audit: AuditLog;
  readonly lookup: SourceLookup;
  readonly changes: Changes;
  readonly cookieName: string;
  /** Whether browsers reach us over TLS. */
  readonly isSecure: boolean;
}
