import { readFile } from 'node:fs/promises';
import type { EmailConfig, NotificationsConfig } from '@dicom-dispatch/core';
import { UnrecoverableError } from 'bullmq';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { lines, type Message } from './compose.ts';

const timeoutMs = 20_000;
/** Limit for the complete dialogue: a server that sends a byte within each timeout would never time out. */
const maxMs = 120_000;

const standardText = `{summary}

{lines}

{console}
`;

/** Sends a message as one e-mail to all recipients. */
export async function sendEmail(
  email: EmailConfig,
  smtp: NotificationsConfig['smtp'],
  message: Message,
  consoleUrl: string,
  limitMs = maxMs,
): Promise<void> {
  if (!smtp) throw new UnrecoverableError('console.notifications.smtp is not configured');
  // Without TLS nothing secret is sent: neither the password, nor patient data of messages.
  const needsTls = !smtp.allowPlaintext && (smtp.password !== undefined || email.patientData);
  const transport = createTransport({
    host: smtp.host,
    port: smtp.port,
    secure: smtp.secure,
    requireTLS: needsTls,
    ...(smtp.ca !== undefined && { tls: { ca: await readFile(smtp.ca) } }),
    connectionTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    ...(smtp.username !== undefined && { auth: { user: smtp.username, pass: smtp.password?.reveal() ?? '' } }),
  });
  const values = {
    summary: message.summary,
    count: String(message.count),
    lines: lines(message, consoleUrl),
    console: consoleUrl,
  };
  try {
    await transport.sendMail({
      from: smtp.from,
      to: [...email.to],
      subject: fill(email.subject, values)
        .replaceAll(/[\r\n]+/g, ' ')
        .slice(0, 200),
      text: fill(email.text ?? standardText, values),
      // The same at each attempt, so that mail servers can detect a repetition.
      messageId: `<${message.id}@dicom-dispatch>`,
      headers: { 'Auto-Submitted': 'auto-generated' },
      signal: AbortSignal.timeout(limitMs),
    } as SendMailOptions);
  } catch (error) {
    if ((error as Error).name === 'TimeoutError' || (error as Error).name === 'AbortError') {
      throw new Error(`${smtp.host} did not take the message within ${limitMs / 1000} s`, { cause: error });
    }
    throw explained(error, smtp.host);
  } finally {
    transport.close();
  }
}

/** Remedies for TLS errors, which the message of a mail server does not contain. */
function explained(error: unknown, host: string): unknown {
  const { code, command } = error as { code?: string; command?: string };
  if (code !== 'ETLS' && command !== 'STARTTLS') return error;
  return new Error(
    `${host} offers no STARTTLS, and a password or patient data would be sent in the clear: use a port with TLS (console.notifications.smtp.secure), or set allowPlaintext`,
    { cause: error },
  );
}

/** Replaces `{name}` with values; unknown names are unchanged. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
