import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startStorescp, tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const packages = ['dicom-dimse', 'orthanc'];
let folder: TempFolder;
/** An empty project outside of the repository in which the packed packages are installed. */
let project: string;

beforeAll(async () => {
  folder = await tempFolder('packed');
  project = join(folder.path, 'project');
  await mkdir(project);
  const files = await Promise.all(packages.map(pack));
  await writeFile(join(project, 'package.json'), '{ "name": "consumer", "private": true }');
  await npm(['install', '--no-audit', '--no-fund', ...files], project);
}, 300_000);
afterAll(async () => {
  await folder?.remove();
});

/** Packs a copy of a package: others use the one of the repository meanwhile. @returns the archive */
async function pack(name: string): Promise<string> {
  const copy = join(folder.path, name);
  const own = join(copy, 'packages', name);
  await mkdir(own, { recursive: true });
  await Promise.all([
    ...['package.json', 'tsconfig.base.json', 'scripts/pack-manifest.mjs'].map((file) =>
      cp(join(root, file), join(copy, file)),
    ),
    symlink(join(root, 'node_modules'), join(copy, 'node_modules')),
    ...(await readdir(join(root, 'packages', name)))
      .filter((entry) => entry !== 'dist' && entry !== 'node_modules')
      .map((entry) => cp(join(root, 'packages', name, entry), join(own, entry), { recursive: true })),
    symlink(join(root, 'packages', name, 'node_modules'), join(own, 'node_modules')),
  ]);
  const { stdout } = await npm(['pack', '--json'], own);
  expect(JSON.parse(await readFile(join(own, 'package.json'), 'utf8'))).toEqual(
    JSON.parse(await readFile(join(root, 'packages', name, 'package.json'), 'utf8')),
  );
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [{ filename: string }];
  return join(own, filename);
}

/** The npm that belongs to the Node of this test is not always beside it: any will do. */
function npm(args: readonly string[], cwd: string): Promise<{ stdout: string }> {
  const env = { ...process.env, npm_config_cache: join(folder.path, 'npm-cache'), npm_config_update_notifier: 'false' };
  return run('npm', [...args], { cwd, env });
}

it('has what it needs, and nothing that only the repository needs', async () => {
  for (const name of ['dicom-dimse', '@dicom-dispatch/orthanc']) {
    const at = join(project, 'node_modules', name);
    const manifest = JSON.parse(await readFile(join(at, 'package.json'), 'utf8')) as Record<string, unknown>;
    expect(manifest).not.toHaveProperty('devDependencies');
    expect(JSON.stringify(manifest)).not.toMatch(/workspace:|src\//);
    expect((await readdir(at)).sort()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json']);
    const files = await readdir(join(at, 'dist'), { recursive: true });
    expect(files.filter((file) => file.includes('.test.') || /(?<!\.d)\.ts$/.test(file))).toEqual([]);
    for (const file of files.filter((one) => one.endsWith('.map'))) {
      const map = JSON.parse(await readFile(join(at, 'dist', file), 'utf8')) as {
        sources: string[];
        sourcesContent?: string[];
      };
      expect(map.sourcesContent?.length, file).toBe(map.sources.length);
    }
  }
});

it('works in an ESM, a CommonJS and a strict TypeScript project', async () => {
  await using scp = await startStorescp();
  const use = `const [host, port] = process.argv.slice(2);
const association = await connect({
  host, port: Number(port), calledAeTitle: '${scp.aet}', callingAeTitle: 'CONSUMER',
  presentationContexts: [{ abstractSyntax: UID.verification, transferSyntaxes: [TRANSFER_SYNTAX.implicitVrLittleEndian] }],
});
const status = await association.echo();
await association.release();
const client = createOrthancClient({ url: 'http://127.0.0.1:1' });
await client.close();
console.log(JSON.stringify({ status, data: typeof decodeDataSet }));
`;
  const names = {
    'dicom-dimse': '{ connect, TRANSFER_SYNTAX, UID }',
    'dicom-dimse/dataset': '{ decodeDataSet }',
    '@dicom-dispatch/orthanc': '{ createOrthancClient }',
  };
  const lines = Object.entries(names);
  const imports = lines.map(([from, what]) => `import ${what} from '${from}';`).join('\n');
  const requires = lines.map(([from, what]) => `const ${what} = require('${from}');`).join('\n');
  await writeFile(join(project, 'use.mjs'), `${imports}\n${use}`);
  await writeFile(join(project, 'use.cjs'), `${requires}\n(async () => {\n${use}})();\n`);
  await writeFile(
    join(project, 'typed.mts'),
    `${imports}\n${use.replace('const [host, port] =', 'const [host = "", port] =')}`,
  );
  for (const file of ['use.mjs', 'use.cjs']) {
    const { stdout } = await run(process.execPath, [file, scp.host, String(scp.port)], { cwd: project });
    expect(JSON.parse(stdout), file).toMatchObject({ data: 'function' });
  }
  const types = dirname(dirname(fileURLToPath(import.meta.resolve('@types/node/package.json'))));
  const options = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true };
  const compilerOptions = { ...options, target: 'es2024', module: 'nodenext', types: ['node'], typeRoots: [types] };
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.mts'] }));
  await run(join(root, 'node_modules/.bin/tsc'), ['-p', project]).catch((error: { stdout?: string }) => {
    throw new Error(error.stdout ?? 'tsc failed', { cause: error });
  });
});

it('says what to install where a data set is read without dcmjs', async () => {
  const without = join(folder.path, 'without');
  await cp(join(project, 'node_modules/dicom-dimse'), join(without, 'node_modules/dicom-dimse'), { recursive: true });
  await writeFile(
    join(without, 'use.mjs'),
    `import { encodeDataSet } from 'dicom-dimse/dataset';
try { encodeDataSet({ PatientID: '1' }, '1.2.840.10008.1.2'); console.log('encoded'); } catch (error) { console.log(error.message); }`,
  );
  const { NODE_PATH: _, ...env } = process.env;
  const { stdout } = await run(process.execPath, ['use.mjs'], { cwd: without, env });
  expect(stdout).toContain('npm install dcmjs');
});
