export { deliveryStates, endStates } from './record-types.ts';
export type { DeliveryEvent, DeliveryPatch, DeliveryRecord, DeliveryState, StudyRecord } from './record-types.ts';
export { isMeant } from './delivery-codec.ts';
export type { DeliverySelection, ErrorGroup } from './delivery-index.ts';
export type { Found, Limits } from './collect.ts';
export { placeOf, placeText, type Place } from './walk-index.ts';
export { Records, type StudyKey, type StudySelection } from './records.ts';
export { forgetStudy, type ForgetAnswer, type ForgetTerms, type Forgotten } from './forget-study.ts';
