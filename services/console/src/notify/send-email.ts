import { readFile } from 'node:fs/promises';
import type { EmailConfig, NotificationsConfig } from '@dicom-dispatch/core';
import { UnrecoverableError } from 'bullmq';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { lines, type Message } from './compose.ts';

const timeoutMs = 20_000;
/** For all of it: a server that sends a byte within each timeout would never be silent, and never done. */
const maxMs = 120_000;

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
  limitMs = maxMs,
): Promise<void> {
  if (!smtp) throw new UnrecoverableError('console.notifications.smtp is not configured');
  // Without TLS nothing that is secret leaves: neither the password, nor what a message says of patients.
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
      // The same at each try, so that mail servers can tell a repetition.
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

/** What to do about errors of TLS, which a mail server's own words do not say. */
function explained(error: unknown, host: string): unknown {
  const { code, command } = error as { code?: string; command?: string };
  if (code !== 'ETLS' && command !== 'STARTTLS') return error;
  return new Error(
    `${host} offers no STARTTLS, and a password or patient data would be sent in the clear: use a port with TLS (console.notifications.smtp.secure), or set allowPlaintext`,
    { cause: error },
  );
}

/** Puts values in the place of `{name}`; what is not known stays as it is. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
