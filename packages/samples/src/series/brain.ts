import { depth } from './body.ts';

export const tissues = ['air', 'skin', 'skull', 'fluid', 'grey', 'white', 'nucleus', 'lesion', 'eye'] as const;
export type Tissue = (typeof tissues)[number];

/** The tissue of a head at a point (millimetres; x to the left, y to the back, z to the head). Not anatomically accurate. */
export function head(x: number, y: number, z: number): Tissue {
  const outside = depth(x, y, z, [0, 4, 0], [80, 98, 94]);
  if (outside > 1) return 'air';
  if (outside > 0.89) return 'skin';
  if (z < -12 && depth(Math.abs(x), y, z, [32, -70, -28], [12, 13, 12]) < 1) return 'eye';
  if (outside > 0.8) return 'skull';
  return brain(x, y, z, outside);
}

function brain(x: number, y: number, z: number, outside: number): Tissue {
  const side = Math.abs(x);
  const around = Math.atan2(y, side);
  const folds = Math.sin(around * 19 + z * 0.16) * 0.5 + Math.sin(around * 9 - z * 0.23 + (x > 0 ? 0.7 : 0)) * 0.5;
  const surface = 0.76 + 0.045 * folds;
  const fissure = side < 1.2 + Math.max(0, 0.04 * (Math.abs(y) - 40)) && z > -20;
  if (outside > surface || fissure) return 'fluid';
  if (ventricle(side, y, z)) return 'fluid';
  if (depth(x, y, z, [34, 12, 26], [9, 8, 7]) < 1 || depth(x, y, z, [-26, -30, 32], [4, 4, 4]) < 1) return 'lesion';
  if (depth(side, y, z, [13, 12, 2], [9, 14, 9]) < 1 || depth(side, y, z, [22, -10, 4], [6, 15, 9]) < 1)
    return 'nucleus';
  const cortex = 0.6 + 0.13 * folds;
  return outside > cortex || (side < 5 && z > 24) ? 'grey' : 'white';
}

function ventricle(side: number, y: number, z: number): boolean {
  const bend = 8 + Math.abs(y - 2) * 0.22;
  const lateral = z > 2 && z < 26 && y > -34 && y < 42 && ((side - bend) / 5.5) ** 2 + ((z - 14) / 11) ** 2 < 1;
  const third = side < 2.6 && z > -16 && z < 6 && y > -12 && y < 18;
  return lateral || third || depth(side, y, z, [0, 42, -38], [7, 7, 12]) < 1;
}

export type Contrast = 'T1' | 'T2' | 'FLAIR';

/** How bright each tissue is in a weighting. */
export const signals: Readonly<Record<Contrast, Readonly<Record<Tissue, number>>>> = {
  T1: { air: 0, skin: 940, skull: 90, fluid: 130, grey: 430, white: 620, nucleus: 480, lesion: 300, eye: 150 },
  T2: { air: 0, skin: 640, skull: 70, fluid: 1150, grey: 560, white: 390, nucleus: 470, lesion: 880, eye: 1100 },
  FLAIR: { air: 0, skin: 560, skull: 60, fluid: 90, grey: 520, white: 400, nucleus: 460, lesion: 980, eye: 120 },
};
