import { previewDraft, releaseDelivery } from '@dicom-dispatch/operations';
import { waitFor } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { got, ruleWith, startPriorsSystem, stepOf, uidsOf } from './support/priors.ts';

let scene: Awaited<ReturnType<typeof startPriorsSystem>>;
beforeAll(async () => {
  scene = await startPriorsSystem();
});
afterAll(async () => {
  await scene.system[Symbol.asyncDispose]();
});

const sameModality = 'prior.ModalitiesInStudy.exists(m, m in study.ModalitiesInStudy)';

describe('priors of the source', () => {
  it('arrive before the study, the right ones, once, and not again with the next study', async () => {
    const patient = 'P1';
    const older = {
      newest: await scene.upload({ patient, date: '20230301' }),
      second: await scene.upload({ patient, date: '20220301' }),
      third: await scene.upload({ patient, date: '20210301' }),
      magnet: await scene.upload({ patient, date: '20240301', modality: 'MR' }),
      elsewhere: await scene.upload({ patient, date: '20240401', attributes: { IssuerOfPatientID: 'OTHER' } }),
      ancient: await scene.upload({ patient, date: '20100301' }),
      noDate: await scene.upload({ patient, date: '' }),
    };
    await using pacs = await startFaultScp();
    await using run = await scene.start({
      targets: { pacs: pacsTarget(pacs) },
      rules: [ruleWith({ count: 2, when: sameModality, maxAge: '5y', first: true })],
    });
    const study = await scene.uploadNew(patient, '20250301');
    await run.until(study, 'pacs', 'delivered');
    expect(got(pacs).slice(0, 2).sort()).toEqual(uidsOf(older.newest, older.second));
    expect(got(pacs).slice(2).sort()).toEqual(uidsOf(study));
    const { chosen, left, leftCount } = await stepOf(run, study);
    expect(chosen).toMatchObject([
      {
        studyInstanceUid: older.newest.studyInstanceUid,
        orthancStudyId: older.newest.orthancStudyId,
        from: 'source',
        state: 'sent',
        why: `rule new: number 1 of the 2 newest earlier studies: \`${sameModality}\`, at most 5y older`,
      },
      { studyInstanceUid: older.second.studyInstanceUid, state: 'sent' },
    ]);
    const whys = new Map(left.map(({ studyInstanceUid, why }) => [studyInstanceUid, why]));
    expect(leftCount).toBe(5);
    expect(whys.get(older.third.studyInstanceUid)).toBe('there are 2 newer ones that match');
    expect(whys.get(older.magnet.studyInstanceUid)).toBe(`\`${sameModality}\` is false`);
    expect(whys.get(older.elsewhere.studyInstanceUid)).toContain('issuer of its Patient ID is another one');
    expect(whys.get(older.ancient.studyInstanceUid)).toBe('it is more than 5y older than the study');
    expect(whys.get(older.noDate.studyInstanceUid)).toContain('no Study Date');

    // The study before is a prior of the next one, and all of them are there.
    const next = await scene.uploadNew(patient, '20250401');
    await run.until(next, 'pacs', 'delivered');
    expect(got(pacs).slice(4).sort()).toEqual(uidsOf(next));
    const step = await stepOf(run, next);
    expect(step.chosen.map(({ studyInstanceUid, state }) => [studyInstanceUid, state])).toEqual([
      [study.studyInstanceUid, 'there'],
      [older.newest.studyInstanceUid, 'there'],
    ]);
    expect(await run.connection.keys('*P1*')).toEqual([]);

    // A draft of the rules is tried on both studies: with three priors, and with none.
    const preview = (change: object) => {
      const rules = run.config.rules.map((rule) => ({ ...rule, ...change }));
      return previewDraft(run.operations, { ...run.config, rules }, async () => scene.system.client, 0);
    };
    const three = await preview({ priors: { ...run.config.rules[0]?.priors, count: 3 } });
    expect(three).toMatchObject({ studies: 2, same: 2, differs: 0, unknown: 0, priorsUnknown: 0, priorsNotes: [] });
    expect(three.priors).toEqual([{ target: 'pacs', studies: 2, priors: 6, added: 2, removed: 0 }]);
    const added = three.examples.flatMap(({ priors = [] }) => priors.flatMap((one) => one.added));
    expect(added.sort()).toEqual([older.third.studyInstanceUid, older.second.studyInstanceUid].sort());
    const none = await preview({ priors: undefined });
    expect(none.priors).toEqual([{ target: 'pacs', studies: 0, priors: 0, added: 0, removed: 4 }]);
    const same = await preview({});
    expect([same.priors[0], same.examples]).toMatchObject([{ priors: 4, added: 0, removed: 0 }, []]);
  });

  it('do not delay the study for longer than its rule allows, and arrive nevertheless', async () => {
    const prior = await scene.upload({ patient: 'P2', date: '20230301' });
    await using pacs = await startFaultScp();
    const held = Promise.withResolvers<number>();
    pacs.answer = (uid) => (prior.sopInstanceUids.includes(uid) ? held.promise : 0);
    await using run = await scene.start({
      targets: { pacs: pacsTarget(pacs) },
      rules: [ruleWith({ count: 1, first: true, wait: '1s' })],
    });
    const study = await scene.uploadNew('P2', '20250301');
    const { deliveryId } = await run.until(study, 'pacs', 'delivered');
    expect(got(pacs).sort()).toEqual(uidsOf(study));
    const texts = (await run.operations.records.events(deliveryId)).map(({ text }) => text);
    expect(texts).toContain('earlier studies of the patient are sent first');
    // The reason for waiting depends on the progress of the priors.
    expect(texts.join('\n')).toContain('is sent without further waiting for earlier studies, after 1.0s: ');
    held.resolve(0);
    await run.until(prior, 'pacs', 'delivered');
    expect(got(pacs)).toHaveLength(3);
  });

  it('are none if a study has no Patient ID, and the study is sent immediately', async () => {
    await scene.upload({ patient: '', date: '20230301' });
    await using pacs = await startFaultScp();
    await using run = await scene.start({
      targets: { pacs: pacsTarget(pacs) },
      rules: [ruleWith({ first: true })],
    });
    const study = await scene.uploadNew('', '20250301');
    await run.until(study, 'pacs', 'delivered');
    expect(got(pacs).sort()).toEqual(uidsOf(study));
    expect((await stepOf(run, study)).note).toBe('the study has no Patient ID: earlier studies cannot be searched');
  });

  it('go in the shape of the study, at its first instance where its rule starts at arrival', async () => {
    const prior = await scene.upload({ patient: 'P4', date: '20230301' });
    await using pacs = await startFaultScp();
    await using run = await scene.start({
      targets: { pacs: pacsTarget(pacs) },
      transforms: { plain: { set: { StationName: 'ROUTER' } } },
      rules: [ruleWith({ first: true }, { start: 'arrival', transform: 'plain', priority: 'stat' })],
    });
    // It is never stable in this test.
    const study = await scene.upload({ patient: 'P4', date: '20250301', attributes: { StudyID: 'NEW' } });
    const sent = await run.until(prior, 'pacs', 'delivered');
    expect(sent).toMatchObject({ transform: { name: 'plain' }, priority: 'stat', rules: ['new'] });
    await waitFor(() => got(pacs).length === 3, { message: 'what has come of the study' });
    expect(got(pacs)[0]).toBe(uidsOf(prior)[0]);
    expect(got(pacs).slice(1).sort()).toEqual(uidsOf(study));
    expect((await run.until(study, 'pacs', 'any')).arriving).toBe('arrival');
  });

  it('go to the member of a group that gets the study, and once the study is released', async () => {
    const prior = await scene.upload({ patient: 'P3', date: '20230301' });
    await using pacs = await startFaultScp();
    await using other = await startFaultScp();
    await other.down();
    await using run = await scene.start({
      targets: { first: pacsTarget(other), second: pacsTarget(pacs) },
      groups: { readers: { targets: ['first', 'second'], strategy: 'first-available' } },
      rules: [ruleWith({ first: true }, { targets: ['readers'], hold: true })],
    });
    const study = await scene.uploadNew('P3', '20250301');
    const held = await run.until(study, 'first', 'waiting');
    expect(await run.deliveries(prior)).toEqual([]);
    await releaseDelivery(run.operations, held.deliveryId, { name: 'test' });
    await run.until(study, 'second', 'delivered');
    expect(got(pacs)).toEqual([...uidsOf(prior), ...got(pacs).slice(1)]);
    expect(got(pacs).slice(1).sort()).toEqual(uidsOf(study));
  });
});
