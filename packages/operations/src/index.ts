export type { DeliveryRecord } from '@dicom-dispatch/cache/records';
