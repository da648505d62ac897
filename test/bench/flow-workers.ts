import { pauseTarget, resumeTarget } from '@dicom-dispatch/operations';
import { prefix, secondsOf, startFlowScene } from './flow-scene.ts';
import { keptClasses, readClasses } from './redis-classes.ts';
import { median, usageOf } from './report.ts';

export interface WorkerRow {
  readonly workers: number;
  readonly deliveriesPerSecond: number;
  readonly efficiency: number;
}

/** Time that a delivery waits for the target. */
export const latencyMs = 4_000;
/** Deliveries at the same time in one dispatcher. */
export const lanes = 4;

/** The same deliveries with an increasing number of dispatchers, to a target with a fixed duration and no CPU. */
export async function measureWorkers(counts: readonly number[], studies: number): Promise<WorkerRow[]> {
  const targets = Object.fromEntries(
    counts.map((count) => [
      `w${count}`,
      { type: 'dummy', read: false, connectDelay: `${latencyMs}ms`, concurrency: 256 },
    ]),
  );
  await using scene = await startFlowScene(targets, studies, { dispatcher: { concurrency: lanes } });
  const rows: WorkerRow[] = [];
  let running = 0;
  for (const workers of counts) {
    for (; running < workers; running += 1) await scene.start('dispatcher');
    // All deliveries are queued before the first may start.
    await pauseTarget(scene.operations, `w${workers}`, { name: 'benchmark' });
    const ids = await scene.send(scene.studies, `w${workers}`);
    const from = Date.now();
    await resumeTarget(scene.operations, `w${workers}`);
    const rate = studies / secondsOf(await scene.untilDelivered(ids), from);
    const first = rows[0];
    rows.push({
      workers,
      deliveriesPerSecond: rate,
      efficiency: first ? rate / workers / (first.deliveriesPerSecond / first.workers) : 1,
    });
  }
  return rows;
}

export interface TargetRow {
  readonly targets: number;
  readonly deliveriesPerSecond: number;
  readonly cpuMsPerDelivery: number;
  readonly rssBytes: number;
  readonly redisConnections: number;
  readonly idleCpuShare: number;
  /** In Redis, for each ended delivery: its job, kept for days, and its records, kept until removed. */
  readonly jobBytes: number;
  readonly recordBytes: number;
}

/** The same number of deliveries by one dispatcher, to an increasing number of targets. */
export async function measureTargets(counts: readonly number[], studies: number): Promise<TargetRow[]> {
  const rows: TargetRow[] = [];
  for (const count of counts) {
    const names = Array.from({ length: count }, (_, index) => `t${index}`);
    await using scene = await startFlowScene(
      Object.fromEntries(names.map((name) => [name, { type: 'dummy' }])),
      studies,
    );
    const connections = await scene.info('connected_clients');
    const dispatcher = await scene.start('dispatcher');
    for (const name of names) await pauseTarget(scene.operations, name, { name: 'benchmark' });
    const ids: string[] = [];
    for (const [index, name] of names.entries())
      ids.push(
        ...(await scene.send(
          scene.studies.filter((_, at) => at % count === index),
          name,
        )),
      );
    const before = await usageOf(dispatcher.pid());
    const from = Date.now();
    for (const name of names) await resumeTarget(scene.operations, name);
    const seconds = secondsOf(await scene.untilDelivered(ids), from);
    const after = await usageOf(dispatcher.pid());
    await new Promise((done) => setTimeout(done, 5_000));
    const idle = await usageOf(dispatcher.pid());
    const redisConnections = (await scene.info('connected_clients')) - connections;
    const classes = await readClasses(scene.client, prefix);
    const bytesOf = (isWanted: (name: string) => boolean): number =>
      [...classes].reduce((sum, [name, { bytes }]) => sum + (isWanted(name) ? bytes : 0), 0) / studies;
    const isJob = (name: string): boolean => name.startsWith('job') || name.startsWith('queue');
    rows.push({
      targets: count,
      jobBytes: bytesOf(isJob),
      recordBytes: bytesOf((name) => !isJob(name) && keptClasses.has(name)),
      deliveriesPerSecond: studies / seconds,
      cpuMsPerDelivery: ((after.cpuSeconds - before.cpuSeconds) * 1_000) / studies,
      rssBytes: idle.rssBytes,
      redisConnections,
      idleCpuShare: (idle.cpuSeconds - after.cpuSeconds) / 5,
    });
  }
  return rows;
}

export interface BacklogRow {
  readonly backlog: number;
  readonly enqueueMs: number;
  readonly bytesPerWaiting: number;
  readonly deliveriesPerSecond: number;
  readonly cpuMsPerDelivery: number;
  readonly redisCpuMsPerDelivery: number;
  readonly waitedMs: number;
}

/**
 * Deliveries that overtake a backlog: the same number of urgent ones with an increasing number of others in the same queue.
 * The waiting ones are generated and never run; the measured ones are real.
 */
export async function measureBacklog(sizes: readonly number[], studies: number): Promise<BacklogRow[]> {
  await using scene = await startFlowScene({ sink: { type: 'dummy', concurrency: 8 } }, studies * sizes.length);
  const { enqueueMadeUp } = await import('./made-up-studies.ts');
  const dispatcher = await scene.start('dispatcher');
  const rows: BacklogRow[] = [];
  let waiting = 0;
  for (const [index, backlog] of sizes.entries()) {
    await pauseTarget(scene.operations, 'sink', { name: 'benchmark' });
    const memory = await scene.info('used_memory');
    const begun = performance.now();
    await enqueueMadeUp(scene, 'sink', waiting, backlog - waiting);
    const enqueueMs = (performance.now() - begun) / (backlog - waiting);
    const bytesPerWaiting = ((await scene.info('used_memory')) - memory) / (backlog - waiting);
    waiting = backlog;
    const mine = scene.studies.slice(index * studies, (index + 1) * studies);
    const ids = await scene.send(mine, 'sink');
    const [usage, redisCpu] = [await usageOf(dispatcher.pid()), await redisCpuSeconds()];
    const from = Date.now();
    await resumeTarget(scene.operations, 'sink');
    const done = await scene.untilDelivered(ids);
    await pauseTarget(scene.operations, 'sink', { name: 'benchmark' });
    const after = await usageOf(dispatcher.pid());
    rows.push({
      backlog,
      enqueueMs,
      bytesPerWaiting,
      deliveriesPerSecond: studies / secondsOf(done, from),
      cpuMsPerDelivery: ((after.cpuSeconds - usage.cpuSeconds) * 1_000) / studies,
      redisCpuMsPerDelivery: (((await redisCpuSeconds()) - redisCpu) * 1_000) / studies,
      waitedMs: median(done.map(({ startedAt, endedAt }) => (endedAt ?? 0) - (startedAt ?? 0))),
    });
  }
  return rows;

  async function redisCpuSeconds(): Promise<number> {
    return (await scene.info('used_cpu_user')) + (await scene.info('used_cpu_sys'));
  }
}
