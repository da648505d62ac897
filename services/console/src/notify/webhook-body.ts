import type { WebhookConfig } from '@dicom-dispatch/core';
import { lines, type Message } from './compose.ts';

/** Slack cuts texts at 40,000 characters, Teams rejects messages over 28 kB. */
const maxTextLength = 8_000;

/** The body of a webhook in the format of its receiver. */
export function webhookBody(format: WebhookConfig['format'], message: Message, console: string): string {
  if (format === 'json') return JSON.stringify(message);
  const text = lines(message, console).slice(0, maxTextLength);
  if (format === 'slack') {
    // Slack reads these three as markup: https://docs.slack.dev/messaging/formatting-message-text
    const escaped = `*${message.summary}*\n${text}`
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;');
    return JSON.stringify({ text: escaped });
  }
  return JSON.stringify({
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          body: [
            { type: 'TextBlock', text: plain(message.summary), weight: 'Bolder', wrap: true },
            // A single line feed is no line break there.
            { type: 'TextBlock', text: plain(text).replaceAll('\n', '\n\n'), wrap: true },
          ],
          actions: [{ type: 'Action.OpenUrl', title: 'Open the console', url: message.groups[0]?.url ?? console }],
        },
      },
    ],
  });
}

/** Text blocks are Markdown: external text must not become a link or a heading. */
function plain(text: string): string {
  return text.replaceAll(/[\\`*_[\]()#<>]/g, (sign) => `\\${sign}`);
}
