export { isSameInstance, readIdentity, type InstanceIdentity } from './instance-identity.ts';
export { conflictOption, type ConflictPolicy } from './schema.ts';
export { planPaths, targetConflict, type Occupant, type PathOf, type PlannedPaths } from './target-conflict.ts';
