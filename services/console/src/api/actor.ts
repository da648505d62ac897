import type { Actor } from '@dicom-dispatch/pipeline';
import type { FastifyRequest } from 'fastify';

/** Who asks, as it stands in timelines. */
export function actorOf(request: Pick<FastifyRequest, 'identity'>): Actor {
  return { name: request.identity?.name ?? 'unknown' };
}
