import { randomUUID } from 'node:crypto';
import type { NotificationsConfig } from '@dicom-dispatch/core';
import { OperationError } from '@dicom-dispatch/pipeline';
import { receiversOf } from './receivers.ts';

/**
 * Sends one receiver a test message immediately, without retries.
 *
 * @param name - `webhook:NAME` or `email:NAME`
 * @throws OperationError `not-found`; `unavailable`, with the response of the receiver or mail server
 */
export async function sendTestNotification(
  config: NotificationsConfig | undefined,
  name: string,
  consoleUrl: string,
): Promise<void> {
  const all = config ? receiversOf(config, consoleUrl) : [];
  const receiver = all.find((one) => one.name === name);
  if (!receiver) {
    const known = all.map((one) => one.name).join(', ');
    throw new OperationError(
      'not-found',
      `no receiver ${name.slice(0, 100)} in console.notifications; configured: ${known === '' ? 'none' : known}`,
    );
  }
  const id = randomUUID();
  const message = 'Test notification of dicom-dispatch: no action is needed.';
  try {
    await receiver.send(id, [{ id, kind: 'test', at: Date.now(), target: '', message, path: '/' }]);
  } catch (error) {
    throw new OperationError('unavailable', `${name}: ${(error as Error).message}`, { cause: error });
  }
}
