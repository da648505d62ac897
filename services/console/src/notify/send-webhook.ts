import { createHmac } from 'node:crypto';
import { webhookAddressOf, type WebhookConfig } from '@dicom-dispatch/core';
import { UnrecoverableError } from 'bullmq';
import { request } from 'undici';
import type { Message } from './compose.ts';
import { webhookBody } from './webhook-body.ts';

/** Client errors after which the request is repeated. */
const later = new Set([408, 425, 429]);

/**
 * Sends a message to an HTTP endpoint. `X-Dispatch-Signature` is `t=SECONDS,v1=HMAC`: the HMAC-SHA256, in hexadecimal, of
 * `SECONDS.BODY` with the shared secret. `Idempotency-Key` is the same at each attempt.
 *
 * @throws UnrecoverableError if the response shows that the endpoint will never accept it
 */
export async function sendWebhook(
  webhook: WebhookConfig,
  message: Message,
  consoleUrl: string,
  now = Date.now(),
): Promise<void> {
  const body = webhookBody(webhook.format, message, consoleUrl);
  const seconds = Math.floor(now / 1000);
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'user-agent': 'dicom-dispatch',
    'idempotency-key': message.id,
  };
  for (const [name, value] of Object.entries(webhook.headers ?? {})) {
    headers[name.toLowerCase()] = typeof value === 'string' ? value : value.reveal();
  }
  if (webhook.secret)
    headers['x-dispatch-signature'] = `t=${seconds},v1=${sign(webhook.secret.reveal(), seconds, body)}`;
  const answer = await request(webhookAddressOf(webhook), {
    method: 'POST',
    headers,
    body,
    headersTimeout: webhook.timeout,
    bodyTimeout: webhook.timeout,
    signal: AbortSignal.timeout(webhook.timeout * 2),
  });
  await answer.body.dump({ limit: 64 * 1024 });
  const { statusCode } = answer;
  if (statusCode < 300) return;
  const text = `the endpoint answered HTTP ${statusCode}`;
  if (statusCode >= 300 && statusCode < 500 && !later.has(statusCode)) throw new UnrecoverableError(text);
  throw new Error(text);
}

export function sign(secret: string, seconds: number, body: string): string {
  return createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
}
