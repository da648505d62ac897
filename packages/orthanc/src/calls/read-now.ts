import type { CallContext } from '../call-context.ts';
import { target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';

/**
 * The server's clock (`/tools/now`): `YYYYMMDDTHHMMSS` in UTC, whole seconds. Its dates of changes and `LastUpdate` use this
 * clock.
 *
 * @throws OrthancError `protocol` if the response is invalid
 */
export async function readNow(context: CallContext, options: CallOptions | undefined): Promise<string> {
  const where = target('/tools/now');
  const text = (await context.transport.text({ method: 'GET', target: where, options })).trim();
  if (/^\d{8}T\d{6}$/.test(text)) return text;
  throw new OrthancError('protocol', 'GET /tools/now: the answer is no time; check what answers at url', {
    method: 'GET',
    path: where.path,
    status: 200,
  });
}
