/** Position of a point relative to an ellipsoid: below 1 inside, 1 on the surface. */
export function depth(
  x: number,
  y: number,
  z: number,
  centre: readonly [number, number, number],
  radii: readonly [number, number, number],
): number {
  const a = (x - centre[0]) / radii[0];
  const b = (y - centre[1]) / radii[1];
  const c = (z - centre[2]) / radii[2];
  return a * a + b * b + c * c;
}

/** The same for an upright cylinder. */
export function ring(x: number, y: number, centreX: number, centreY: number, radiusX: number, radiusY: number): number {
  const a = (x - centreX) / radiusX;
  const b = (y - centreY) / radiusY;
  return a * a + b * b;
}
