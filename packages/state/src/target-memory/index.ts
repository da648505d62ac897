export { createTargetMemory, targetMemoryKey, type TargetMemory } from './target-memory.ts';
