export { TaskRecords, type TaskRecord, type TaskState } from './task-records.ts';
