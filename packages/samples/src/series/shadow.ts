/** Length of a ray within an ellipsoid (centre and radii in the image, thickness along the ray). */
export function chord(
  across: number,
  up: number,
  centreAcross: number,
  centreUp: number,
  radiusAcross: number,
  radiusUp: number,
  thickness: number,
): number {
  const a = (across - centreAcross) / radiusAcross;
  const b = (up - centreUp) / radiusUp;
  return thickness * Math.sqrt(Math.max(0, 1 - a * a - b * b));
}

/** Ribs seen through the chest: back ones slope down to the side, front ones up. */
export function ribs(across: number, up: number): number {
  const side = Math.abs(across);
  if (side > 150 || side < 16 || up < -135 || up > 140) return 0;
  const back = up + side * side * 0.0042;
  const front = up - side * 0.45 + 9;
  const edge = Math.min(1, (150 - side) / 12);
  const bright = Number(((back % 27) + 27) % 27 < 9) * 26 + Number(side > 55 && ((front % 27) + 27) % 27 < 7) * 15;
  return bright * edge;
}

/** Ribs seen from the side: all slope down to the front. */
export function slantedRibs(across: number, up: number): number {
  const along = (((up - across * 0.55) % 27) + 27) % 27;
  const fade = Math.min(1, Math.max(0, (104 - Math.abs(across)) / 30), Math.max(0, (125 - Math.abs(up)) / 30));
  return along < 8 ? 20 * fade : 0;
}
