import type { Command } from 'commander';
import type { NotificationOptions } from '../operate/notifications.ts';
import { withConfig, withExamples, withJson } from './options.ts';

/** `notifications`: receivers of notifications, and a test message. */
export function addNotificationCommands(program: Command): void {
  const notifications = program
    .command('notifications')
    .description('list the receivers of notifications; send a test message');
  const list = notifications
    .command('list')
    .description('list the receivers of console.notifications')
    .action(async (options: NotificationOptions) => {
      const { printReceivers } = await import('../operate/notifications.ts');
      await printReceivers(options);
    });
  withExamples(withJson(withConfig(list)), [['notifications list', 'webhooks and e-mails, by name']]);
  const test = notifications
    .command('test')
    .description('send a test message; exit status 4 if the receiver does not accept it')
    .argument('<receiver>', 'webhook:NAME or email:NAME')
    .action(async (receiver: string, options: NotificationOptions) => {
      const { testReceiver } = await import('../operate/notifications.ts');
      await testReceiver(receiver, options);
    });
  withExamples(withConfig(test), [
    ['notifications test webhook:desk', 'to the webhook "desk" of console.notifications.webhooks'],
    ['notifications test email:team', 'by the mail server of console.notifications.smtp'],
  ]);
}
