import { redisKeys } from '@dicom-dispatch/state/keys';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

let test: TestConsole;
let keys: ReturnType<typeof redisKeys>;
beforeAll(async () => {
  test = await startTestConsole({ console: signIn });
  keys = redisKeys(test.config.redis.prefix);
});
afterAll(() => test[Symbol.asyncDispose]());

function ask(method: string, path: string, who: keyof typeof testToken = 'operator', body?: unknown) {
  const headers = { authorization: `Bearer ${testToken[who]}`, accept: method === 'GET' ? 'text/html' : '*/*' };
  return test.ask(method, path, { headers, body });
}

describe('the front page', () => {
  it('has one line for each thing that needs a person, worst first, from the list that programs get', async () => {
    const { body } = await ask('GET', '/api/health', 'viewer');
    const { findings } = body as { findings: { kind: string; words: string; path: string }[] };
    expect(findings.map(({ kind }) => kind)).toEqual(['no-router', 'no-dispatcher', 'source-silent']);
    const { text } = await ask('GET', '/', 'viewer');
    expect(text).toContain('3 findings need action');
    const lines = [...text.matchAll(/data-kind="([^"]+)"/g)].map(([, kind]) => kind);
    expect(lines).toEqual(findings.map(({ kind }) => kind));
    for (const { words, path } of findings) {
      expect(text).toContain(words.replaceAll("'", '&#39;'));
      expect((await ask('GET', path.split('#')[0] ?? '', 'viewer')).status, path).toBe(200);
    }
    expect(text).toContain('Start one: dispatch router.');
    expect(text).toContain('Last arrival none yet');
  });
});

describe('studies that cannot be read', () => {
  it('are on the page of the sources, each with reason and next try, and are tried now by an operator', async () => {
    const dueAt = Date.now() + 3_600_000;
    for (const id of ['o-7', 'o-8']) {
      await test.redis.zadd(keys.feedLater('main'), dueAt, id);
      const why = { tries: 4, since: Date.now() - 60_000, code: 'source-error', message: `HTTP 500 for ${id}` };
      await test.redis.hset(keys.feedLaterWhy('main'), id, JSON.stringify(why));
    }
    const { text } = await ask('GET', '/sources');
    expect(text).toContain('2 studies put off');
    expect(text).toContain('HTTP 500 for o-7');
    expect(text).toContain(new Date(dueAt).toISOString());
    expect((await ask('GET', '/sources', 'viewer')).text).not.toContain('Try now');
    expect((await ask('POST', '/api/sources/main/try', 'viewer', {})).status).toBe(403);
    const due = async (id: string) => Number(await test.redis.zscore(keys.feedLater('main'), id));
    const one = await ask('POST', '/api/sources/main/try', 'operator', { orthancStudyId: 'o-7' });
    expect(one.body).toEqual({ tried: 1, did: '1 study of main is tried now.' });
    expect([(await due('o-7')) <= Date.now(), await due('o-8')]).toEqual([true, dueAt]);
    expect((await ask('POST', '/api/sources/main/try', 'operator', {})).body).toMatchObject({ tried: 2 });
    expect(await due('o-8')).toBeLessThanOrEqual(Date.now());
    const missing = await ask('POST', '/api/sources/main/try', 'operator', { orthancStudyId: 'o-9' });
    expect(missing.status).toBe(404);
    expect(await test.redis.zscore(keys.feedLater('main'), 'o-9')).toBeNull();
  });
});

describe('a disabled source', () => {
  it('is named on the pages as what it is, and takes no batch, test study or retry', async () => {
    await using off = await startTestConsole({ console: signIn, sourceEnabled: false });
    const ask = (method: string, path: string, body?: unknown) => {
      const headers = {
        authorization: `Bearer ${testToken.administrator}`,
        accept: method === 'GET' ? 'text/html' : '*/*',
      };
      return off.ask(method, path, { headers, body });
    };
    const front = (await ask('GET', '/')).text;
    expect([...front.matchAll(/data-kind="(source[^"]*)"/g)].map(([, kind]) => kind)).toEqual(['source-off']);
    expect(front).toContain('the source main is disabled in the configuration');
    const { text } = await ask('GET', '/sources');
    expect(text).toContain('⊘ disabled');
    expect(text).toContain('none: the source is disabled; its new studies are routed when it is enabled');
    expect(text).not.toMatch(/no router follows it|new studies are not found/);
    expect((await ask('GET', '/api/sources')).body).toMatchObject({
      sources: [{ name: 'main', enabled: false, followed: false }],
    });
    for (const [path, body] of [
      ['/api/batches/preview', { source: 'main' }],
      ['/api/batches', { source: 'main' }],
      ['/api/sources/main/test-study', {}],
      ['/api/sources/main/try', {}],
    ] as const)
      expect([path, await ask('POST', path, body)]).toMatchObject([
        path,
        { status: 409, text: expect.stringContaining('the source main is disabled') },
      ]);
  });
});

describe('the actions after success', () => {
  it('is on the page of the study with its error, and is tried now', async () => {
    const { a, studyInstanceUid } = await test.route({ orthancStudyId: 'o-after' });
    const record = await test.operations.records.delivery(a);
    const id = record?.studyTaskId ?? '';
    const tasks = new TaskRecords(test.redis, test.config.redis.prefix);
    const onSuccess = { labels: ['sent'], metadata: {}, unprotect: false, delete: true };
    const data = { studyTaskId: id, source: 'main', orthancStudyId: 'o-after', studyInstanceUid, onSuccess };
    await tasks.open(data as never);
    const path = '/api/studies/main/o-after/after-success';
    expect((await ask('GET', '/studies/main/o-after')).text).toContain('When all deliveries have succeeded');
    expect((await ask('POST', path)).status).toBe(409);
    const error = { code: 'source-unreachable', stage: 'finalize', fault: 'source', message: 'refused', remedy: 'Do.' };
    await tasks.putOff(id, 600_000, error as never);
    const { text } = await ask('GET', '/studies/main/o-after');
    expect(text).toMatch(/Not done yet in main: add the label sent, delete the delivered instances\. Tried 1\s+time/);
    expect(text).toContain('refused');
    expect((await ask('POST', path)).body).toEqual({ did: 'What is to be done in main is tried now.' });
    expect((await tasks.read(id))?.nextAttemptAt).toBeLessThanOrEqual(Date.now());
    await tasks.finish(id, ['label sent'], ['instances deleted: a rule still waits']);
    const done = (await ask('GET', '/studies/main/o-after')).text;
    expect(done).toContain('Done in main: label sent.');
    expect(done).toContain('Not done: instances deleted: a rule still waits.');
  });
});

describe('without Redis', () => {
  it('a browser gets a page that reports this, and readiness lists it', async () => {
    await using other = await startTestConsole();
    await other.server.kill('SIGKILL');
    const page = await other.ask('GET', '/targets', { headers: { accept: 'text/html' } });
    expect([page.status, page.text]).toEqual([503, expect.stringContaining('<p class="title">Redis does not respond')]);
    const ready = await other.ask('GET', '/readyz');
    expect(ready.body).toMatchObject({
      status: 'not ready',
      findings: [{ kind: 'redis-away', severity: 'critical', subject: '' }],
    });
    expect((await other.ask('GET', '/metrics')).text).toContain(
      'dispatch_health_findings{kind="redis-away",severity="critical",subject=""} 1',
    );
    await other.server.restart();
  });
});
