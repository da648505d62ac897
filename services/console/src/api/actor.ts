import type { Actor } from '@dicom-dispatch/pipeline';
import type { FastifyRequest } from 'fastify';

/** Name of the actor in timelines. */
export function actorOf(request: Pick<FastifyRequest, 'identity'>): Actor {
  return { name: request.identity?.name ?? 'unknown' };
}
