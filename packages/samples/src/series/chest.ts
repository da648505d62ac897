import { depth, ring } from './body.ts';

/**
 * A chest after contrast as Hounsfield units at a point (millimetres; x to the left, y to the back, z to the head; z 0 at the
 * base of the heart). Not anatomically accurate: sufficient to recognise a chest, and each slice differs.
 */
export function chest(x: number, y: number, z: number): number {
  if (ring(x, y, 0, 0, 172, 122) > 1) return table(x, y);
  const wall = ring(x, y, 0, 0, 160, 109);
  if (wall > 1) return -95;
  const spine = vertebra(x, y, z);
  if (spine !== undefined) return spine;
  if (ring(x, y, 0, -101, 17, 6) < 1) return 260;
  if (wall > 0.86) return rib(y, z) ? 420 : 48;
  return mediastinum(x, y, z) ?? lung(x, y, z) ?? liver(x, y, z) ?? 35;
}

function table(x: number, y: number): number {
  const below = y - 128 + (x * x) / 900;
  return Math.abs(x) < 190 && below > 0 && below < 3 ? -160 : -1000;
}

function vertebra(x: number, y: number, z: number): number | undefined {
  const canal = ring(x, y, 0, 92, 9, 8);
  if (canal < 1) return 22;
  const body = ring(x, y, 0, 66, 19, 16);
  const along = (((z % 27) + 27) % 27) / 27;
  if (body < 1) {
    if (along > 0.82) return 85;
    return body > 0.8 || along < 0.06 || along > 0.76 ? 560 : 230;
  }
  const arch = canal < 2.1 && y > 80;
  const process = Math.abs(x) < 4 && y > 98 && y < 114 && along < 0.6;
  return arch || process ? 480 : undefined;
}

function rib(y: number, z: number): boolean {
  const along = z + 0.42 * y + 400;
  return along % 26 < 10;
}

function mediastinum(x: number, y: number, z: number): number | undefined {
  if (z > 45 && ring(x, y, 0, 18, 9, 9) < 1) return -1000;
  if (z > 45 && ring(x, y, 0, 18, 11, 11) < 1) return 40;
  if (ring(x, y, 26, 52, 12, 12) < 1 && z < 75) return 215;
  const arch = Math.hypot(z - 72, (y - 12) * 0.9) - 40;
  if (z > 70 && Math.hypot(x - 18, arch) < 12) return 220;
  if (z > -10 && z < 75 && ring(x, y, 6, -28, 14, 14) < 1) return 225;
  if (z > 0 && ring(x, y, -28, -20, 9, 10) < 1) return 180;
  const heart = depth(x, y, z, [24, -26, -38], [62, 50, 58]);
  if (heart < 0.96) {
    const left = depth(x, y, z, [48, -14, -44], [26, 27, 36]) < 1;
    const right = depth(x, y, z, [-2, -42, -34], [30, 24, 34]) < 1;
    return left ? 240 : right ? 190 : 95;
  }
  if (heart < 1.05) return -80;
  return Math.abs(x) < 30 - 0.1 * z && y < 70 && z > -20 && ring(x, y, 0, 6, 34, 62) < 1 ? 20 : undefined;
}

function lung(x: number, y: number, z: number): number | undefined {
  const right = depth(x, y, z, [-80, 4, -12], [66, 92, 158]) < 1;
  const left = depth(x, y, z, [82, 6, -12], [64, 90, 158]) < 1;
  const dome = z < (right ? -62 : -78) - ((Math.abs(x) - 80) ** 2 + y * y) / 150;
  if ((!right && !left) || dome) return undefined;
  const nodule = depth(x, y, z, [-96, -18, 62], [8, 7, 8]);
  if (nodule < 1) return 35;
  return vessel(Math.abs(x), y, z) ? 60 : -840 + 0.35 * y;
}

/** Vessels fan out of the hilum: thin cones along directions that repeat. */
function vessel(x: number, y: number, z: number): boolean {
  const away = Math.hypot(x - 32, y - 8, z - 8);
  if (away < 6 || away > 105) return false;
  const turn = Math.atan2(z - 8, x - 32) * 5 + Math.sin(away / 17) * 0.5;
  const tilt = Math.asin((y - 8) / away) * 6 + Math.cos(away / 13) * 0.5;
  const offAxis = (Math.hypot(turn - Math.round(turn), tilt - Math.round(tilt)) * away) / 5.5;
  return offAxis < Math.min(4.4 - away * 0.032, away * 0.055);
}

function liver(x: number, y: number, z: number): number | undefined {
  if (z > -55) return undefined;
  if (depth(x, y, z, [-52, -6, -150], [104, 92, 96]) < 1) {
    return depth(x, y, z, [-70, 22, -140], [13, 12, 12]) < 1 ? 12 : 108;
  }
  if (depth(x, y, z, [104, 42, -140], [34, 42, 44]) < 1) return 118;
  return depth(x, y, z, [66, -26, -145], [48, 48, 52]) < 1 ? 8 : undefined;
}
