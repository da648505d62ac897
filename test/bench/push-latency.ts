/**
 * Time from the change of a stable study in Orthanc to the first byte of its first instance at the target, with
 * the plugin's push and by polling alone.
 *
 *   ./dispatch bench push-latency [STUDIES]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import {
  readLongCommand,
  readNumbers,
  freePort,
  startOrthanc,
  startRedis,
  tempFolder,
  waitFor,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { createServer } from 'dicom-dimse';
import { startDispatch } from '../e2e/support/start-dispatch.ts';

const plugin = fileURLToPath(new URL('../../orthanc-plugin/dicom_dispatch.py', import.meta.url));
const { positionals } = readLongCommand({
  usage: './dispatch bench push-latency',
  about:
    'Time from the change of a stable study in Orthanc to the first byte at the target, by push and by polling, for STUDIES, default 40.',
  positionals: '[STUDIES]',
  options: {},
});
const [studies] = readNumbers(positionals, 40);

/** Orthanc's own date of a change has whole seconds: a callback records the time, to the microsecond. */
const stopwatch = (log: string, withPlugin: boolean): string => `
import time
import orthanc
register = orthanc.RegisterOnChangeCallback
inner = [lambda change, level, resource: None]
def stamp(change, level, resource):
    if change == orthanc.ChangeType.STABLE_STUDY:
        with open(${JSON.stringify(log)}, "a") as file:
            file.write("%.6f %s\\n" % (time.time(), resource))
    inner[0](change, level, resource)
def replace(callback):
    inner[0] = callback
orthanc.RegisterOnChangeCallback = replace
${withPlugin ? `exec(compile(open(${JSON.stringify(plugin)}).read(), "dicom_dispatch.py", "exec"))` : ''}
register(stamp)
`;

for (const withPlugin of [true, false]) {
  const latencies = await measure(withPlugin);
  const at = (share: number): string =>
    `${Math.round(latencies[Math.min(latencies.length - 1, Math.ceil(share * latencies.length) - 1)] ?? 0)} ms`;
  console.log(
    `${withPlugin ? 'with the plugin   ' : 'polling each second'}  ${latencies.length} studies  p50 ${at(0.5)}  p99 ${at(0.99)}`,
  );
}

async function measure(withPlugin: boolean): Promise<number[]> {
  await using folder = await tempFolder('push-latency');
  const log = join(folder.path, 'stable.log');
  const script = join(folder.path, 'stopwatch.py');
  await writeFile(log, '');
  await writeFile(script, stopwatch(log, withPlugin));
  const pushPort = await freePort();
  await using redis = await startRedis({ appendfsync: 'everysec' });
  await using orthanc = await startOrthanc({
    plugins: ['python'],
    pythonScript: script,
    extraConfig: { DicomDispatch: { Url: `http://127.0.0.1:${pushPort}`, Source: 'main', Secret: 'bench' } },
  });
  const arrived = new Map<string, number>();
  await using scp = createServer({
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
    handlers: {
      async store(instance) {
        const study = studyOf.get(instance.sopInstanceUid) ?? '';
        if (!arrived.has(study)) arrived.set(study, performance.timeOrigin + performance.now());
        for await (const _ of instance.dataSet);
        return 0;
      },
    },
  });
  const { port } = await scp.listen({ port: 0, host: '127.0.0.1' });
  const studyOf = new Map<string, string>();
  await using dispatch = await startDispatch({
    env: { PUSH_SECRET: 'bench' },
    config: {
      sources: { main: { url: orthanc.url, ...(withPlugin && { pushSecret: '${PUSH_SECRET}' }) } },
      targets: { pacs: { type: 'dicom', host: '127.0.0.1', port, calledAeTitle: 'BENCH' } },
      rules: [{ name: 'all', targets: ['pacs'] }],
      redis: { url: redis.url },
      push: { listen: `127.0.0.1:${pushPort}` },
    },
  });
  for (let seed = 0; seed < studies; seed += 1) {
    let id = '';
    for (const { bytes, sopInstanceUid } of makeStudy({ seed: `latency ${seed}`, instancesPerSeries: 3 })) {
      ({ ParentStudy: id } = await orthanc.upload(bytes));
      studyOf.set(sopInstanceUid, id);
    }
    await waitFor(() => arrived.has(id), { message: () => dispatch.output() });
  }
  const stable = new Map(
    (await readFile(log, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[1] ?? '', Number(line.split(' ')[0]) * 1000]),
  );
  return [...arrived].map(([id, at]) => at - (stable.get(id) ?? Number.NaN)).sort((a, b) => a - b);
}
