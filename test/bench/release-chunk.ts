// Savings by releasing chunks of instances to the source: CPU of 500 instances of 0.5 MB from Orthanc to
// storescp, with our source and handler, in separate processes, alternating.
//   ./dispatch bench release-chunk --help
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { readLongCommand, startOrthanc, startStorescp } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { openInstance, openSource, readManifest } from '@dicom-dispatch/sources';
import { resolveTarget } from '@dicom-dispatch/targets';
import { parse } from '../e2e/support/routing-system.ts';

const { values, positionals } = readLongCommand({
  usage: './dispatch bench release-chunk',
  about: 'Savings by releasing chunks of instances to the source: CPU of a study from Orthanc to storescp.',
  positionals: '[HOW URL STUDY UID PORT]',
  options: {
    instances: { type: 'number', default: 500, about: 'instances of 0.5 MB' },
    runs: { type: 'number', default: 3, about: 'rounds of each measurement' },
  },
});

/** One delivery, in this process. */
async function send(how: string, url: string, orthancStudyId: string, uid: string, port: string): Promise<void> {
  const { sources, targets } = parse({
    sources: { main: { url } },
    targets: { pacs: { type: 'dicom', host: '127.0.0.1', port: Number(port), calledAeTitle: 'STORESCP' } },
    rules: [{ name: 'all', targets: ['pacs'] }],
  });
  const orthanc = await openSource(sources['main']!);
  const { config, handler } = await resolveTarget('pacs', targets['pacs']);
  const manifest = await readManifest(orthanc, { source: 'main', orthancStudyId, studyInstanceUid: uid });
  const before = process.cpuUsage();
  const begunAt = performance.now();
  await handler.deliver({
    config,
    targetName: 'pacs',
    deliveryId: 'bench',
    attempt: 1,
    priority: 'normal',
    study: { studyInstanceUid: uid, study: {}, series: new Map() },
    manifest,
    pending: manifest,
    async open(instance, options) {
      const { releaseChunk, ...bytes } = await openInstance(orthanc, 'main', instance, options);
      return how === 'given-back' && releaseChunk ? { ...bytes, releaseChunk } : bytes;
    },
    stage() {},
    async report(_instance, outcome) {
      if (outcome.kind === 'quarantined') throw outcome.error;
    },
    revoke: () => Promise.reject(new Error('nothing is verified')),
    sent() {},
    state: { get: async () => undefined, set: async () => {}, delete: async () => {} },
    memory: { get: async () => undefined, set: async () => {}, delete: async () => {} },
    mailbox: {
      expect: async () => {},
      leave: async () => false,
      look: async () => undefined,
      forget: async () => {},
      close: async () => undefined,
      closed: async () => undefined,
      doubt: async () => {},
    },
    log: { info() {}, warn() {} },
    signal: new AbortController().signal,
  });
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - begunAt) / 1000;
  const rss = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ how, cpu: (user + system) / 1e6, seconds, rss }));
  await orthanc.close();
}

if (positionals.length > 0) {
  const [how = '', url = '', study = '', uid = '', port = ''] = positionals;
  await send(how, url, study, uid, port);
} else {
  await using orthanc = await startOrthanc();
  await using scp = await startStorescp({ ignore: true });
  let orthancStudyId = '';
  const study = makeStudy({ seed: 'give-back', instancesPerSeries: values.instances, rows: 512, columns: 512 });
  for (const { bytes } of study) ({ ParentStudy: orthancStudyId } = await orthanc.upload(bytes));
  for (let run = 0; run < values.runs * 2; run += 1) {
    const how = run % 2 === 0 ? 'kept' : 'given-back';
    const args = [import.meta.filename, how, orthanc.url, orthancStudyId, study.studyInstanceUid, String(scp.port)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    console.log(stdout.trim());
  }
}
