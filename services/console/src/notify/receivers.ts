import type { NotificationsConfig, WebhookConfig } from '@dicom-dispatch/core';
import type { StudyLabel } from '../source/source-lookup.ts';
import { compose } from './compose.ts';
import type { Notification } from './notification.ts';
import { sendEmail } from './send-email.ts';
import { sendWebhook } from './send-webhook.ts';

export interface Receiver {
  /** `webhook:NAME` or `email:NAME`. */
  readonly name: string;
  readonly wanted: Pick<WebhookConfig, 'on' | 'targets' | 'digest' | 'patientData'>;
  /** @param id - the same for every attempt to send these notifications */
  send(id: string, notifications: readonly Notification[]): Promise<void>;
}

/** Patient data that a receiver may get, by source and Orthanc id. */
export type ReadLabels = (
  wanted: Pick<WebhookConfig, 'patientData'>,
  list: readonly Notification[],
) => Promise<ReadonlyMap<string, StudyLabel>>;

/** All configured receivers of notifications. */
export function receiversOf(
  { webhooks, emails, smtp }: NotificationsConfig,
  consoleUrl: string,
  readLabels: ReadLabels = async () => new Map(),
): Receiver[] {
  return [
    ...Object.entries(webhooks).map(([name, webhook]): Receiver => ({
      name: `webhook:${name}`,
      wanted: webhook,
      send: async (id, list) =>
        sendWebhook(webhook, compose(id, list, await readLabels(webhook, list), consoleUrl), consoleUrl),
    })),
    ...Object.entries(emails).map(([name, email]): Receiver => ({
      name: `email:${name}`,
      wanted: email,
      send: async (id, list) =>
        sendEmail(email, smtp, compose(id, list, await readLabels(email, list), consoleUrl), consoleUrl),
    })),
  ];
}
