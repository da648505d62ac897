import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('loads of undici what it uses, not its fetch and what else its entry names', async () => {
  const file = JSON.stringify(new URL('undici-pool.ts', import.meta.url).href);
  const code = `await import(${file}); const { createRequire } = await import('node:module');
    console.log(Object.keys(createRequire(${file}).cache).filter((path) => path.includes('undici')).join('\\n'));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code]);
  expect(stdout).toContain('lib/dispatcher/pool.js');
  expect(stdout).not.toMatch(/undici\/index\.js|web\/fetch/);
});
