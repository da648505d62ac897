// Loads what services load, once, so that what Node compiles of it is kept where NODE_COMPILE_CACHE says.
// The folder of the cache has the user's id in its name: to be run as the user of the services.
//   NODE_COMPILE_CACHE=FOLDER node warm-compile-cache.mjs APP
import { globSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';

const app = process.argv[2] ?? '/app';
const parts = [
  'packages/cli/src/create-program.ts',
  'services/*/src/index.ts',
  'packages/targets/src/*/handler.ts',
  'packages/targets/src/http/oauth2-token.ts',
];
for (const part of globSync(parts, { cwd: app })) await import(join(app, part));
flushCompileCache();
