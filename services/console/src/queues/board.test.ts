import type { StudyTaskData } from '@dicom-dispatch/core';
import { holdDelivery, releaseDelivery } from '@dicom-dispatch/operations';
import { act } from '@dicom-dispatch/state/records';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnrecoverableError, Worker } from 'bullmq';
import { waitFor } from '@dicom-dispatch/harness';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

let test: TestConsole;
beforeAll(async () => {
  test = await startTestConsole();
});
afterAll(() => test[Symbol.asyncDispose]());

/** Fails every delivery in the queue of the target, like a dispatcher after the last attempt. */
async function failAll(target: string): Promise<void> {
  const { prefix } = test.config.redis;
  const worker = new Worker(
    `target-${target}`,
    async (job) => {
      await test.operations.records.update(job.id ?? '', {
        state: 'failed',
        endedAt: Date.now(),
        failStage: 'transfer',
      });
      throw new UnrecoverableError('[transfer] target-full: no space');
    },
    { connection: test.redis, prefix },
  );
  const queue = test.operations.queues.target(target);
  await waitFor(async () => {
    const counts = await queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed');
    return Object.values(counts).every((count) => count === 0);
  });
  await worker.close();
}

describe('Bull Board', () => {
  it('serves its page inside our navigation, with nothing from another host', async () => {
    const page = await test.ask('GET', '/queues', { headers: { accept: 'text/html' } });
    expect(page.status).toBe(200);
    expect(page.text).toContain('href="/studies"');
    expect(page.text).not.toMatch(/(src|href)="https?:/);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  it('has no buttons for viewers', async () => {
    await using signedIn = await startTestConsole({ console: signIn });
    for (const [role, readOnlyMode] of [
      ['viewer', true],
      ['operator', false],
    ] as const) {
      const headers = { authorization: `Bearer ${testToken[role]}` };
      const { body } = await signedIn.ask('GET', '/queues/api/queues', { headers });
      const { queues } = body as { queues: { readOnlyMode: boolean }[] };
      expect(queues.length).toBe(3);
      for (const queue of queues) expect(queue.readOnlyMode, role).toBe(readOnlyMode);
    }
  });

  it('lists every queue of the configuration', async () => {
    const { body } = await test.ask('GET', '/queues/api/queues');
    expect((body as { queues: { name: string }[] }).queues.map(({ name }) => name).sort()).toEqual([
      'study',
      'target-a',
      'target-b',
    ]);
  });

  it('retries a failed delivery with all its attempts, quarantine cleared and the event on its timeline', async () => {
    const { b, studyInstanceUid } = await test.route();
    await failAll('b');
    const queue = test.operations.queues.target('b');
    const orthancStudyId = (await test.operations.records.delivery(b))?.orthancStudyId ?? '';
    const key = { source: 'main', orthancStudyId, studyInstanceUid, target: 'b' };
    await test.operations.ledger.quarantine(key, {
      sopInstanceUid: `${studyInstanceUid}.1.1`,
      version: '1',
      attempt: 1,
      deliveryId: b,
      error: { code: 'instance-refused', message: 'no' },
    });
    const answer = await test.ask('PUT', `/queues/api/queues/target-b/${b}/retry`);
    expect(answer.status).toBe(204);
    const job = await queue.getJob(b);
    expect(job?.attemptsMade).toBe(0);
    expect(await job?.getState()).toBe('prioritized');
    expect(await test.operations.ledger.summary(key)).toEqual({ delivered: 0, quarantined: 0 });
    expect((await test.operations.records.delivery(b))?.state).toBe('waiting');
    expect((await test.operations.records.events(b)).at(-1)).toMatchObject({
      kind: 'operator',
      text: 'retried by local',
    });
  });

  it('retries all failed deliveries of a target', async () => {
    await test.route();
    await failAll('b');
    const { body } = await test.ask('PUT', '/queues/api/queues/target-b/retry/failed');
    expect(body).toMatchObject({ retried: 2, skipped: 0 });
    const jobs = await test.operations.queues.target('b').getJobs(['prioritized', 'waiting']);
    expect(jobs.map((job) => job.attemptsMade)).toEqual([0, 0]);
  });

  it('takes nothing else that BullMQ keeps under the name of a queue for a job', async () => {
    const { a } = await test.route();
    const queue = test.operations.queues.target('a');
    const meta = await test.redis.hgetall(queue.toKey('meta'));
    expect(Object.keys(meta)).not.toEqual([]);
    for (const id of ['meta', 'events', 'id', 'marker', 'pc', 'prioritized', 'wait', `${a}:lock`, `${a}%3Alogs`]) {
      for (const [method, act, body] of [
        ['GET', '', undefined],
        ['PUT', '/clean', {}],
        ['PUT', '/retry', {}],
        ['PUT', '/promote', {}],
        ['PATCH', '/priority', { priority: 3 }],
      ] as const) {
        const { status } = await test.ask(method, `/queues/api/queues/target-a/${id}${act}`, { body });
        expect([id, act, status]).toEqual([id, act, 404]);
      }
    }
    expect(await test.redis.hgetall(queue.toKey('meta'))).toEqual(meta);
  });

  it('records who removed a job', async () => {
    const { a } = await test.route();
    expect((await test.ask('PUT', `/queues/api/queues/target-a/${a}/clean`)).status).toBe(204);
    const record = await test.operations.records.delivery(a);
    expect(record).toMatchObject({ state: 'cancelled' });
    expect(await test.operations.queues.target('a').getJob(a)).toBeUndefined();
  });

  it('removes jobs of a study without letting its task believe that all has arrived; a retry ties them to it again', async () => {
    const { a, b } = await test.route();
    const task = async () =>
      test.operations.queues.study().getJob((await test.operations.records.delivery(a))?.studyTaskId ?? '');
    for (const [target, id] of [
      ['a', a],
      ['b', b],
    ]) {
      expect((await test.ask('PUT', `/queues/api/queues/target-${target}/${id}/clean`)).status).toBe(204);
    }
    expect(await (await task())?.getState()).toBe('waiting-children');
    for (const id of [a, b]) expect((await test.ask('POST', `/api/deliveries/${id}/retry`)).status).toBe(200);
    const { prefix } = test.config.redis;
    const workers = ['a', 'b'].map(
      (target) => new Worker(`target-${target}`, async () => 'sent', { connection: test.redis, prefix }),
    );
    await waitFor(async () => (await (await task())?.getState()) === 'waiting', { message: 'the study task goes on' });
    await Promise.all(workers.map((worker) => worker.close()));
  });

  it('pauses, resumes, promotes, shows log and progress; what was done is in the audit log', async () => {
    const { a } = await test.route();
    const queue = test.operations.queues.target('a');
    const job = await queue.getJob(a);
    await job?.log('stage transfer');
    await job?.updateProgress({ stage: 'transfer', confirmed: 2, total: 3 });
    await test.redis.zrem(queue.toKey('prioritized'), a);
    await test.redis.zadd(queue.toKey('delayed'), (Date.now() + 3_600_000) * 4096, a);
    const done = async (path: string) => (await test.ask('PUT', `/queues/api/queues/target-a${path}`)).status;
    expect(await done(`/${a}/promote`)).toBe(204);
    expect(await job?.getState()).toBe('prioritized');
    expect(await done('/pause')).toBe(200);
    expect(await queue.isPaused()).toBe(true);
    expect(await done('/resume')).toBe(200);
    expect(await queue.isPaused()).toBe(false);
    expect((await test.ask('GET', `/queues/api/queues/target-a/${a}/logs`)).text).toContain('stage transfer');
    expect((await test.ask('GET', `/queues/api/queues/target-a/${a}`)).body).toMatchObject({
      job: { progress: { stage: 'transfer', confirmed: 2, total: 3 } },
    });
    const { body } = await test.ask('GET', '/api/audit');
    const { entries } = body as { entries: { who: string; action: string; subject: string; detail: string }[] };
    for (const [action, subject] of [
      ['promote', a],
      ['pause', 'target-a'],
      ['resume', 'target-a'],
    ]) {
      expect(entries).toContainEqual(
        expect.objectContaining({ who: 'local', action, subject, detail: expect.stringContaining('in Bull Board') }),
      );
    }
  });

  it('rejects removing, promoting or postponing a job contrary to its record', async () => {
    const { a } = await test.route();
    const { operations, redis } = test;
    const queue = operations.queues.target('a');
    const press = async (path: string, body?: unknown, method = 'PUT') =>
      (await test.ask(method, `/queues/api/queues/${path}`, { body })).status;
    const { studyTaskId = '' } = (await operations.records.delivery(a)) ?? {};
    // The study task has unfinished deliveries, which would lose their parent.
    expect(await press(`study/${studyTaskId}/clean`)).toBe(409);
    expect(await (await operations.queues.study().getJob(studyTaskId))?.getState()).toBe('waiting-children');
    // A running attempt.
    const lock = `${queue.toKey(a)}:lock`;
    await redis.set(lock, 'token');
    const patch = { state: 'active', lock, token: 'token' } as const;
    await operations.records.change(a, { ...act('begin'), patch });
    expect(await press(`target-a/${a}/clean`)).toBe(409);
    expect(await queue.getJob(a)).toBeDefined();
    expect(await press(`target-a/${a}/retry`)).not.toBe(204);
    await redis.del(lock);
    await operations.records.change(a, { ...act('lose'), patch: { state: 'waiting', wake: 'job' } });
    // The hold is kept.
    await holdDelivery(operations, a, { name: 'tester' });
    await redis.zrem(queue.toKey('prioritized'), a);
    await redis.zadd(queue.toKey('delayed'), (Date.now() + 3_600_000) * 4096, a);
    expect(await press(`target-a/${a}/promote`)).toBe(409);
    await press('target-a/promote');
    expect(await (await queue.getJob(a))?.getState()).toBe('delayed');
    expect(await operations.records.look(a)).toMatchObject({ isHeld: true });
    // A postponed delivery also waits as long as its record defines.
    await releaseDelivery(operations, a, { name: 'tester' });
    await (await queue.getJob(a))?.remove();
    await queue.add('delivery', {}, { jobId: a, priority: 30, delay: 60_000 });
    expect(await press(`target-a/${a}/delay`, { runAt: Date.now() + 600_000 }, 'PATCH')).toBeLessThan(300);
    const { nextAttemptAt = 0, wake } = (await operations.records.delivery(a)) ?? {};
    expect(wake).toBe('due');
    expect(nextAttemptAt - Date.now()).toBeGreaterThan(500_000);
  });

  it('removes a completed study task alone, and not while actions in the source remain', async () => {
    const { a } = await test.route();
    const { operations, redis, config } = test;
    const record = await operations.records.delivery(a);
    const id = record?.studyTaskId ?? '';
    const studies = operations.queues.study();
    await redis.zrem(studies.toKey('waiting-children'), id);
    await redis.zadd(studies.toKey('completed'), Date.now(), id);
    const tasks = new TaskRecords(redis, config.redis.prefix);
    const job = await studies.getJob(id);
    await tasks.open({ ...(job?.data as StudyTaskData), onSuccess: {} as never });
    const remove = async () => (await test.ask('PUT', `/queues/api/queues/study/${id}/clean`)).status;
    expect(await remove()).toBe(409);
    await tasks.finish(id, [], []);
    expect(await remove()).toBe(204);
    expect(await studies.getJob(id)).toBeUndefined();
    expect(await operations.queues.target('a').getJob(a)).toBeDefined();
  });

  it('reveals nothing about Redis itself', async () => {
    expect((await test.ask('GET', '/queues/api/redis/stats')).status).toBe(403);
    const { text } = await test.ask('GET', '/queues', { headers: { accept: 'text/html' } });
    expect(text).toMatch(/"hideRedisDetails":\s*true/);
  });

  it('shows jobs without patient data', async () => {
    const { a } = await test.route();
    const { body } = await test.ask('GET', `/queues/api/queues/target-a/${a}`);
    const { job } = body as { job: { data: Record<string, unknown> } };
    expect(Object.keys(job.data).sort()).toEqual([
      'contentHash',
      'deliveryId',
      'epoch',
      'instanceCount',
      'late',
      'modalities',
      'orthancStudyId',
      'priority',
      'routedAt',
      'rules',
      'source',
      'studyInstanceUid',
      'studyTaskId',
      'target',
    ]);
  });

  it.each([
    ['PATCH', '/update-data', { jobData: { target: 'evil' } }],
    ['PUT', '/remove-unprocessed-children', undefined],
  ])('refuses %s %s of a job to everybody', async (method, path, body) => {
    const { a } = await test.route();
    const answer = await test.ask(method, `/queues/api/queues/target-a/${a}${path}`, { body });
    expect(answer.status).toBe(403);
  });

  it.each([
    ['POST', '/add', { name: 'x', data: {}, options: {} }],
    ['PUT', '/empty', undefined],
    ['PUT', '/obliterate', { force: true }],
    ['PUT', '/clean/completed', undefined],
  ])('refuses %s %s of a queue to everybody', async (method, path, body) => {
    const answer = await test.ask(method, `/queues/api/queues/target-a${path}`, { body });
    expect(answer.status).toBe(403);
  });

  it.each([
    ['target-a', '/concurrency', { concurrency: 0 }],
    ['target-a', '/concurrency', { concurrency: 'many' }],
    ['target-a', '/rate-limit', { max: 0, duration: 60_000 }],
    ['target-a', '/rate-limit', { max: 1, duration: 1e12 }],
    ['study', '/concurrency', { concurrency: 1 }],
    ['study', '/rate-limit', { max: 1, duration: 60_000 }],
  ])('refuses for %s a limit that would stop it unseen: %s %o', async (name, path, body) => {
    const answer = await test.ask('PUT', `/queues/api/queues/${name}${path}`, { body });
    // Some are rejected by Bull Board itself.
    expect([400, 409]).toContain(answer.status);
    const queue = name === 'study' ? test.operations.queues.study() : test.operations.queues.target('a');
    expect(await queue.getGlobalRateLimit()).toBeNull();
    expect(await queue.getGlobalConcurrency()).toBeNull();
  });

  it('accepts a limit above zero', async () => {
    for (const [path, body] of [
      ['/concurrency', { concurrency: 3 }],
      ['/rate-limit', { max: 10, duration: 60_000 }],
    ] as const) {
      const { status } = await test.ask('PUT', `/queues/api/queues/target-b${path}`, { body });
      expect(status).toBeLessThan(300);
    }
    const queue = test.operations.queues.target('b');
    expect(await queue.getGlobalConcurrency()).toBe(3);
    expect(await queue.getGlobalRateLimit()).toEqual({ max: 10, duration: 60_000 });
  });
});

describe('health and metrics', () => {
  it('reports that it is alive and ready, and the content of the queues', async () => {
    expect((await test.ask('GET', '/healthz')).body).toEqual({ status: 'ok' });
    expect((await test.ask('GET', '/readyz')).body).toMatchObject({ status: 'ready' });
    const { text } = await test.ask('GET', '/metrics');
    expect(text).toMatch(/dispatch_queue_jobs\{target="a",state="prioritized"\} \d+/);
    expect(text).toContain('dispatch_circuit_open{target="a"} 0');
  });
});

describe('without Redis', () => {
  it('reports it on every page, stays alive, and continues when Redis is available again', async () => {
    await using other = await startTestConsole();
    await other.server.kill('SIGKILL');
    const answer = await other.ask('GET', '/studies');
    expect([answer.status, answer.text]).toEqual([503, expect.stringContaining('Redis does not respond')]);
    expect((await other.ask('GET', '/healthz')).status).toBe(200);
    const ready = await other.ask('GET', '/readyz');
    expect([ready.status, ready.text]).toEqual([503, expect.stringContaining('"name":"redis","ok":false')]);
    expect((await other.ask('GET', '/metrics')).status).toBe(200);
    await other.server.restart();
    await waitFor(async () => (await other.ask('GET', '/studies')).status === 200);
  });
});
