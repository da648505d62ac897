import { z } from 'zod';

const unitBytes = { B: 1, kB: 1000, MB: 1000 ** 2, GB: 1000 ** 3, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;
const pattern = /^(\d+(?:\.\d+)?)(B|kB|MB|GB|KiB|MiB|GiB)$/;

const sizeWords = 'a size is a number with a unit: 500kB, 64MB, 2GB or 1GiB';

/** A size in a configuration file (`64MB`, `1GiB`), in bytes. A bare `0` usually means "no limit". */
export const sizeBytes = z
  .union([z.string().regex(pattern, sizeWords), z.literal(0)], { error: sizeWords })
  .transform((text) => {
    if (text === 0) return 0;
    const match = pattern.exec(text);
    return match ? Math.round(Number(match[1]) * unitBytes[match[2] as keyof typeof unitBytes]) : 0;
  })
  .meta({ unit: 'size' });

/** A size for people, in decimal units as storage vendors use them. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}
