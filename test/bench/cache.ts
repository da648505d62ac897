// Counts the requests to Orthanc for one study to four targets with a transform and one retry, with the cache off and on,
// and writes it into docs/capacity.md:
//   ./dispatch bench cache --help
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@dicom-dispatch/core';
import { readLongCommand, startCountingProxy, tempFolder } from '@dicom-dispatch/harness';
import { startFaultScp } from '../e2e/support/fault-scp.ts';
import { pacsTarget } from '../e2e/support/pacs-target.ts';
import { startRoutingSystem, type RoutingSystem } from '../e2e/support/routing-system.ts';

const { values } = readLongCommand({
  usage: './dispatch bench cache',
  about: 'Requests to Orthanc for one study to four targets with a transform and one retry, with the cache off and on.',
  options: {
    instances: { type: 'number', default: 100, about: 'instances of the study' },
    write: { type: 'boolean', about: 'write the result into docs/capacity.md' },
  },
});
const { instances } = values;
const rows = 256;

interface Counted {
  readonly name: string;
  readonly manifests: number;
  readonly transforms: number;
  readonly files: number;
  readonly requests: number;
  readonly seconds: number;
}

const transforms = { named: { set: { InstitutionName: 'Elsewhere' } } };

/** One study to four targets; the receiver of one crashes during its first attempt. */
async function measure(system: RoutingSystem, name: string, cache: object, transform?: string): Promise<Counted> {
  await using proxy = await startCountingProxy(system.orthanc.url);
  await using scp = await startFaultScp();
  let hasDied = false;
  scp.answer = (_uid, count) => {
    if (hasDied || count < instances / 2) return 0;
    hasDied = true;
    void scp.down().then(() => scp.up());
    return 0x0110;
  };
  const targets = {
    pacs: pacsTarget(scp, { maxParallel: 2 }),
    one: { type: 'dummy' },
    two: { type: 'dummy' },
    three: { type: 'dummy' },
  };
  const names = Object.keys(targets);
  const rules = [{ name: 'all', targets: names, ...(transform !== undefined && { transform }) }];
  const sources = { main: { url: proxy.url, pollInterval: '100ms' } };
  await using run = await system.start({ targets, transforms, rules, sources, cache });
  const study = await system.upload({ seed: name, instancesPerSeries: instances, rows, columns: rows });
  for (const target of names) await run.until(study, target, 'any');
  const begunAt = performance.now();
  for (const target of names) await run.until(study, target, 'delivered');
  const seconds = (performance.now() - begunAt) / 1000;
  const { attempts } = await run.until(study, 'pacs', 'delivered');
  if (attempts < 2 || scp.accepted().size !== instances) throw new Error(`${attempts} attempts: not what is measured`);
  await system.client.studies.delete(study.orthancStudyId);
  return {
    name,
    manifests: proxy.count('POST', /bulk-content$/) + proxy.count('GET', /\/studies\/[^/]+\/instances$/),
    transforms: proxy.count('POST', /\/instances\/[^/]+\/(modify|anonymize)$/),
    files: proxy.count('GET', /\/instances\/[^/]+\/file$/),
    requests: proxy.requests.filter(({ path }) => /^\/(studies|series|instances|tools)\//.test(path)).length,
    seconds,
  };
}

const results: Counted[] = [];
await using system = await startRoutingSystem();
await using folder = await tempFolder('cache-bench');
const version = (await system.client.system()).Version;
const inFolder = { folder: { path: folder.path } };
const inRedis = { secret: new Secret('a key for benchmarks') };
// A first run compiles the code; it is not counted.
await measure(system, 'warm-up', { enabled: false }, 'named');
results.push(await measure(system, 'transform, cache off', { enabled: false }, 'named'));
results.push(await measure(system, 'transform, cache in a folder', inFolder, 'named'));
results.push(await measure(system, 'transform, cache in Redis, encrypted', inRedis, 'named'));
results.push(await measure(system, 'transform, neither folder nor secret', {}, 'named'));
results.push(await measure(system, 'as stored, cache off', { enabled: false }));
results.push(await measure(system, 'as stored, cache on', {}));

const table = results.map(
  (one) => `| ${one.name} | ${one.manifests} | ${one.transforms} | ${one.files} | ${one.requests} |`,
);
const text = `Counted by \`./dispatch bench cache --write\` with a proxy in front of Orthanc ${version}: one study of ${instances} instances (${rows} x ${rows})
to four targets at the same time; the first attempt at one of them is interrupted and retried.

| | manifest reads | transforms | files fetched | requests for the study |
| --- | --- | --- | --- | --- |
${table.join('\n')}

- The figures include the read of the router: with the cache this is the only read of the manifest.
- With storage for them (a folder, or Redis with a secret) instances are transformed once; without the cache they are transformed for
  each target and attempt. Instances that are sent as stored are not cached, because Orthanc returns them faster than Redis would.`;
console.log(text);
// Not for the document: it depends on other load of the machine.
for (const { name, seconds } of results) console.log(`${name}: ${seconds.toFixed(1)} s until delivered`);
if (values.write) await writeSection(text);

async function writeSection(section: string): Promise<void> {
  const [begin, end] = ['<!-- begin cache-use -->', '<!-- end cache-use -->'];
  const file = join(import.meta.dirname, '../../docs/capacity.md');
  const before = await readFile(file, 'utf8');
  const [head = '', rest = ''] = before.split(begin);
  const [, tail = ''] = rest.split(end);
  if (!before.includes(begin) || !before.includes(end)) throw new Error(`${file} has no place for the figures`);
  await writeFile(file, `${head}${begin}\n${section}\n${end}${tail}`);
}
