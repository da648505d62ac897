import { demoStudies } from '@dicom-dispatch/samples';
import { tempFolder, waitFor } from '@dicom-dispatch/harness';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startSystem, type System } from './support/system.ts';

/** Users who may sign in to the console of the scene, with their passwords. */
export const people = { vera: 'vera-looks-on-1', otto: 'otto-operates-2', ada: 'ada-administers-3' } as const;

export interface ConsoleScene extends AsyncDisposable {
  readonly system: System;
  readonly dispatch: RunningDispatch;
  readonly url: string;
  readonly pacs: FaultScp;
  /** Permanently rejects one instance in nine until this is switched off. */
  readonly workstation: FaultScp;
  /** Uploads the demo studies and waits until what can arrive has arrived. */
  uploadDemo(): Promise<void>;
}

/**
 * The whole system with a target for every outcome: a PACS and an archive that accept everything, a workstation that rejects
 * some instances, and an unreachable cloud.
 */
export async function startConsoleScene(): Promise<ConsoleScene> {
  await using started = new AsyncDisposableStack();
  const system = started.use(await startSystem());
  const pacs = started.use(await startFaultScp());
  const workstation = started.use(await startFaultScp());
  workstation.answer = (_uid, count) => (count % 9 === 8 ? 0xc000 : 0);
  const archive = started.use(await tempFolder('archive'));
  const cloud = started.use(await startFaultScp());
  await cloud.down();
  const dispatch = started.use(
    await startDispatch({
      env: { VERA: people.vera, OTTO: people.otto, ADA: people.ada, TOKEN: 'scene-token-0123456789abcdef' },
      config: system.config(
        {
          pacs: pacsTarget(pacs, { description: 'the PACS of the hospital' }),
          archive: { type: 'folder', path: archive.path, description: 'long-term archive' },
          workstation: pacsTarget(workstation, { description: 'cardiology workstation' }),
          cloud: pacsTarget(cloud, { description: 'second opinion' }),
        },
        {
          rules: [
            { name: 'everything-to-pacs', targets: ['pacs'] },
            { name: 'archive', when: "!glob(study.StudyDescription, '*phantom*')", targets: ['archive'] },
            {
              name: 'hearts',
              when: "'US' in study.ModalitiesInStudy || 'MR' in study.ModalitiesInStudy",
              targets: ['workstation'],
            },
            { name: 'second-opinion', when: "'CT' in study.ModalitiesInStudy", targets: ['cloud'], priority: 'urgent' },
          ],
          console: {
            users: {
              vera: { password: '${VERA}', role: 'viewer' },
              otto: { password: '${OTTO}', role: 'operator' },
              ada: { password: '${ADA}', role: 'administrator' },
            },
            tokens: { program: { token: '${TOKEN}', role: 'viewer' } },
          },
        },
      ),
    }),
  );
  const all = started.move();
  return {
    system,
    dispatch,
    url: dispatch.url,
    pacs,
    workstation,
    async uploadDemo() {
      const studies = demoStudies({ slices: 14, size: 192 });
      for (const study of studies) for (const instance of study) await system.orthanc.upload(instance.bytes);
      await waitFor(
        async () => {
          const counts = await system.records.counts();
          const ended = counts.delivered + counts.partial;
          return (await system.records.studyCount()) === studies.length && ended >= 2 * studies.length + 1;
        },
        { message: 'the demo studies arrive' },
      );
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
