import type { Role } from '@dicom-dispatch/core';

/** Routes of Bull Board, without its prefix, that viewers may read. */
const readable: ReadonlySet<string> = new Set([
  '/',
  '/metrics-history',
  '/job-schedulers',
  '/queue/:queueName',
  '/queue/:queueName/:jobId',
  '/static/*',
  '/api/queues',
  '/api/job-schedulers',
  '/api/queues/:queueName/metrics',
  '/api/queues/:queueName/default-job-options',
  '/api/queues/:queueName/rate-limit',
  '/api/queues/:queueName/job-data-schema',
  '/api/queues/:queueName/:jobId',
  '/api/queues/:queueName/:jobId/logs',
  '/api/queues/:queueName/:jobId/flow',
]);

/** Routes for actions, with the required role and the name of the action in the audit log. */
const allowed: Readonly<Record<string, { readonly role: Role; readonly action: string }>> = {
  'PUT /api/queues/:queueName/:jobId/retry': { role: 'operator', action: 'retry' },
  'PUT /api/queues/:queueName/:jobId/promote': { role: 'operator', action: 'promote' },
  'PUT /api/queues/:queueName/:jobId/clean': { role: 'operator', action: 'remove job' },
  'PATCH /api/queues/:queueName/:jobId/priority': { role: 'operator', action: 'change priority' },
  'PATCH /api/queues/:queueName/:jobId/delay': { role: 'operator', action: 'change delay' },
  'PUT /api/queues/:queueName/retry/:queueStatus': { role: 'operator', action: 'retry all' },
  'PUT /api/queues/:queueName/promote': { role: 'operator', action: 'promote all' },
  'PUT /api/queues/:queueName/pause': { role: 'operator', action: 'pause' },
  'PUT /api/queues/:queueName/resume': { role: 'operator', action: 'resume' },
  'PUT /api/queues/pause': { role: 'operator', action: 'pause all' },
  'PUT /api/queues/resume': { role: 'operator', action: 'resume all' },
  'PUT /api/queues/:queueName/concurrency': { role: 'operator', action: 'set concurrency' },
  'PUT /api/queues/:queueName/rate-limit': { role: 'operator', action: 'set rate' },
  'PUT /api/queues/:queueName/rate-limit/release': { role: 'operator', action: 'release rate limit' },
};

/**
 * Rejected for everybody: adding jobs, editing their data, emptying and obliterating queues, schedulers (there are
 * none), and details of Redis and its clients.
 */
const refused: ReadonlySet<string> = new Set([
  'GET /api/redis/stats',
  'GET /api/queues/:queueName/workers',
  'POST /api/queues/:queueName/add',
  'PUT /api/queues/:queueName/clean/:queueStatus',
  'PUT /api/queues/:queueName/empty',
  'PUT /api/queues/:queueName/obliterate',
  'PUT /api/queues/:queueName/job-schedulers/:schedulerId/remove',
  'PATCH /api/queues/:queueName/job-schedulers/:schedulerId',
  'PUT /api/queues/:queueName/job-schedulers/:schedulerId/run',
  'PATCH /api/queues/:queueName/:jobId/update-data',
  'PUT /api/queues/:queueName/:jobId/remove-unprocessed-children',
]);

export type BoardVerdict =
  | { readonly kind: 'read' }
  | { readonly kind: 'action'; readonly role: Role; readonly action: string }
  | { readonly kind: 'refused' }
  /** A route of another version of Bull Board: rejected too, and a test fails. */
  | { readonly kind: 'unknown' };

/** @param route - as it was registered, with `:names`, without the prefix of Bull Board */
export function boardVerdict(method: string, route: string): BoardVerdict {
  const name = `${method === 'HEAD' ? 'GET' : method} ${route}`;
  if (refused.has(name)) return { kind: 'refused' };
  if (name.startsWith('GET ')) return readable.has(route) ? { kind: 'read' } : { kind: 'unknown' };
  const known = Object.hasOwn(allowed, name) ? allowed[name] : undefined;
  return known ? { kind: 'action', ...known } : { kind: 'unknown' };
}
