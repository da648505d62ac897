export { SharedUids } from './shared-uids.ts';
