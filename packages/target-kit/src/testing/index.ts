export { memoryMailbox } from './memory-mailbox.ts';
export { keptIn, TestDelivery, type Attempt, type AttemptHooks, type ChunkPosition } from './test-delivery.ts';
export { testStudy, type TestInstance, type TestStudy } from './test-study.ts';
