// What it saves that chunks of instances are given back to the source: CPU of 500 instances of 0.5 MB from Orthanc to
// storescp, through our source and handler, in processes of their own, by turns.
//   ./dispatch bench give-back [--instances 500] [--runs 3]
import { execFile } from 'node:child_process';
import { parseArgs, promisify } from 'node:util';
import type { ManifestInstance } from '@dicom-dispatch/core';
import { startOrthanc, startStorescp } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { openInstance, openSource, readManifest } from '@dicom-dispatch/sources';
import { TestDelivery } from '../../packages/targets/src/contract-suite/run-fixture.ts';
import { sourceConfig } from '../../packages/core/src/config/source-config.ts';
import { dicomHandler } from '../../packages/targets/src/dicom/handler.ts';
import { dicomTarget } from '../../packages/targets/src/dicom/schema.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { instances: { type: 'string', default: '500' }, runs: { type: 'string', default: '3' } },
});

/** One delivery, in this process. */
async function send(how: string, url: string, orthancStudyId: string, uid: string, port: string): Promise<void> {
  const orthanc = await openSource(sourceConfig.parse({ url }));
  const study = { source: 'main', orthancStudyId, studyInstanceUid: uid };
  const manifest: readonly ManifestInstance[] = await readManifest(orthanc, study);
  const tags = { studyInstanceUid: uid, study: {}, series: new Map() };
  const noBytes = () => ({ read: () => [], facts: () => Promise.reject(new Error('not asked')) });
  const instances = manifest.map((one) => ({ manifest: one, ...noBytes() }));
  const config = dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port: Number(port), calledAeTitle: 'STORESCP' });
  const before = process.cpuUsage();
  const begunAt = performance.now();
  const attempt = await new TestDelivery(dicomHandler, { tags, instances }).attempt(config, {
    run: {
      async open(instance, options) {
        const { giveBack, ...bytes } = await openInstance(orthanc, 'main', instance, options);
        return how === 'given-back' && giveBack ? { ...bytes, giveBack } : bytes;
      },
    },
  });
  if (attempt.error) throw attempt.error;
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
  const study = makeStudy({ seed: 'give-back', instancesPerSeries: Number(values.instances), rows: 512, columns: 512 });
  for (const { bytes } of study) ({ ParentStudy: orthancStudyId } = await orthanc.upload(bytes));
  for (let run = 0; run < Number(values.runs) * 2; run += 1) {
    const how = run % 2 === 0 ? 'kept' : 'given-back';
    const args = [import.meta.filename, how, orthanc.url, orthancStudyId, study.studyInstanceUid, String(scp.port)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    console.log(stdout.trim());
  }
}
