export { createTargetMemory, type TargetMemory } from './target-memory.ts';
