import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isExternal, loadHandler, readOptions } from './index.ts';

/** A handler as in a module; arguments override its parts. */
function moduleText(parts: Readonly<Record<string, string>> = {}): string {
  const whole = {
    contractVersion: 'kit.contractVersion',
    type: `'outside'`,
    schema: 'kit.z.strictObject({ type: kit.z.string(), ...kit.targetOptions, path: kit.z.string() })',
    deliver: 'async () => {}',
    testConnection: 'async function* () {}',
    ...parts,
  };
  const properties = Object.entries(whole).map(([name, text]) => `${name}: ${text}`);
  return `export const createHandler = (kit) => ({ ${properties.join(', ')} });`;
}

describe('handlers from outside', () => {
  let folder: TempFolder;
  let count = 0;
  beforeAll(async () => {
    folder = await tempFolder('outside');
    await file('package.json', '{ "type": "module" }');
  });
  afterAll(() => folder.remove());

  async function file(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(folder.path, path)), { recursive: true });
    await writeFile(join(folder.path, path), text);
  }

  async function loadText(text: string) {
    count += 1;
    await file(`module-${count}.js`, text);
    return loadHandler(`package:./module-${count}.js`, { folder: folder.path });
  }

  it('are known by their type', () => {
    expect(isExternal('package:x')).toBe(true);
    expect(isExternal('folder')).toBe(false);
  });

  it('are loaded from a file, as an object or from a function', async () => {
    const made = await loadText(moduleText());
    expect(made.type).toBe('outside');
    const text = moduleText().replace('export const createHandler = (kit) =>', 'const make = (kit) =>');
    expect((await loadText(`${text} export default async (kit) => make(kit);`)).type).toBe('outside');
    const given = `import { z } from '${import.meta.resolve('zod')}'; const kit = { contractVersion: 1, z, targetOptions: {} }; ${text}`;
    expect((await loadText(`${given} export const handler = make(kit);`)).type).toBe('outside');
  });

  it.each([
    ['"./main.js"', 'main.js'],
    ['{ "import": "./esm/main.js" }', 'esm/main.js'],
    ['{ ".": { "types": "./x.d.ts", "import": { "default": "./main.js" } } }', 'main.js'],
  ])('are loaded from an installed package with exports %s', async (exports, main) => {
    count += 1;
    const name = `@site/target-${count}`;
    await file(`node_modules/${name}/package.json`, `{ "name": "${name}", "type": "module", "exports": ${exports} }`);
    await file(`node_modules/${name}/${main}`, moduleText());
    expect((await loadHandler(`package:${name}`, { folder: folder.path })).type).toBe('outside');
    // From a folder below, as any import.
    await mkdir(join(folder.path, 'etc'), { recursive: true });
    expect((await loadHandler(`package:${name}`, { folder: join(folder.path, 'etc') })).type).toBe('outside');
  });

  it.each(['package:', 'package:..', 'package:http://x', 'package:a b', 'package:A', 'package:x/../../y', 'folder'])(
    '%s names nothing that could be loaded',
    async (type) => {
      await expect(loadHandler(type, { folder: folder.path })).rejects.toMatchObject({
        code: 'config-invalid',
        stage: 'resolve',
      });
    },
  );

  it.each(['package:no-such-package', 'package:./no-such-file.js', 'package:/no/such/folder'])(
    '%s is not there',
    async (type) => {
      await expect(loadHandler(type, { folder: folder.path })).rejects.toMatchObject({
        code: 'handler-missing',
        message: expect.stringContaining(type),
      });
    },
  );

  it.each([
    ['throws while it is loaded', `throw new Error('needs libfoo')`, 'needs libfoo'],
    ['has a mistake', 'export const = 1', 'cannot be loaded'],
    ['needs what is not installed', `import 'not-installed'`, 'not-installed'],
    ['exports nothing', 'export {}', 'must export an object named "handler"'],
    ['exports something else', 'export const handler = 7', 'must export an object named "handler"'],
    ['is of another version', moduleText({ contractVersion: '2' }), 'version 2 of the handler contract'],
    ['says no version', moduleText({ contractVersion: 'undefined' }), 'does not state its contract version'],
    ['has no type', moduleText({ type: '7' }), 'type is not a string'],
    ['has no schema', moduleText({ schema: '{}' }), 'schema is not a zod schema'],
    ['cannot deliver', moduleText({ deliver: 'undefined' }), 'deliver is not a function'],
    ['cannot be tested', moduleText({ testConnection: '{}' }), 'testConnection is not a function'],
    ['serves with something else', moduleText({ serve: '7' }), 'serve is not a function'],
    ['says nothing of itself', moduleText({ about: '{}' }), 'about.displayName is not a string'],
    ['can be pulled from by halves', moduleText({ pull: '{ find() {} }' }), 'pull.retrieve is not a function'],
  ])('one that %s is refused in words', async (_name, text, words) => {
    await expect(loadText(text)).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining(words),
    });
  });

  it('read their own options, and have to keep those of every target', async () => {
    const handler = await loadText(moduleText());
    const type = 'package:./x.js';
    expect(readOptions(handler, 'web', { type, path: '/x' })).toMatchObject({ path: '/x', attempts: 8, enabled: true });
    expect(() => readOptions(handler, 'web', { type, path: 7, more: 1 })).toThrow(/path: .*more/s);
    const forgetful = await loadText(moduleText({ schema: 'kit.z.object({ type: kit.z.string() })' }));
    expect(() => readOptions(forgetful, 'web', { type })).toThrow(/does not accept .*attempts/);
  });
});
