export { OutgoingFailures, type OutgoingFailure } from './outgoing-failures.ts';
