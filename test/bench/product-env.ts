/** Environment as set by `./dispatch` for a service, so that figures are those of the product. */
export const productEnv: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1', NODE_DISABLE_COMPILE_CACHE: '1' };

/** Node options as set by both; BENCH_NODE_FLAGS adds some, e.g. `--import` of a module that writes a profile. */
export const productFlags: readonly string[] = [
  '--max-semi-space-size=4',
  ...(process.env['BENCH_NODE_FLAGS']?.split(' ') ?? []),
];
