import { caseFile, startOrthanc, waitFor, type OrthancServer } from '@dicom-dispatch/harness';
import { readHealth, readSource } from '@dicom-dispatch/operations';
import { routeAgain } from '@dicom-dispatch/pipeline';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { parse, startRoutingSystem, type RoutingSystem, type RunningRouting } from './support/routing-system.ts';

/** Two real Orthancs, each a source, and each a target of the other. */

let system: RoutingSystem;
let other: OrthancServer;

beforeAll(async () => {
  const open = { extraConfig: { DicomAlwaysAllowStore: true } };
  [system, other] = await Promise.all([
    startRoutingSystem({ aet: 'ORTHANCA', ...open }),
    startOrthanc({ aet: 'ORTHANCB', ...open }),
  ]);
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
  await other?.stop();
});

const sources = () => ({
  a: { url: system.orthanc.url, pollInterval: '100ms' },
  b: { url: other.url, pollInterval: '100ms' },
});

async function uploadToOther(seed: string) {
  const study = makeStudy({ seed, rows: 16, columns: 16 });
  const sopInstanceUids: string[] = [];
  for (const instance of study) {
    await other.upload(instance.bytes);
    sopInstanceUids.push(instance.sopInstanceUid);
  }
  return { studyInstanceUid: study.studyInstanceUid, sopInstanceUids };
}

/** The record of a study that was left where it is. */
async function untilOmitted(run: RunningRouting, source: string, studyInstanceUid: string): Promise<object[]> {
  return waitFor(
    async () => (await run.operations.records.studiesOfUid(studyInstanceUid, source))[0]?.omitted?.slice(),
    {
      message: `a target is left out in ${source}`,
    },
  );
}

describe('several sources', () => {
  it('have separate rules and shared rules', async () => {
    await using ofA = await startFaultScp();
    await using ofB = await startFaultScp();
    await using shared = await startFaultScp();
    await using run = await system.start({
      sources: sources(),
      targets: { 'of-a': pacsTarget(ofA), 'of-b': pacsTarget(ofB), shared: pacsTarget(shared) },
      rules: [
        { name: 'a-only', sources: ['a'], targets: ['of-a'] },
        { name: 'b-only', when: 'source == "b" && "CT" in study.ModalitiesInStudy', targets: ['of-b'] },
        { name: 'all', targets: ['shared'] },
      ],
    });
    const inA = await system.upload({ seed: 'in-a' });
    const inB = await uploadToOther('in-b');
    for (const target of ['of-a', 'shared']) await run.until(inA, target, 'delivered', 'a');
    for (const target of ['of-b', 'shared']) await run.until(inB, target, 'delivered', 'b');
    const got = (scp: { stores: { sopInstanceUid: string }[] }) =>
      scp.stores.map(({ sopInstanceUid }) => sopInstanceUid).sort();
    expect(got(ofA)).toEqual([...inA.sopInstanceUids].sort());
    expect(got(ofB)).toEqual([...inB.sopInstanceUids].sort());
    expect(got(shared)).toEqual([...inA.sopInstanceUids, ...inB.sopInstanceUids].sort());
  });
});

describe('a source that is disabled', () => {
  it('routes nothing new, sends what waits and what is routed manually, and continues where it was', async () => {
    await using scp = await startFaultScp();
    const config = (enabled: boolean) => ({
      sources: { ...sources(), a: { ...sources().a, enabled } },
      targets: { pacs: pacsTarget(scp), other: pacsTarget(scp) },
      rules: [{ name: 'all', targets: ['pacs'] }],
    });
    await using run = await system.start(config(true));
    await run.operations.queues.target('pacs').pause();
    const waiting = await system.upload({ seed: 'off-waiting' });
    await run.until(waiting, 'pacs', 'waiting', 'a');
    await run.reload(config(false));
    const state = () => readSource(run.operations, 'a', async () => system.client);
    const { position } = await state();
    const meanwhile = await system.upload({ seed: 'off-meanwhile' });
    const byHand = await system.upload({ seed: 'off-by-hand' });
    await run.operations.queues.target('pacs').resume();
    await run.until(waiting, 'pacs', 'delivered', 'a');
    const { orthancStudyId } = byHand;
    const request = { source: 'a', orthancStudyId, targets: ['other'] };
    await routeAgain(run.operations, request, system.client, { name: 'otto' });
    await run.until(byHand, 'other', 'delivered', 'a');
    const isStable = async (): Promise<boolean> => {
      const { Changes: changes } = await system.client.changes({ since: Number(position), limit: 100 });
      return changes.some(({ ChangeType, ID }) => ChangeType === 'StableStudy' && ID === meanwhile.orthancStudyId);
    };
    await waitFor(isStable, { message: 'the study is stable' });
    // The other source is followed meanwhile.
    await run.until(await uploadToOther('off-other'), 'pacs', 'delivered', 'b');
    expect(await state()).toMatchObject({ enabled: false, followed: false, reachable: true, position });
    expect((await readHealth(run.operations)).map(({ kind, subject }) => [kind, subject])).toContainEqual([
      'source-off',
      'a',
    ]);
    expect(await run.deliveries(meanwhile, 'a')).toEqual([]);
    await run.reload(config(true));
    await run.until(meanwhile, 'pacs', 'delivered', 'a');
    expect(await state()).toMatchObject({ enabled: true, followed: true });
    const sent = scp.stores.map(({ sopInstanceUid }) => sopInstanceUid);
    for (const uid of [...waiting.sopInstanceUids, ...meanwhile.sopInstanceUids])
      expect(sent.filter((one) => one === uid)).toEqual([uid]);
  });
});

describe('two Orthancs that send to each other', () => {
  const peers = () => ({
    'to-a': { type: 'orthanc', url: system.orthanc.url },
    'to-b': { type: 'orthanc', url: other.url },
  });

  it('are refused when the configuration shows it', () => {
    expect(() =>
      parse({
        sources: sources(),
        targets: peers(),
        rules: [
          { name: 'there', sources: ['a'], targets: ['to-b'] },
          { name: 'back', sources: ['b'], targets: ['to-a'] },
        ],
      }),
    ).toThrow(/rules\.0\.targets: every study would be sent in a loop, from a to b to a/);
  });

  it('stop after one transfer if only the studies show the loop, and report this', async () => {
    await using run = await system.start({
      sources: sources(),
      targets: peers(),
      rules: [
        { name: 'there', when: 'source == "a"', targets: ['to-b'] },
        { name: 'back', when: 'source == "b"', targets: ['to-a'] },
      ],
    });
    const study = await system.upload({ seed: 'round' });
    await run.until(study, 'to-b', 'delivered', 'a');
    expect(await untilOmitted(run, 'b', study.studyInstanceUid)).toEqual([
      { target: 'to-a', why: 'it was copied here from a, which is to-a' },
    ]);
    expect(await run.deliveries(study, 'b')).toEqual([]);
    expect(await run.deliveries(study, 'a')).toHaveLength(1);
    // A study of another patient with the same UIDs did not come from there.
    const [ofA, ofB] = await Promise.all(['A', 'B'].map((name) => caseFile(`tiny-same-uids-patient-${name}.dcm`)));
    const { ParentStudy: first } = await system.orthanc.upload(ofA!);
    const key = { source: 'a', orthancStudyId: first };
    await waitFor(async () => (await run.operations.records.deliveriesOf(key))[0]?.state === 'delivered');
    const { ParentStudy: second } = await other.upload(ofB!);
    await waitFor(
      async () => {
        const [delivery] = await run.operations.records.deliveriesOf({ source: 'b', orthancStudyId: second });
        return delivery?.state === 'delivered';
      },
      { message: 'the study of the other patient' },
    );
    expect(await system.orthanc.studies()).toEqual(expect.arrayContaining([first, second]));
  });

  it('stop too if each has a separate installation, by the AE title that sent the study', async () => {
    const dicom = (server: OrthancServer, from: OrthancServer) => ({
      type: 'dicom',
      host: '127.0.0.1',
      port: server.dicomPort,
      calledAeTitle: server.aet,
      callingAeTitle: from.aet,
    });
    await using ofA = await system.start({
      sources: { a: sources().a },
      targets: { 'to-b': dicom(other, system.orthanc) },
    });
    await using ofB = await system.start({
      sources: { b: sources().b },
      targets: { 'to-a': dicom(system.orthanc, other) },
    });
    const study = await system.upload({ seed: 'two-installations' });
    await ofA.until(study, 'to-b', 'delivered', 'a');
    expect(await untilOmitted(ofB, 'b', study.studyInstanceUid)).toEqual([
      { target: 'to-a', why: 'it came from ORTHANCA, which is to-a' },
    ]);
    expect(await ofB.deliveries(study, 'b')).toEqual([]);
  });
});
