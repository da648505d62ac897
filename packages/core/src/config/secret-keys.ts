import { z } from 'zod';
import { secret, type Secret } from './secret.ts';

/**
 * A key that can be rotated: one secret, or a list. The first is used for what is new, every one of them for what is
 * there already.
 */
export const secretKeys = z
  .union([secret, z.array(secret).min(1).max(5)], {
    error: 'a key is ${NAME} from the environment or { file: PATH }, or a list of these, the newest first',
  })
  .transform((value): readonly Secret[] => (Array.isArray(value) ? value : [value]));
