import { startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

/** Identifying values of tags, each a word that occurs nowhere else. */
const tags = {
  PatientName: 'Geheimwort^Nora',
  PatientID: 'PID-QQ4711',
  AccessionNumber: 'ACC-QQ0815',
  StudyDescription: 'Knie-QQ-rechts',
  ReferringPhysicianName: 'Ueberweiser^Otto',
  InstitutionName: 'Krankenhaus-QQ',
  PatientBirthDate: '19610317',
};
const words = Object.values(tags).flatMap((value) => value.split('^'));

/** A configuration that the console can change. */
const file = `sources:
  main: { url: 'http://127.0.0.1:1' }
targets:
  a: { type: dummy }
rules:
  - { name: everything, targets: [a] }
`;

interface Scene {
  readonly test: TestConsole;
  readonly uids: readonly string[];
}

let orthanc: OrthancServer;
const scenes: Scene[] = [];
beforeAll(async () => {
  orthanc = await startOrthanc();
  const ids: { uid: string; orthancStudyId: string }[] = [];
  for (const seed of ['routed', 'not routed']) {
    const study = [...makeStudy({ seed, instancesPerSeries: 1, attributes: tags })];
    let orthancStudyId = '';
    for (const { bytes } of study) ({ ParentStudy: orthancStudyId } = await orthanc.upload(bytes));
    ids.push({ uid: study[0]?.studyInstanceUid ?? '', orthancStudyId });
  }
  for (const patientData of [false, true]) {
    const test = await startTestConsole({
      file,
      sourceUrl: orthanc.url,
      console: { ...signIn, patientData },
      rules: [
        { name: 'by-name', when: "study.PatientName.startsWith('Geheim') && study.PatientID != ''", targets: ['a'] },
      ],
    });
    await test.route({ studyInstanceUid: ids[0]!.uid, orthancStudyId: ids[0]!.orthancStudyId });
    scenes.push({ test, uids: ids.map(({ uid }) => uid) });
  }
});
afterAll(async () => {
  for (const { test } of scenes) await test[Symbol.asyncDispose]();
  await orthanc.stop();
});

/** A request of the administrator. */
function ask(
  test: TestConsole,
  method: string,
  path: string,
  { body, headers = {} }: NonNullable<Parameters<TestConsole['ask']>[2]> = {},
): ReturnType<TestConsole['ask']> {
  return test.ask(method, path, { body, headers: { authorization: `Bearer ${testToken.administrator}`, ...headers } });
}

/** The responses of all routes that read, for all ways to name the two studies, with each search and without a search. */
async function everything({ test, uids }: Scene, searches: readonly string[]): Promise<Map<string, string>> {
  const delivery = (await test.operations.records.deliveriesOfUid(uids[0]!, 'main'))[0]!;
  const answers = new Map<string, string>();
  const note = async (method: string, path: string, body?: unknown): Promise<void> => {
    const headers: Record<string, string> = path.startsWith('/api') ? {} : { accept: 'text/html' };
    const answer = await ask(test, method, path, { headers, body });
    // Entered text may be shown in its field again.
    answers.set(`${method} ${path} ${JSON.stringify(body ?? '')}`, `${answer.status} ${answer.text}`);
  };
  for (const { method, url } of test.console.routes) {
    if (method !== 'GET' || url === '/api/events') continue;
    for (const uid of url.includes(':study') ? uids : ['']) {
      const path = url
        .replace(':source', 'main')
        .replace(':study', uid)
        .replace(':deliveryId', delivery.deliveryId)
        .replace(':jobId', delivery.deliveryId)
        .replace(':queueName', `target-${delivery.target}`)
        .replace(':target', delivery.target)
        .replace(/:\w+|\*/g, 'x');
      await note('GET', path);
      for (const text of searches) await note('GET', `${path}?search=${encodeURIComponent(text)}`);
    }
  }
  for (const search of searches) await note('POST', '/api/rules/dry-run', { search });
  await note('POST', '/api/bulk/preview', { action: 'retry', filter: { target: 'a' } });
  await note('POST', '/api/batches/preview', { source: 'main' });
  return answers;
}

/** Patient words that a response contains and its request did not. */
function leaks(answers: Map<string, string>): string[] {
  return [...answers].flatMap(([question, text]) =>
    words
      .filter((word) => text.includes(word) && !decodeURIComponent(question).includes(word))
      .map((word) => `${word} in ${question}`),
  );
}

describe('patient data', () => {
  it('are in no response of any route if they are switched off', async () => {
    const { uids } = scenes[0]!;
    const texts = [tags.AccessionNumber, tags.PatientID, 'Geheim', 'Nora', 'ACC-QQ', '*', '?', 'Knie', ...uids];
    const answers = await everything(scenes[0]!, texts);
    expect(leaks(answers)).toEqual([]);
    for (const uid of scenes[0]!.uids) expect(answers.get(`GET /api/studies?search=${uid} ""`)).toContain(uid);
  });

  it('are in responses if they are shown, so that this test would detect them', async () => {
    expect(leaks(await everything(scenes[1]!, scenes[1]!.uids)).length).toBeGreaterThan(20);
  });

  it('cannot be guessed by searches for parts of them where they are switched off', async () => {
    const { test, uids } = scenes[0]!;
    const found = async (text: string): Promise<number> =>
      ((await ask(test, 'GET', `/api/studies?search=${encodeURIComponent(text)}`)).body as { studies: unknown[] })
        .studies.length;
    for (const text of ['Geheim', 'Nora', 'ACC-QQ', 'PID-QQ', 'ACC-QQ*', '*', 'ACC-QQ081?', 'Knie']) {
      expect([text, await found(text)]).toEqual([text, 0]);
    }
    expect(await found(tags.AccessionNumber)).toBe(2);
    expect(await found(uids[1]!)).toBe(1);
  });

  it('cannot be guessed by batches that are meant by a description, where they are switched off', async () => {
    const { test } = scenes[0]!;
    const filter = { source: 'main', description: 'Knie*' };
    for (const path of ['/api/batches/preview', '/api/batches']) {
      const { status, text } = await ask(test, 'POST', path, { body: filter });
      expect([path, status]).toEqual([path, 400]);
      expect(text).toContain('refused while console.patientData is false');
    }
    const { body } = await ask(test, 'POST', '/api/batches/preview', { body: { source: 'main' } });
    expect(body).toEqual({ count: 2, sample: [] });
    expect((await ask(test, 'GET', '/batches')).text).not.toContain('name="description"');
    const shown = await ask(scenes[1]!.test, 'POST', '/api/batches/preview', { body: filter });
    expect(shown.body).toMatchObject({ count: 2, sample: [{}, {}] });
  });

  it('cannot be guessed by trying rules on studies, where they are switched off', async () => {
    const when = "study.PatientName.startsWith('Geheim')";
    const tried: unknown[] = [];
    for (const { test } of scenes) {
      const one = await ask(test, 'POST', '/api/configuration/rules/try', { body: { when } });
      const rule = { values: { targets: 'a', when } };
      expect((await ask(test, 'PUT', '/api/configuration/rules/guess', { body: rule })).status).toBe(200);
      const all = await ask(test, 'POST', '/api/configuration/draft/preview', { body: {} });
      tried.push([one.body, all.body]);
    }
    const none = { studies: 0, examples: [], untried: expect.stringContaining('console.patientData') };
    expect(tried).toMatchObject([
      [{ ...none, matches: 0 }, none],
      [{ studies: 1, matches: 1 }, { studies: 1 }],
    ]);
    const wrong = await ask(scenes[0]!.test, 'POST', '/api/configuration/rules/try', { body: { when: 'study.' } });
    expect(wrong.body).toMatchObject({ problem: expect.any(String) });
  });
});
