import { setTimeout as sleep } from 'node:timers/promises';
import { hashDataset, listReceived, waitFor } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { endStates } from '@dicom-dispatch/state/records';
import { disturb, healAll, type Deeds } from './disturb.ts';
import { judge, type Verdict } from './judge.ts';
import type { Schedule } from './make-schedule.ts';
import { askStatus, examStudy, helpOut, waitForAlarm, type Status } from './operator.ts';
import { startScene, type Scene } from './start-scene.ts';

/** Reconciliation checks once a minute what has not changed for a minute. */
const quiescenceMs = 240_000;
/** What the operator sees may be a few seconds old. */
const statusMs = 60_000;
/** Between instances that are received slowly. */
const slowMs = 250;

/**
 * Runs one schedule through the whole system. With an exam, something is then left broken until `status --check` reports it.
 * Afterwards everything is healed, an operator does what the system asks for, the system gets time to finish, and receivers
 * are compared with the uploads.
 */
export async function runSchedule(schedule: Schedule): Promise<Verdict> {
  await using scene = await startScene(schedule);
  const { scp, disk, operations, router, dispatchers } = scene;
  const { records } = operations;
  const uploaded = new Map<string, string>();
  const deeds: Deeds = { lostData: false, away: new Map(), removed: new Set() };
  const healing: Promise<void>[] = [];
  let alarm: Status | undefined;

  for (const { afterMs, step } of schedule.steps) {
    await sleep(afterMs);
    if (step.kind === 'fault') {
      const healed = disturb(scene, deeds, step);
      // A rejection is thrown by `Promise.all` below.
      healed.catch(() => {});
      healing.push(healed);
    } else {
      const { study, series, instances: instancesPerSeries } = step;
      const seed = `${schedule.seed} ${study}`;
      const made = makeStudy({ seed, series, instancesPerSeries, rows: 48, columns: 48 });
      if (schedule.start === 'stable') await upload(scene, uploaded, made);
      else await uploadSlowly(scene, uploaded, made, series === 1 ? instancesPerSeries >> 1 : -1);
    }
  }
  await Promise.all(healing);
  if (schedule.exam) {
    const study = examStudy(schedule.seed);
    alarm = await waitForAlarm(scene, deeds, schedule.exam, study, () => upload(scene, uploaded, study));
  }
  await healAll(scene, deeds);

  let rest = '';
  const isQuiet = await waitFor(
    async () => {
      await helpOut(scene, deeds);
      const { records: deliveries } = await records.deliveries({ limit: 1000 });
      const open = deliveries.filter(({ state }) => !endStates.includes(state));
      const arrived = new Set(scp.accepted().keys());
      const filed = new Set((await listReceived(disk.path)).map(({ sopInstanceUid }) => sopInstanceUid));
      const missing = [...uploaded.keys()].filter((uid) => !arrived.has(uid) || !filed.has(uid)).length;
      rest = [
        `${missing} missing`,
        ...open.map(
          ({ target, state, wake, stage, error }) => `${target} ${state} (${wake}) ${stage} ${error?.message ?? ''}`,
        ),
      ].join('; ');
      return open.length === 0 && missing === 0;
    },
    { timeoutMs: quiescenceMs, intervalMs: 1_000 },
  ).then(
    () => true,
    () => false,
  );
  let status: Status = { code: 1, text: 'not asked: not at rest' };
  if (isQuiet) {
    await waitFor(
      async () => {
        await helpOut(scene, deeds);
        status = await askStatus(scene);
        return status.code === 0;
      },
      { timeoutMs: statusMs, intervalMs: 1_000 },
    ).catch(() => {});
  }
  const exam = schedule.exam && `${schedule.exam}: ${alarm?.text ?? 'status --check never said so'}`;
  return judge({
    seed: schedule.seed,
    disturbances: schedule.steps.filter(({ step }) => step.kind === 'fault').length + (schedule.exam ? 1 : 0),
    uploaded,
    stores: scp.stores,
    files: await listReceived(disk.path),
    deliveries: (await records.deliveries({ limit: 1000 })).records,
    lostData: deeds.lostData,
    isQuiet,
    isAlarmed: schedule.exam === undefined || alarm !== undefined,
    isGood: status.code === 0,
    rest: [JSON.stringify(schedule.steps), exam, `status: ${status.text}`, rest].join('\n'),
    logs: () => [router, ...dispatchers].map((one) => one.output()).join('\n'),
  });
}

async function upload(
  { orthanc }: Scene,
  uploaded: Map<string, string>,
  study: ReturnType<typeof makeStudy>,
): Promise<void> {
  for (const instance of study) {
    await store(orthanc, instance.bytes);
    uploaded.set(instance.sopInstanceUid, hashDataset(instance.bytes));
  }
}

/** One of the instances is deleted while the others are still arriving. */
async function uploadSlowly(
  { orthanc }: Scene,
  uploaded: Map<string, string>,
  study: ReturnType<typeof makeStudy>,
  deletedAt: number,
): Promise<void> {
  for (const [index, { bytes, sopInstanceUid }] of [...study].entries()) {
    const id = await store(orthanc, bytes);
    await sleep(slowMs);
    if (index !== deletedAt) {
      uploaded.set(sopInstanceUid, hashDataset(bytes));
      continue;
    }
    const path = `/instances/${id}`;
    const isGone = async (): Promise<boolean> => {
      await orthanc.send('DELETE', path).catch(() => {});
      return !((await orthanc.get('/instances')) as string[]).includes(id);
    };
    await waitFor(isGone, { intervalMs: 200, message: 'the deletion' });
  }
}

/** A modality resends what the archive did not accept; Orthanc may be down for a while. */
async function store(orthanc: Scene['orthanc'], bytes: Buffer): Promise<string> {
  const { ID: id } = await waitFor(() => orthanc.upload(bytes), {
    intervalMs: 200,
    message: 'the upload',
  });
  return id;
}
