/**
 * Speed of rules: 1,000 of them on 10,000 studies, and their share of the time to route a study from
 * a real Orthanc.
 *
 *   ./dispatch bench rules [RULES] [STUDIES] [ROUTED]
 */
import { performance } from 'node:perf_hooks';
import { compileRules, routeStudy, type CompiledRule, type Config, type RuleFacts } from '@dicom-dispatch/core';
import { openPipeline, readForRouting, StudyEnqueuer } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import { openSource } from '@dicom-dispatch/sources';
import { readLongCommand, readNumbers } from '@dicom-dispatch/harness';
import { parse, startRoutingSystem } from '../e2e/support/routing-system.ts';

const { positionals } = readLongCommand({
  usage: './dispatch bench rules',
  about:
    'Speed of RULES (default 1000) on STUDIES (default 10000), and their share of the time to route ROUTED studies (default 60) from a real Orthanc.',
  positionals: '[RULES] [STUDIES] [ROUTED]',
  options: {},
});
const [rules, studies, routed] = readNumbers(positionals, 1_000, 10_000, 60);

const modalities = ['CT', 'MR', 'US', 'CR', 'DX', 'NM', 'PT', 'XA', 'MG', 'SR'];
const regions = ['Thorax', 'Abdomen', 'Head', 'Knee', 'Spine', 'Pelvis', 'Hand', 'Heart'];

/** Typical rules of departments: by modality, station, description, age, sender, time. Each is different. */
const shapes: readonly ((index: number) => string)[] = [
  (n) =>
    `"${of(modalities, n)}" in study.ModalitiesInStudy && study.StudyDescription.startsWith("${of(regions, n)} ${n}")`,
  (n) => `glob(study.StudyDescription, "*${of(regions, n)}*protocol ${n}*")`,
  (n) => `series.exists(s, s.Modality == "${of(modalities, n)}" && s.StationName == "STATION${n}")`,
  (n) => `has(study.AccessionNumber) && study.AccessionNumber.endsWith("-${n}")`,
  (n) => `origin.RemoteAET == "SCANNER${n % 50}" && study.ReferringPhysicianName == "REF^${n}"`,
  (n) => `age(study) < ${(n % 18) + 1}.0 && "${of(modalities, n)}" in study.ModalitiesInStudy`,
  (n) => `now.getHours("Europe/Berlin") >= ${n % 24} && source == "site${n}"`,
  (n) => `study.InstitutionName in ["Site ${n}", "Site ${n + 1}"] || study.StudyID == "${n}"`,
];

function of(list: readonly string[], index: number): string {
  return list[index % list.length] ?? '';
}

function configOf(more: object = {}): Config {
  return parse({
    sources: { main: { url: 'http://127.0.0.1:1' } },
    targets: { a: { type: 'dummy' }, b: { type: 'dummy' } },
    rules: Array.from({ length: rules }, (_, index) => ({
      name: `rule-${index}`,
      when: shapes[index % shapes.length]?.(index),
      targets: [index % 2 === 0 ? 'a' : 'b'],
    })),
    ...more,
  });
}

function factsOf(index: number): RuleFacts {
  const modality = of(modalities, index);
  const series = Array.from({ length: (index % 4) + 1 }, (_, at) => ({
    Modality: modality,
    SeriesDescription: `${of(regions, index)} ${at}`,
    StationName: `STATION${index % 40}`,
  }));
  return {
    source: 'main',
    study: {
      StudyDescription: `${of(regions, index)} ${index % 700} protocol ${index % 300}`,
      PatientAge: `${String(index % 100).padStart(3, '0')}Y`,
      StudyDate: '20260301',
      ...(index % 3 > 0 && { AccessionNumber: `A${index}-${index % 900}` }),
      InstitutionName: `Site ${index % 2_000}`,
      StudyID: String(index),
      ReferringPhysicianName: `REF^${index % 1_000}`,
      ModalitiesInStudy: [modality],
    },
    series,
    origin: { RemoteAET: `SCANNER${index % 50}`, CalledAET: 'ORTHANC', ArrivedAt: new Date(1_772_000_000_000) },
    now: new Date(1_772_000_000_000 + index * 1_000),
  };
}

const compiled = measureCompilation();
measureEvaluations(compiled);
await measureShare();

function measureCompilation(): CompiledRule[] {
  const config = configOf();
  const start = performance.now();
  const result = compileRules(config.rules, config);
  console.log(`compiling ${rules} rules: ${Math.round(performance.now() - start)} ms, once for each configuration`);
  return result;
}

function measureEvaluations(all: readonly CompiledRule[]): void {
  const facts = Array.from({ length: studies }, (_, index) => factsOf(index));
  for (const one of facts.slice(0, 200)) routeStudy(all, one);
  let matches = 0;
  const start = performance.now();
  for (const one of facts) matches += routeStudy(all, one).rules.length;
  const ms = performance.now() - start;
  const perSecond = (rules * studies) / (ms / 1_000);
  console.log(
    `${rules} rules on ${studies} studies: ${(ms / 1_000).toFixed(1)} s, ${Math.round(perSecond).toLocaleString('en-GB')} evaluations a second, ${(ms / studies).toFixed(2)} ms a study; ${(matches / studies).toFixed(1)} rules match a study`,
  );
}

/** With real servers: the time of reading from Orthanc, of the rules, and of adding to the queues. */
async function measureShare(): Promise<void> {
  await using system = await startRoutingSystem();
  const config = configOf({
    sources: { main: { url: system.orthanc.url } },
    redis: { url: system.redis.url },
    rules: [
      ...Array.from({ length: rules - 1 }, (_, index) => ({
        name: `rule-${index}`,
        when: shapes[index % shapes.length]?.(index),
        targets: ['a'],
      })),
      { name: 'all', targets: ['b'] },
    ],
  });
  const log = createLogger('bench', { level: 'silent', format: 'json' });
  const redis = connectRedis(system.redis.url, 'bench', log);
  const operations = openPipeline(config, redis);
  const enqueuer = new StudyEnqueuer(config, redis, operations.records);
  const orthanc = await openSource(config.sources['main']!);
  const all = compileRules(config.rules, config);
  const spent = { read: 0, rules: 0, enqueue: 0 };
  for (let index = 0; index < routed + 5; index += 1) {
    const { orthancStudyId } = await system.upload({ seed: `bench-${index}`, instancesPerSeries: 10 });
    const start = performance.now();
    const snapshot = await readForRouting(orthanc, config, all, { source: 'main', orthancStudyId });
    const read = performance.now();
    const routing = routeStudy(all, snapshot.study.facts);
    const judged = performance.now();
    await enqueuer.enqueue({
      source: 'main',
      epoch: '1',
      study: snapshot.study,
      manifest: snapshot.manifest,
      rules: routing.rules,
      deliveries: routing.deliveries,
      senders: snapshot.senders,
      instanceTags: snapshot.instanceTags,
    });
    // The first ones are slow: code is compiled, connections are opened.
    if (index < 5) continue;
    spent.read += read - start;
    spent.rules += judged - read;
    spent.enqueue += performance.now() - judged;
  }
  const whole = spent.read + spent.rules + spent.enqueue;
  const part = (ms: number): string => `${(ms / routed).toFixed(2)} ms (${Math.round((ms / whole) * 100)} %)`;
  console.log(
    `routing a study of 10 instances from Orthanc, mean of ${routed}: ${(whole / routed).toFixed(2)} ms; reading ${part(spent.read)}, ${rules} rules ${part(spent.rules)}, queues ${part(spent.enqueue)}`,
  );
  await enqueuer.close();
  await operations.close();
  await orthanc.close();
  redis.disconnect();
}
