import { setTimeout as sleep } from 'node:timers/promises';
import { retryDelivery } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import { makeStudy } from '@dicom-dispatch/samples';
import { waitFor } from '@dicom-dispatch/harness';
import { hideAttachment, type Deeds } from './disturb.ts';
import type { Exam } from './make-schedule.ts';
import type { Scene } from './start-scene.ts';

const actor = { name: 'chaos' };

export interface Status {
  readonly code: number;
  readonly text: string;
}

/** What the system reports to an operator. */
export async function askStatus({ commands, router }: Scene): Promise<Status> {
  const { code, out, err } = await commands.run('status', '--check', '-c', router.configFile);
  return { code, text: `${out}${err}` };
}

/**
 * Does what an operator must do once everything is healed: retries deliveries that ended without success, resends what was
 * removed in Bull Board and is no longer known, and sets the start position when a router requests it.
 */
export async function helpOut({ operations, commands, router }: Scene, deeds: Deeds): Promise<void> {
  const { records, redis, keys } = operations;
  const known = new Set<string>();
  for (const { deliveryId, state, studyInstanceUid, target } of (await records.deliveries({ limit: 1000 })).records) {
    known.add(`${studyInstanceUid} ${target}`);
    if (!['partial', 'failed', 'cancelled'].includes(state)) continue;
    await retryDelivery(operations, deliveryId, actor).catch((error: unknown) => {
      if (!(error instanceof OperationError)) throw error;
    });
  }
  for (const removed of deeds.removed) {
    if (known.has(removed)) continue;
    const [study = '', target = ''] = removed.split(' ');
    const { code } = await commands.run('route', study, '--to', target, '-c', router.configFile);
    if (code === 0) deeds.removed.delete(removed);
  }
  if ((await redis.hget(keys.generation, 'asks')) !== null) {
    await commands.run('recover', '--from', 'everything', '-c', router.configFile);
  }
}

/**
 * Leaves something broken until `status --check` reports it.
 *
 * @param upload - sends a study that cannot be delivered
 * @returns the output of `status`, or undefined if it never reported the problem
 */
export async function waitForAlarm(
  scene: Scene,
  deeds: Deeds,
  exam: Exam,
  study: ReturnType<typeof makeStudy>,
  upload: () => Promise<void>,
): Promise<Status | undefined> {
  const { scp, answers, router, dispatchers, clocks, orthanc, redis } = scene;
  const acts: Readonly<Record<Exam, () => Promise<unknown>>> = {
    'pacs down': () => scp.down(),
    'source answers 500': async () => answers.lie(() => ({ kind: 'status', status: 500 })),
    'source answers 404': async () => answers.lie(() => ({ kind: 'status', status: 404 })),
    'source answers a login page': async () => answers.lie(() => ({ kind: 'text', body: '<html>sign in</html>' })),
    'router killed': () => router.kill('SIGKILL'),
    'dispatchers killed': () => Promise.all(dispatchers.map((one) => one.kill('SIGKILL'))),
    'clock of the router': () => clocks.router.set(600),
    'clock of orthanc': () => clocks.orthanc.set(-600),
    // Nothing is routed or sent before the attachment is gone.
    'attachment missing': () => router.kill('SIGSTOP'),
    'redis away': () => redis.kill('SIGKILL'),
  };
  await acts[exam]();
  await upload();
  if (exam === 'attachment missing') {
    await hideAttachment(orthanc, deeds, 0, study.studyInstanceUid);
    await router.kill('SIGCONT');
  }
  let last: Status | undefined;
  return waitFor(
    async () => {
      last = await askStatus(scene);
      if (last.code === 0) await sleep(500);
      return last.code !== 0 && last;
    },
    { intervalMs: 100 },
  ).catch(() => undefined);
}

/** A study for an exam. */
export function examStudy(seed: number): ReturnType<typeof makeStudy> {
  return makeStudy({ seed: `${seed} exam`, series: 1, instancesPerSeries: 4, rows: 48, columns: 48 });
}
