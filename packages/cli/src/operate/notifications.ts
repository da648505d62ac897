import { formatDuration } from '@dicom-dispatch/core';
import { listReceivers, sendTestNotification } from '@dicom-dispatch/console/notify';
import { readConfig } from '../read-config.ts';

export interface NotificationOptions {
  readonly config: string;
  readonly json?: boolean;
}

/** Prints the receivers of notifications, from the configuration alone. */
export async function printReceivers({ config, json }: NotificationOptions): Promise<void> {
  const receivers = listReceivers((await readConfig(config)).console.notifications);
  if (json) {
    console.log(JSON.stringify(receivers, null, 2));
    return;
  }
  if (receivers.length === 0) console.log('no receivers: console.notifications has no webhooks and no e-mails');
  for (const { name, to, on, targets, digestMs } of receivers) {
    const digest = digestMs === 0 ? 'each event' : `digest ${formatDuration(digestMs)}`;
    console.log(`${name}  ${to}; ${digest}; ${targets?.join(', ') ?? 'all targets'}; ${on.join(', ')}`);
  }
}

/** @throws OperationError `not-found`, `unavailable` */
export async function testReceiver(receiver: string, { config }: NotificationOptions): Promise<void> {
  const { console: page } = await readConfig(config);
  await sendTestNotification(page.notifications, receiver, page.publicUrl ?? `http://${page.listen}`);
  console.log(`a test message was accepted by ${receiver}`);
}
