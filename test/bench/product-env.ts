import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Environment as set by `./dispatch` and the image, so that figures are those of the product. */
export const productEnv: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '1',
  NODE_COMPILE_CACHE: join(tmpdir(), 'dicom-dispatch-bench', 'compile'),
};

/** Node options as set by both; BENCH_NODE_FLAGS adds some, e.g. `--import` of a module that writes a profile. */
export const productFlags: readonly string[] = [
  '--max-semi-space-size=4',
  ...(process.env['BENCH_NODE_FLAGS']?.split(' ') ?? []),
];
