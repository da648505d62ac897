export { isSameInstance, maxIdentityBytes, readIdentity, type InstanceIdentity } from './instance-identity.ts';
export { isOlderVersion, type PlaceClaim } from './place-claim.ts';
export { placesOf, type Divided, type Places } from './places.ts';
export { conflictOption, uidConflictOption, type ConflictPolicy } from './schema.ts';
export { targetConflict, type Occupant } from './target-conflict.ts';
