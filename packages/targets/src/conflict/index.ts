export { maxIdentityBytes, readIdentity, type InstanceIdentity } from './instance-identity.ts';
export { isOlderVersion, type PlaceClaim } from './place-claim.ts';
export { placesOf, type Places } from './places.ts';
export { conflictOption } from './schema.ts';
export { targetConflict, type Occupant } from './target-conflict.ts';
