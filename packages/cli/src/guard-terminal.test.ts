import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { tempFolder } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';

it('prints no escape sequence and no bidirectional mark, from any source', async () => {
  await using folder = await tempFolder('terminal');
  const file = join(folder.path, 'hostile.yaml');
  // JSON is YAML: the parser turns the escapes into the characters themselves.
  await writeFile(file, '{ "sources": { "a": { "url": "\\u001b]0;owned\\u0007\\u202egpj\\u009b2J" } } }');
  const main = join(import.meta.dirname, 'main.ts');
  const failed = await promisify(execFile)(process.execPath, [main, 'config', 'check', file]).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  const printed = failed.stdout + failed.stderr;
  expect(printed).toContain('sources.a.url');
  // eslint-disable-next-line no-control-regex
  expect(printed).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  expect(printed).toContain('\\u202egpj');
});

it('logs no escape sequence and no mark of direction, however deep in the facts of a line they are', async () => {
  const facts = { text: '\u009b2J', inside: { list: ['\u202egpj', { more: '\u001b[31m' }] } };
  const script = `import { createLogger } from '@dicom-dispatch/runtime';
    createLogger('test', { level: 'info', format: 'pretty' }).info(${JSON.stringify(facts)}, 'hostile facts');`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: import.meta.dirname,
  });
  expect(stdout).toContain('hostile facts');
  expect(stdout).toContain('u202egpj');
  // eslint-disable-next-line no-control-regex
  expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
});
