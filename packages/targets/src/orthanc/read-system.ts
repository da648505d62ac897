import { z } from 'zod';
import { connectError, isOfGateway, type HttpConnection } from '../http/index.ts';
import { notOrthanc, orthancError } from './errors.ts';

const system = z.object({ ApiVersion: z.int(), Version: z.string().max(100) });
export type OrthancSystem = z.output<typeof system>;

/** `GET /system`: shows that an Orthanc responds and accepts our credentials. */
export async function readSystem(http: HttpConnection, signal: AbortSignal): Promise<OrthancSystem> {
  const answer = await http.request({ method: 'GET', path: '/system', signal });
  if (isOfGateway(answer.status)) {
    await answer.discard();
    throw connectError(answer.status, { what: 'the login', retryAfterMs: answer.retryAfterMs });
  }
  if (answer.status !== 200) throw await orthancError(answer, 'the login');
  const parsed = system.safeParse(await answer.json(65_536).catch(() => undefined));
  if (!parsed.success) throw notOrthanc(http.host);
  return parsed.data;
}
