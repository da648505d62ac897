import type { Role } from '@dicom-dispatch/core';

/**
 * What of Bull Board may be done, and by whom: its routes without the prefix. What is not here is refused to everybody:
 * adding jobs, editing their data, emptying and obliterating queues, and schedulers, of which we have none. Everything may be
 * read but what Redis says of itself.
 */
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

export type BoardVerdict =
  | { readonly kind: 'read' }
  | { readonly kind: 'action'; readonly role: Role; readonly action: string }
  | { readonly kind: 'refused' };

/** @param route - as it was registered, with `:names`, without the prefix of Bull Board */
export function boardVerdict(method: string, route: string): BoardVerdict {
  if (route === '/api/redis/stats') return { kind: 'refused' };
  if (method === 'GET' || method === 'HEAD') return { kind: 'read' };
  const known = allowed[`${method} ${route}`];
  return known ? { kind: 'action', ...known } : { kind: 'refused' };
}
