import { httpRequest, waitFor } from '@dicom-dispatch/harness';
import { expect } from 'vitest';
import type { FaultScp } from './fault-scp.ts';

/** A back-off that tests can wait for. */
export const quick = { backoff: { first: '200ms', max: '1s' } };

/** A DICOM target for a receiver, with a back-off that tests can wait for. */
export function pacsTarget(scp: Pick<FaultScp, 'host' | 'port' | 'aet'>, more: object = {}): object {
  return { type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet, ...quick, ...more };
}

/** What Bull Board's retry button does. */
export async function pressRetry(url: string, target: string, deliveryId: string): Promise<void> {
  const job = `${url}/queues/api/queues/target-${target}/${deliveryId}`;
  // The delivery has ended a moment before its job: the button exists only in that state.
  await waitFor(async () => {
    const { status } = JSON.parse((await httpRequest(job)).body.toString()) as { status?: string };
    return status !== 'active';
  });
  const answer = await httpRequest(`${job}/retry`, {
    method: 'PUT',
    headers: { origin: url, 'sec-fetch-site': 'same-origin' },
  });
  expect(answer.status, answer.body.toString()).toBeLessThan(300);
}
