/** Most associations of one delivery. */
export const maxAssociations = 16;
const fewest = 3;
/** A connection and an association request are two messages there and back; TLS makes it more. */
const roundTripsToOpen = 2;
/** Milliseconds of a round trip that are worth an association: two instances are on their way on each. */
const msPerAssociation = 1.5;

/**
 * How many associations a delivery asks for: as many as are configured, or with `auto` more the longer the round trip is.
 * A receiver that takes fewer gets fewer (`AssociationPool`).
 *
 * @param openMs - how long it took to open the first one
 */
export function associationsFor(configured: number | 'auto', openMs: number): number {
  if (configured !== 'auto') return configured;
  const roundTripMs = openMs / roundTripsToOpen;
  return Math.min(maxAssociations, fewest + Math.floor(roundTripMs / msPerAssociation));
}
