import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startStorescp, tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
/** In this order: the last one needs the first. */
const packages = ['core', 'dicom-dimse', 'orthanc', 'target-kit'];
let folder: TempFolder;
/** An empty project outside of the repository in which the packed packages are installed. */
let project: string;

beforeAll(async () => {
  folder = await tempFolder('packed');
  project = join(folder.path, 'project');
  await mkdir(project);
  await copyRepository();
  const files: string[] = [];
  for (const name of packages) files.push(await pack(name));
  await writeFile(join(project, 'package.json'), '{ "name": "consumer", "private": true }');
  await npm(['install', '--no-audit', '--no-fund', ...files], project);
});
afterAll(async () => {
  await folder?.remove();
});

/** Copies the files that packing needs: other tests use the packages of the repository meanwhile. */
async function copyRepository(): Promise<void> {
  await mkdir(join(folder.path, 'scripts'));
  await Promise.all([
    ...['package.json', 'tsconfig.base.json', 'scripts/pack-manifest.mjs'].map((file) =>
      cp(join(root, file), join(folder.path, file)),
    ),
    symlink(join(root, 'node_modules'), join(folder.path, 'node_modules')),
    ...packages.map(async (name) => {
      const from = join(root, 'packages', name);
      const to = join(folder.path, 'packages', name);
      await mkdir(to, { recursive: true });
      const entries = (await readdir(from)).filter((entry) => entry !== 'dist' && entry !== 'node_modules');
      await Promise.all(entries.map((entry) => cp(join(from, entry), join(to, entry), { recursive: true })));
      await symlink(join(from, 'node_modules'), join(to, 'node_modules'));
    }),
  ]);
}

/** @returns the archive */
async function pack(name: string): Promise<string> {
  const own = join(folder.path, 'packages', name);
  const { stdout } = await npm(['pack', '--json'], own);
  expect(JSON.parse(await readFile(join(own, 'package.json'), 'utf8'))).toEqual(
    JSON.parse(await readFile(join(root, 'packages', name, 'package.json'), 'utf8')),
  );
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [{ filename: string }];
  return join(own, filename);
}

/** Runs npm from PATH: any version is sufficient, and Node of this test may be installed without one. */
function npm(args: readonly string[], cwd: string): Promise<{ stdout: string }> {
  const env = { ...process.env, npm_config_cache: join(folder.path, 'npm-cache'), npm_config_update_notifier: 'false' };
  return run('npm', [...args], { cwd, env });
}

it('has what it needs, and nothing that only the repository needs', async () => {
  for (const name of ['dicom-dimse', '@dicom-dispatch/core', '@dicom-dispatch/orthanc', '@dicom-dispatch/target-kit']) {
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
const problem = new DispatchError('target-full', 'no space');
console.log(JSON.stringify({ status, data: typeof decodeDataSet, sameClass: problem instanceof targetKit.DispatchError }));
`;
  const names = {
    'dicom-dimse': '{ connect, TRANSFER_SYNTAX, UID }',
    'dicom-dimse/dataset': '{ decodeDataSet }',
    '@dicom-dispatch/orthanc': '{ createOrthancClient }',
    '@dicom-dispatch/core': '{ DispatchError }',
    '@dicom-dispatch/target-kit': '{ targetKit }',
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
    expect(JSON.parse(stdout), file).toMatchObject({ data: 'function', sameClass: true });
  }
  await typeCheck('typed.mts');
});

it('allows an external handler to be written, typed and tested with the installed target kit', async () => {
  await cp(join(root, 'examples/target-handler'), join(project, 'handler'), { recursive: true });
  const { stdout } = await run(process.execPath, ['--test', '--test-reporter=tap'], { cwd: join(project, 'handler') });
  expect(stdout).toMatch(/^# pass 3$/m);
  await typeCheck('handler/index.js', 'handler/index.test.js');
  const readme = await readFile(join(root, 'packages/target-kit/README.md'), 'utf8');
  const [written = '', tested = ''] = [...readme.matchAll(/```ts\n([^]*?)```/g)].map(([, text = '']) => text);
  await writeFile(join(project, 'lab.mts'), `${written}\n${tested}\nconsole.log(error?.message, reported.size);\n`);
  await typeCheck('lab.mts');
  expect((await run(process.execPath, ['lab.mts'], { cwd: project })).stdout).toBe('undefined 2\n');
});

/** Checks files of the project as strictly as TypeScript can. */
async function typeCheck(...files: readonly string[]): Promise<void> {
  const types = dirname(dirname(fileURLToPath(import.meta.resolve('@types/node/package.json'))));
  const options = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true };
  const own = { lib: ['es2024', 'esnext.array'], allowJs: true, checkJs: true, maxNodeModuleJsDepth: 0 };
  const node = { target: 'es2024', module: 'nodenext', types: ['node'], typeRoots: [types] };
  await writeFile(
    join(project, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...options, ...own, ...node }, files }),
  );
  await run(join(root, 'node_modules/.bin/tsc'), ['-p', project]).catch((error: { stdout?: string }) => {
    throw new Error(error.stdout ?? 'tsc failed', { cause: error });
  });
}

it('reports what to install if a data set is read without dcmjs', async () => {
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
