import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import {
  startRoutingSystem,
  type RoutingSystem,
  type RunningRouting,
  type UploadedStudy,
} from './support/routing-system.ts';
import { startCommandHost, type CommandHost } from './support/run-commands.ts';

/** What the rules would do and would have done, shown on the command line; these commands send nothing. */

let system: RoutingSystem;
let run: RunningRouting;
let folder: TempFolder;
let host: CommandHost;
let ct: UploadedStudy;
let mr: UploadedStudy;
const prefix = `{before-${process.pid}}`;

const patient = { PatientID: 'PID-4711', StudyDescription: 'MR Head' };

function raw(rules: readonly object[]) {
  const disk = (name: string) => ({ type: 'folder', path: join(folder.path, name), layout: '{SOPInstanceUID}.dcm' });
  return {
    sources: { main: { url: system.orthanc.url, pollInterval: '100ms' } },
    targets: { pacs: disk('pacs'), one: disk('one'), other: disk('other'), extra: disk('extra') },
    groups: { archive: { strategy: 'round-robin', targets: ['one', 'other'] } },
    redis: { url: system.redis.url, prefix },
    rules,
  };
}

const rules = [
  { name: 'ct', when: 'source == "main" && "CT" in study.ModalitiesInStudy', targets: ['archive', 'pacs'] },
  { name: 'mr', when: 'study.StudyDescription.startsWith("MR") && has(study.PatientID)', targets: ['pacs'] },
  { name: 'us', when: 'series.exists(s, s.Modality == "US") || study.AccessionNumber == "x"', targets: ['extra'] },
  { name: 'rest', fallback: true, targets: ['extra'] },
];

beforeAll(async () => {
  [system, folder] = await Promise.all([startRoutingSystem(), tempFolder('rules')]);
  host = startCommandHost({ cwd: folder.path, env: {} });
  await Promise.all(['pacs', 'one', 'other', 'extra'].map((name) => mkdir(join(folder.path, name))));
  run = await system.start(raw(rules));
  await writeFile(join(folder.path, 'dispatch.yaml'), stringify(raw(rules)));
  ct = await system.upload({ seed: 'ct', modality: 'CT' });
  mr = await system.upload({ seed: 'mr', modality: 'MR', attributes: patient });
  await Promise.all([run.until(ct, 'pacs', 'delivered'), run.until(ct, 'one', 'delivered')]);
  await run.until(mr, 'pacs', 'delivered');
});
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  await run?.[Symbol.asyncDispose]();
  await Promise.all([system?.[Symbol.asyncDispose](), folder?.remove()]);
});

interface Judged {
  readonly targets: string[];
  readonly deliveries: { to: string; instances?: number; group?: object }[];
  readonly verdicts: { rule: string; outcome: string; parts: { text: string; result: string; values: object[] }[] }[];
}

async function json<T>(...args: readonly string[]): Promise<T> {
  const { code, out, err } = await host.run(...args, '--json');
  expect(code, err).toBe(0);
  return JSON.parse(out) as T;
}

describe('rules test', () => {
  it('shows for every rule whether it matches a study of a source, and which part decided, with its value', async () => {
    const judged = await json<Judged>('rules', 'test', '--study', mr.studyInstanceUid);
    expect(judged.targets).toEqual(['pacs']);
    expect(judged.verdicts.map(({ rule, outcome }) => [rule, outcome])).toEqual([
      ['ct', 'no-match'],
      ['mr', 'applies'],
      ['us', 'no-match'],
      ['rest', 'not-needed'],
    ]);
    expect(judged.verdicts.map(({ parts }) => parts.map(({ text, result }) => `${text} ${result}`))).toEqual([
      ['"CT" in study.ModalitiesInStudy is false'],
      ['study.StudyDescription.startsWith("MR") is true', 'has(study.PatientID) is true'],
      ['series.exists(s, s.Modality == "US") is false', 'study.AccessionNumber == "x" is false'],
      [],
    ]);
    expect(judged.verdicts[1]?.parts.map(({ values }) => values)).toEqual([
      [{ name: 'study.StudyDescription', value: 'MR Head' }],
      [{ name: 'study.PatientID', value: 'PID-4711' }],
    ]);
    expect(judged.verdicts[2]?.parts[0]?.values).toEqual([{ name: 'series.Modality', value: ['MR'] }]);
  });

  it('names the group, its strategy, its members and the one that has the study', async () => {
    const { deliveries } = await json<Judged>('rules', 'test', '--study', ct.studyInstanceUid);
    expect(deliveries).toMatchObject([
      { to: 'archive', instances: 3, group: { strategy: 'round-robin', members: ['one', 'other'], chosen: 'one' } },
      { to: 'pacs', instances: 3 },
    ]);
    const { out } = await host.run('rules', 'test', '--study', ct.studyInstanceUid);
    expect(out).toContain('would go to archive (group, round-robin of one, other; one has it): priority normal');
    expect(out).toMatch(/ct +1:21 +"CT" in study\.ModalitiesInStudy +is true +study\.ModalitiesInStudy = \["CT"\]/);
  });

  it('accepts a DICOM file, tags of Orthanc, or facts in JSON, without queries', async () => {
    const [instance] = [...makeStudy({ seed: 'file', modality: 'MR', attributes: patient })];
    await writeFile(join(folder.path, 'one.dcm'), instance?.bytes ?? Buffer.alloc(0));
    const flat = await (await fetch(`${system.orthanc.url}/instances/${mr.instanceIds[0]}/simplified-tags`)).text();
    await writeFile(join(folder.path, 'flat.json'), flat);
    await writeFile(
      join(folder.path, 'facts.json'),
      JSON.stringify({ study: patient, series: [{ Modality: 'US' }], origin: { ArrivedAt: '2026-03-01T10:00:00Z' } }),
    );
    const alone = ['rules', 'test', '-c', 'alone.yaml'];
    await writeFile(
      join(folder.path, 'alone.yaml'),
      stringify({ ...raw(rules), redis: {}, sources: { main: { url: 'http://127.0.0.1:1' } } }),
    );
    for (const file of [
      ['--file', 'one.dcm'],
      ['--tags', 'flat.json'],
    ]) {
      const { targets, verdicts } = await json<Judged>(...alone, ...file);
      expect(targets).toEqual(['pacs']);
      expect(verdicts[1]?.parts[0]?.values).toEqual([{ name: 'study.StudyDescription', value: 'MR Head' }]);
    }
    expect((await json<Judged>(...alone, '--tags', 'facts.json')).targets).toEqual(['pacs', 'extra']);
    const odd = await host.run(...alone, '--file', 'facts.json');
    expect(odd).toMatchObject({ code: 2, err: expect.stringContaining('is not a readable DICOM file') });
  });
});

describe('rules replay', () => {
  interface Replay {
    readonly counts: object;
    readonly byTarget: object;
    readonly studies: { studyInstanceUid: string; outcome: string; added: string[]; removed: string[] }[];
  }

  it('finds nothing to change with the rules that routed', async () => {
    const { counts, byTarget } = await json<Replay>('rules', 'replay', '--since', '1h');
    expect({ counts, byTarget }).toEqual({ counts: { same: 2, differs: 0, gone: 0, unread: 0 }, byTarget: {} });
  });

  it('shows what other rules would have added and removed, and which studies are gone; nothing is sent', async () => {
    const draft = [
      { ...rules[0], targets: ['pacs'] },
      { name: 'head', when: 'glob(study.StudyDescription, "*head")', targets: ['pacs', 'extra'] },
    ];
    await writeFile(join(folder.path, 'draft.yaml'), stringify(raw(draft)));
    const replay = ['rules', 'replay', '--since', '7d', '-c', 'draft.yaml'];
    const { byTarget, studies } = await json<Replay>(...replay);
    expect(byTarget).toEqual({ one: { added: 0, removed: 1 }, extra: { added: 1, removed: 0 } });
    expect(studies.find(({ studyInstanceUid }) => studyInstanceUid === ct.studyInstanceUid)).toMatchObject({
      outcome: 'differs',
      added: [],
      removed: ['one'],
    });
    await fetch(`${system.orthanc.url}/studies/${ct.orthancStudyId}`, { method: 'DELETE' });
    const { out } = await host.run(...replay);
    expect(out).toContain('2 studies: 0 would go to the same targets, 1 would not; 1 are no longer in their source');
    expect(out).toMatch(new RegExp(`${mr.studyInstanceUid} +main +pacs +\\+extra, pacs +head`));
    expect(await run.deliveries(mr)).toHaveLength(1);
  });
});
