import type { EmailConfig, NotificationsConfig } from '@dicom-dispatch/core';
import { UnrecoverableError } from 'bullmq';
import { createTransport } from 'nodemailer';
import { lines, type Message } from './compose.ts';

const timeoutMs = 20_000;

const standardText = `{summary}

{lines}

{console}
`;

/** Sends a message by e-mail, to all who are to get it, as one. */
export async function sendEmail(
  email: EmailConfig,
  smtp: NotificationsConfig['smtp'],
  message: Message,
  consoleUrl: string,
): Promise<void> {
  if (!smtp) throw new UnrecoverableError('console.notifications.smtp is not configured');
  const transport = createTransport({
    host: smtp.host,
    port: smtp.port,
    secure: smtp.secure,
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
      // The same at each try, so that mail servers can tell a repetition.
      messageId: `<${message.id}@dicom-dispatch>`,
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
  } finally {
    transport.close();
  }
}

/** Puts values in the place of `{name}`; what is not known stays as it is. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
