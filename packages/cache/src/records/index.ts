export { deliveryStates, endStates } from './record-types.ts';
export type { DeliveryEvent, DeliveryPatch, DeliveryRecord, DeliveryState, StudyRecord } from './record-types.ts';
export { Records, type DeliveryFilter, type StudyKey } from './records.ts';
