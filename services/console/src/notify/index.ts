export { listReceivers, type ListedReceiver } from './list-receivers.ts';
export { sendTestNotification } from './send-test.ts';
