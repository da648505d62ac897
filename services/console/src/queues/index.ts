export { actingAs } from './acting.ts';
export { DeliveryQueueAdapter } from './delivery-queue-adapter.ts';
export { Refused } from './refused.ts';
