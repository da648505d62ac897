import { webhookAddressOf, type NotificationKind, type NotificationsConfig } from '@dicom-dispatch/core';

export interface ListedReceiver {
  /** `webhook:NAME` or `email:NAME`. */
  readonly name: string;
  /** Host of the webhook, whose URL may contain a secret; number of e-mail addresses. */
  readonly to: string;
  readonly on: NotificationKind[];
  readonly targets?: string[];
  readonly digestMs: number;
  readonly patientData: boolean;
}

/** All receivers of notifications, without secrets. */
export function listReceivers(config: NotificationsConfig | undefined): ListedReceiver[] {
  const common = ({
    on,
    targets,
    digest,
    patientData,
  }: NotificationsConfig['emails'][string] | NotificationsConfig['webhooks'][string]) => ({
    on: [...on],
    ...(targets && { targets: [...targets] }),
    digestMs: digest,
    patientData,
  });
  return [
    ...Object.entries(config?.webhooks ?? {}).map(([name, webhook]) => ({
      name: `webhook:${name}`,
      to: new URL(webhookAddressOf(webhook)).host,
      ...common(webhook),
    })),
    ...Object.entries(config?.emails ?? {}).map(([name, email]) => ({
      name: `email:${name}`,
      to: `${email.to.length} ${email.to.length === 1 ? 'address' : 'addresses'}`,
      ...common(email),
    })),
  ];
}
