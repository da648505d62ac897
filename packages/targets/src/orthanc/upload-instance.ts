import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { DeliveryRun, InstanceOutcome } from '../contract/index.ts';
import { metered, type OpenedInstance } from '../flow/index.ts';
import type { HttpConnection } from '../http/index.ts';
import { filteredOut, notOrthanc, orthancError, uploading } from './errors.ts';
import type { OrthancTarget } from './schema.ts';
import { verifyStored } from './verify-stored.ts';

/** Orthanc's answer to an upload. */
export const storedInstance = z.object({ ID: z.string().max(64), Status: z.string().max(100) });

/**
 * `POST /instances`: sends one instance and, when asked to, compares what was stored.
 *
 * @throws {DispatchError} what keeps the instance, or all of them, from arriving
 */
export async function uploadInstance(
  run: DeliveryRun<OrthancTarget>,
  http: HttpConnection,
  { instance, bytes }: OpenedInstance,
  signal: AbortSignal,
): Promise<InstanceOutcome> {
  let md5 = createHash('md5');
  let sends = 0;

  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    sends += 1;
    md5 = createHash('md5');
    // The connection was lost under the first try: the source has to be opened again.
    const again =
      sends === 1 ? undefined : metered(await run.open(instance, { signal }), { sent: (n) => run.sent(n), signal });
    try {
      for await (const chunk of (again ?? bytes).body) {
        if (run.config.verify === 'md5') md5.update(chunk);
        yield chunk;
      }
    } finally {
      await again?.release();
    }
  }

  const answer = await http.request({
    method: 'POST',
    path: '/instances',
    headers: { 'content-type': 'application/dicom' },
    body,
    bodyBytes: bytes.sizeBytes,
    repeat: true,
    signal,
  });
  if (answer.status !== 200) throw await orthancError(answer, uploading);
  const parsed = storedInstance.safeParse(await answer.json(65_536));
  if (!parsed.success) throw notOrthanc(http.host);
  const { ID: id, Status: status } = parsed.data;
  if (status === 'FilteredOut') return { kind: 'quarantined', error: filteredOut() };
  if (run.config.verify === 'md5') {
    await verifyStored(http, { id, md5: md5.digest('hex'), alreadyThere: status === 'AlreadyStored' }, signal);
  }
  return { kind: 'delivered' };
}
