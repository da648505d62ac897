/** Maximum number of associations of one delivery. */
export const maxAssociations = 16;
const fewest = 3;
/** A connection and an association request are two round trips; TLS adds more. */
const roundTripsToOpen = 2;
/** Milliseconds of round-trip time per association: two instances are in transit on each. */
const msPerAssociation = 1.5;

/**
 * How many associations a delivery requests: the configured number, or with `auto` more with a longer round-trip time.
 * A receiver that accepts fewer gets fewer (`AssociationPool`).
 *
 * @param openMs - milliseconds that it took to open the first association
 */
export function associationsFor(configured: number | 'auto', openMs: number): number {
  if (configured !== 'auto') return configured;
  const roundTripMs = openMs / roundTripsToOpen;
  return Math.min(maxAssociations, fewest + Math.floor(roundTripMs / msPerAssociation));
}
