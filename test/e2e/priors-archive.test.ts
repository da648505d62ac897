import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startDcmqrscp, startFaultProxy, startOrthanc, tempFolder, waitFor } from '@dicom-dispatch/harness';
import type { SampleStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { runCli } from './support/run-cli.ts';
import { got, priorStudy, ruleWith, startPriorsSystem, stepOf, uidsOf } from './support/priors.ts';
import type { RunningRouting } from './support/routing-system.ts';

let scene: Awaited<ReturnType<typeof startPriorsSystem>>;
beforeAll(async () => {
  scene = await startPriorsSystem();
});
afterAll(async () => {
  await scene.system[Symbol.asyncDispose]();
});

/** Orthanc's id of a study in the source, and the result of the rules when it was reported stable. */
async function stableAtSource(run: RunningRouting, study: SampleStudy) {
  const found = await scene.system.client.lookup(study.studyInstanceUid);
  const orthancStudyId = found.find(({ Type }) => Type === 'Study')?.ID ?? '';
  await scene.stable({ orthancStudyId });
  return run.operations.records.deliveriesOf({ source: 'main', orthancStudyId });
}

describe('priors that an archive has', () => {
  it('are pulled by C-FIND and C-GET, arrive first, once, and are no new arrivals in the source', async () => {
    const patient = 'P1';
    await using qrscp = await startDcmqrscp();
    await using folder = await tempFolder('priors');
    const years = [2017, 2018, 2019, 2020, 2021, 2022, 2023, 2024];
    const eight = new Map(years.map((year) => [year, priorStudy({ patient, date: `${year}0301` })]));
    for (const { bytes, sopInstanceUid } of [...eight.values()].flatMap((study) => [...study])) {
      await writeFile(join(folder.path, `${sopInstanceUid}.dcm`), bytes);
    }
    await promisify(execFile)('storescu', ['-aec', qrscp.aet, qrscp.host, String(qrscp.port), '+sd', folder.path]);
    for (const year of [2018, 2020, 2022]) await scene.upload({ patient, date: `${year}0301` });

    await using pacs = await startFaultScp();
    await using everything = await startFaultScp();
    const options = {
      targets: {
        pacs: pacsTarget(pacs),
        everything: pacsTarget(everything),
        archive: { type: 'dicom', host: qrscp.host, port: qrscp.port, calledAeTitle: qrscp.aet },
      },
      rules: [
        ruleWith({ count: 2, from: 'archive', first: true }),
        { name: 'old', when: 'study.StudyID == "OLD"', targets: ['everything'] },
      ],
    };
    const [newest, second] = [eight.get(2024)!, eight.get(2023)!];
    {
      await using run = await scene.start(options);
      // A dry run names what would be pulled, and pulls nothing.
      const planned = await scene.upload({ patient, date: '20250215', attributes: { StudyID: 'NEW' } });
      const { redis, orthanc, client } = scene.system;
      const sources = { main: { url: orthanc.url } };
      const { prefix } = run.config.redis;
      const file = { ...options, sources, redis: { url: redis.url, prefix } };
      await writeFile(join(folder.path, 'dispatch.yaml'), JSON.stringify(file));
      const dry = await runCli(folder.path, 'rules', 'test', '--study', planned.studyInstanceUid);
      expect(dry.out, dry.err).toContain(
        `  with ${newest.studyInstanceUid} from archive: rule new: number 1 of the 2 newest earlier studies\n  with ${second.studyInstanceUid} from archive: `,
      );
      await client.studies.delete(planned.orthancStudyId);
      expect(await client.lookup(newest.studyInstanceUid)).toEqual([]);

      const study = await scene.uploadNew(patient, '20250301');
      await run.until(study, 'pacs', 'delivered');
      expect(got(pacs).slice(0, 2).sort()).toEqual(uidsOf(newest, second));
      expect(got(pacs).slice(2).sort()).toEqual(uidsOf(study));
      const step = await stepOf(run, study);
      expect(step.chosen.map(({ studyInstanceUid, from, state }) => [studyInstanceUid, from, state])).toEqual([
        [newest.studyInstanceUid, 'archive', 'sent'],
        [second.studyInstanceUid, 'archive', 'sent'],
      ]);
      // Studies that the source has are not requested from the archive.
      expect(step.left.map(({ from }) => from).sort()).toEqual([
        ...Array(3).fill('archive'),
        ...Array(3).fill('source'),
      ]);

      for (const prior of [newest, second]) {
        expect((await stableAtSource(run, prior)).map(({ target }) => target)).toEqual(['pacs']);
      }
      const next = await scene.uploadNew(patient, '20250401');
      await run.until(next, 'pacs', 'delivered');
      expect(got(pacs).slice(4).sort()).toEqual(uidsOf(next));
      expect(got(everything)).toEqual([]);
      expect((await stepOf(run, next)).chosen.map(({ state }) => state)).toEqual(['there', 'there']);
    }

    // If Redis does not know them, as after restoring an older backup, their marks in the source identify them.
    await using restored = await scene.start(options);
    for (const prior of [newest, second]) expect(await stableAtSource(restored, prior)).toEqual([]);
    const [own] = await stableAtSource(restored, eight.get(2022)!);
    expect(own?.target).toBe('everything');
    await restored.until(eight.get(2022)!, 'everything', 'delivered');
    expect(got(everything)).toEqual(uidsOf(eight.get(2022)!));
  });

  it('are pulled by QIDO-RS and WADO-RS, and from an Orthanc; two rules and two targets together', async () => {
    const patient = 'P2';
    await using archive = await startOrthanc({ plugins: ['dicomweb'] });
    const priors = [2023, 2024].map((year) => priorStudy({ patient, date: `${year}0301` }));
    const other = priorStudy({ patient, date: '20240401', attributes: { IssuerOfPatientID: 'OTHER' } });
    for (const { bytes } of [...priors, other].flatMap((one) => [...one])) await archive.upload(bytes);
    await using pacs = await startFaultScp();
    await using second = await startFaultScp();
    await using run = await scene.start({
      targets: {
        pacs: pacsTarget(pacs),
        second: pacsTarget(second),
        web: { type: 'dicomweb', url: `${archive.url}/dicom-web` },
        rest: { type: 'orthanc', url: archive.url },
      },
      rules: [
        ruleWith({ count: 1, from: 'web' }, { targets: ['pacs', 'second'] }),
        ruleWith({ count: 2, from: 'rest', targets: ['second'] }, { name: 'rest', targets: ['second'] }),
      ],
    });
    const study = await scene.uploadNew(patient, '20250301');
    await waitFor(() => got(pacs).length === 3 && got(second).length === 4, {
      message: 'all have arrived',
    });
    expect(got(pacs).sort()).toEqual([...uidsOf(priors[1]!), ...uidsOf(study)].sort());
    expect(got(second).sort()).toEqual([...uidsOf(...priors), ...uidsOf(study)].sort());
    const step = await stepOf(run, study, ({ target, state }) => target === 'second' && state === 'done');
    expect(step.left.map(({ studyInstanceUid, why }) => [studyInstanceUid, why])).toEqual([
      [other.studyInstanceUid, expect.stringContaining('issuer of its Patient ID is another one')],
    ]);
  });

  it('follow when the archive is available again; the study has not waited longer than its rule allows, and is not deleted before', async () => {
    const patient = 'P3';
    await using archive = await startOrthanc();
    const prior = priorStudy({ patient, date: '20240301' });
    for (const { bytes } of prior) await archive.upload(bytes);
    await using proxy = await startFaultProxy({ port: Number(new URL(archive.url).port), refuse: true });
    await using pacs = await startFaultScp();
    await using run = await scene.start({
      targets: { pacs: pacsTarget(pacs), archive: { type: 'orthanc', url: `http://127.0.0.1:${proxy.port}` } },
      rules: [ruleWith({ from: 'archive', first: true, wait: '1s' }, { onSuccess: { delete: true } })],
    });
    const study = await scene.uploadNew(patient, '20250301');
    const { deliveryId } = await run.until(study, 'pacs', 'delivered');
    const texts = (await run.operations.records.events(deliveryId)).map(({ text }) => text);
    expect(texts.join('\n')).toContain('is sent without further waiting for earlier studies, after 1.0s: ');
    const waiting = await stepOf(run, study, ({ state, note }) => state === 'looking' && note !== undefined);
    expect(waiting.note).toMatch(/refused/i);
    await proxy.heal();
    await waitFor(() => got(pacs).length === 3, { message: 'the prior has followed' });
    expect(got(pacs).slice(2)).toEqual(uidsOf(prior));
    const { chosen, note } = await stepOf(run, study);
    expect(chosen).toMatchObject([{ from: 'archive', state: 'sent' }]);
    expect(note).toBeUndefined();
    await waitFor(async () => (await scene.system.client.lookup(study.studyInstanceUid)).length === 0, {
      message: 'the study is deleted once its priors have gone',
    });
  });

  it('are others where the files name an issuer that the archive does not list, and what was pulled is routed nowhere', async () => {
    const patient = 'P4';
    await using archive = await startOrthanc();
    const prior = priorStudy({ patient, date: '20240301', attributes: { IssuerOfPatientID: 'OTHER' } });
    const older = priorStudy({ patient, date: '20230301' });
    for (const { bytes } of [...prior, ...older]) await archive.upload(bytes);
    await using pacs = await startFaultScp();
    await using run = await scene.start({
      targets: { pacs: pacsTarget(pacs), archive: { type: 'orthanc', url: archive.url } },
      rules: [ruleWith({ count: 1, from: 'archive', first: true }), { name: 'old', fallback: true, targets: ['pacs'] }],
    });
    const study = await scene.uploadNew(patient, '20250301');
    await run.until(study, 'pacs', 'delivered');
    const { chosen, left } = await stepOf(run, study);
    expect(chosen.map(({ studyInstanceUid }) => studyInstanceUid)).toEqual([older.studyInstanceUid]);
    expect(left.map(({ studyInstanceUid, why }) => [studyInstanceUid, why])).toEqual([
      [prior.studyInstanceUid, 'the issuer of its Patient ID is another one than that of the study'],
    ]);
    expect(await stableAtSource(run, prior)).toEqual([]);
    expect(got(pacs)[0]).toBe(uidsOf(older)[0]);
    expect(got(pacs).slice(1).sort()).toEqual(uidsOf(study));
  });
});
