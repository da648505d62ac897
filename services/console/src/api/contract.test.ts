import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly responses?: Record<string, { content?: { 'application/json'?: { schema: object } } }>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
}

const headers = { authorization: `Bearer ${testToken.administrator}` };

const file = `sources:
  main: { url: http://127.0.0.1:1 }
targets:
  a: { type: dummy }
rules:
  - { name: everything, targets: [a] }
`;

let test: TestConsole;
let orthanc: OrthancServer;
let orthancStudyId = '';
let document: Document;
let deliveryId: string;
let studyInstanceUid: string;
let batchId = '';
const ajv = new Ajv2020({ strict: false, allErrors: true });

beforeAll(async () => {
  orthanc = await startOrthanc();
  const study = makeStudy({ seed: 'contract', instancesPerSeries: 2 });
  for (const { bytes } of study) ({ ParentStudy: orthancStudyId } = await orthanc.upload(bytes));
  ({ studyInstanceUid } = study);
  const targets = {
    a: { type: 'dummy' },
    b: { type: 'dummy', attempts: 3 },
    pacs: { type: 'orthanc', url: orthanc.url },
  };
  test = await startTestConsole({ console: signIn, sourceUrl: orthanc.url, targets, file });
  await test.ask('POST', '/api/configuration/targets/a/enabled', { headers, body: { enabled: false } });
  ({ a: deliveryId } = await test.route({ studyInstanceUid, orthancStudyId }));
  const begun = await test.ask('POST', '/api/batches', { headers, body: { source: 'main', targets: ['b'] } });
  batchId = (begun.body as { id: string }).id;
  const failed = await test.route();
  await test.operations.records.update(failed.b, {
    state: 'failed',
    failStage: 'transfer',
    endedAt: Date.now(),
    error: { code: 'target-full', stage: 'transfer', fault: 'target', message: 'no space', remedy: 'free some' },
  });
  document = (await test.ask('GET', '/api/openapi.json', { headers })).body as Document;
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  await orthanc.stop();
});

function fill(path: string): string {
  return path
    .replace('{deliveryId}', deliveryId)
    .replace('{batch}', batchId)
    .replace('{target}', 'a')
    .replace('{version}', '1')
    .replace('{rule}', 'everything')
    .replace('{kind}', 'sources')
    .replace('{name}', 'main')
    .replace('{source}', 'main')
    .replace('{study}', studyInstanceUid);
}

/** Deviations of a response from the document; empty if it conforms. */
function breaches(method: string, path: string, status: number, body: unknown): string[] {
  const schema = document.paths[path]?.[method]?.responses?.[String(status)]?.content?.['application/json']?.schema;
  if (!schema) return [`${method} ${path} says nothing of ${status}`];
  const validate = ajv.compile(schema);
  return validate(body)
    ? []
    : (validate.errors ?? []).map(
        (error) => `${method} ${path} ${status}: ${error.instancePath} ${error.message ?? ''}`,
      );
}

describe('the API and its document', () => {
  it('is an OpenAPI 3.1 document in which every operation has a summary and its permissions', () => {
    expect(document.openapi).toBe('3.1.0');
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        expect(operation.summary, `${method} ${path}`).toBeTruthy();
        expect(operation.description, `${method} ${path}`).toMatch(
          /Needs the role (viewer|operator|editor|administrator)\./,
        );
      }
    }
  });

  it('responds to every GET according to the document', async () => {
    const others = new Set([
      '/api/events',
      '/api/studies.csv',
      '/api/deliveries.csv',
      '/api/fetches/download',
      '/api/openapi.json',
      '/api/audit/export',
      '/api/studies/{source}/{study}/thumbnail',
      '/api/studies/{source}/{study}/receipt.csv',
    ]);
    const paths = Object.keys(document.paths).filter((path) => document.paths[path]?.['get'] && !others.has(path));
    expect(paths.length).toBeGreaterThan(12);
    for (const path of paths) {
      const { status, body } = await test.ask('GET', fill(path), { headers });
      expect(status, path).toBe(200);
      expect(breaches('get', path, status, body)).toEqual([]);
    }
  });

  it('responds to impossible requests according to the document', async () => {
    const cases = [
      ['get', '/api/deliveries/{deliveryId}', '/api/deliveries/d-none', undefined, 404],
      ['post', '/api/deliveries/{deliveryId}/release', '/api/deliveries/d-none/release', undefined, 404],
      ['post', '/api/deliveries/{deliveryId}/resolve', '/api/deliveries/d-none/resolve', { reason: 'why' }, 404],
      ['post', '/api/studies/{source}/{study}/first', '/api/studies/main/1.2.3/first', undefined, 404],
      ['get', '/api/batches/{batch}', '/api/batches/none', undefined, 404],
      ['post', '/api/batches', '/api/batches', { source: 'main', modality: 'NONE', targets: ['b'] }, 400],
      ['post', '/api/fetches/find', '/api/fetches/find', { target: 'pacs' }, 400],
      ['post', '/api/fetches', '/api/fetches', { target: 'none', studyInstanceUid: '1.2', source: 'main' }, 404],
      ['post', '/api/fetches/{fetch}/cancel', '/api/fetches/f-none/cancel', undefined, 404],
      ['get', '/api/targets/{target}', '/api/targets/none', undefined, 404],
      ['put', '/api/targets/{target}/concurrency', '/api/targets/a/concurrency', { concurrency: 0 }, 400],
      ['post', '/api/bulk', '/api/bulk', { action: 'explode', filter: {} }, 400],
      ['get', '/api/studies', '/api/studies?limit=100000', undefined, 400],
      ['post', '/api/rules/dry-run', '/api/rules/dry-run', { search: 'NOT-THERE' }, 404],
      ['post', '/api/route', '/api/route', { source: 'none', orthancStudyId: 'x' }, 404],
      // If a misspelt field were ignored, the request would affect more than intended.
      ['post', '/api/route', '/api/route', { source: 'main', orthancStudyId: 'x', target: ['b'] }, 400],
      ['post', '/api/bulk', '/api/bulk', { action: 'cancel', filter: { stat: 'failed' } }, 400],
      ['post', '/api/batches', '/api/batches', { source: 'main', til: '2026-01-01' }, 400],
      ['post', '/api/studies/{source}/{study}/forget', '/api/studies/main/x/forget', { dryrun: true }, 400],
      ['post', '/api/studies/{source}/{study}/forget', '/api/studies/main/1.2.3/forget', {}, 404],
      ['post', '/api/studies/{source}/{study}/after-success', '/api/studies/main/1.2.3/after-success', undefined, 404],
      ['post', '/api/targets/{target}/audit/send', '/api/targets/a/audit/send', {}, 409],
      ['post', '/api/targets/{target}/audit', '/api/targets/a/audit', { sample: 2 }, 400],
      ['post', '/api/targets/{target}/move', '/api/targets/a/move', { to: 'b' }, 404],
      ['post', '/api/targets/{target}/drop', '/api/targets/a/drop', undefined, 404],
      ['post', '/api/targets/{target}/place', '/api/targets/a/place', { decision: 'new' }, 409],
      // No service is running.
      ['post', '/api/configuration/reload', '/api/configuration/reload', undefined, 503],
      ['get', '/api/configuration/versions/{version}', '/api/configuration/versions/9', undefined, 404],
      ['post', '/api/configuration/versions/{version}/restore', '/api/configuration/versions/1/restore', {}, 409],
    ] as const;
    for (const [method, path, address, body, expected] of cases) {
      const answer = await test.ask(method.toUpperCase(), address, { headers, body });
      expect([address, answer.status]).toEqual([address, expected]);
      expect(breaches(method, path, answer.status, answer.body)).toEqual([]);
    }
  });

  it('responds to every change according to the document, without omissions', async () => {
    const failed = { target: 'b', state: 'failed' };
    const search = studyInstanceUid;
    const seenNow = async (): Promise<{ seen: string }> => {
      const { body } = await test.ask('GET', '/api/configuration/draft', { headers });
      return { seen: (body as { seen: string }).seen };
    };
    const { seen } = await seenNow();
    const cases: readonly (readonly [string, string, unknown?])[] = [
      ['post', '/api/deliveries/{deliveryId}/hold'],
      ['post', '/api/deliveries/{deliveryId}/release'],
      ['post', '/api/deliveries/{deliveryId}/first'],
      ['post', '/api/studies/{source}/{study}/first'],
      ['post', '/api/deliveries/{deliveryId}/cancel'],
      ['post', '/api/deliveries/{deliveryId}/retry'],
      ['post', '/api/deliveries/{deliveryId}/resolve', { reason: 'sent from the modality' }],
      ['post', '/api/deliveries/{deliveryId}/reopen'],
      ['post', '/api/deliveries/{deliveryId}/retry'],
      ['post', '/api/bulk/preview', { action: 'retry', filter: failed }],
      ['post', '/api/bulk', { action: 'hold', filter: { ...failed, state: 'waiting' } }],
      ['post', '/api/route/preview', { source: 'main', orthancStudyId, targets: ['b'] }],
      ['post', '/api/route', { source: 'main', orthancStudyId, targets: ['b'], everything: true }],
      ['post', '/api/studies/{source}/{study}/forget', {}],
      ['post', '/api/batches/preview', { source: 'main', from: '2000-01-01' }],
      ['post', '/api/batches', { source: 'main', rule: 'everything', studiesPerMinute: 5 }],
      ['post', '/api/batches/{batch}/pause'],
      ['post', '/api/batches/{batch}/resume'],
      ['put', '/api/batches/{batch}/rate', { studiesPerMinute: 30 }],
      ['post', '/api/batches/{batch}/cancel'],
      ['post', '/api/fetches/find', { target: 'pacs', study: studyInstanceUid }],
      ['post', '/api/fetches', { target: 'pacs', studyInstanceUid, source: 'main' }],
      ['post', '/api/rules/dry-run', { search }],
      ['post', '/api/targets/{target}/test'],
      ['post', '/api/targets/{target}/pause'],
      ['post', '/api/targets/{target}/resume'],
      ['post', '/api/targets/{target}/promote'],
      ['post', '/api/targets/{target}/audit', {}],
      ['post', '/api/targets/{target}/audit/stop'],
      ['put', '/api/targets/{target}/concurrency', { concurrency: 3 }],
      ['put', '/api/targets/{target}/rate', { deliveriesPerMinute: 60 }],
      ['put', '/api/targets/{target}/rate', { deliveriesPerMinute: null }],
      ['post', '/api/sources/{source}/try', {}],
      ['post', '/api/sources/{source}/test-study', { modality: 'OT' }],
      ['post', '/api/sessions/end', { name: 'somebody' }],
      ['put', '/api/configuration/draft', { text: file.replace('dummy', 'dummy, attempts: 2'), seen }],
      ['post', '/api/configuration/targets/{target}/check', { was: 'a', type: 'dummy', values: { delay: 'x' } }],
      ['post', '/api/configuration/targets/{target}/test', { was: 'a', type: 'dummy' }],
      ['put', '/api/configuration/targets/{target}', { was: 'a', type: 'dummy', values: { attempts: '3' } }],
      ['post', '/api/configuration/targets/{target}/enabled', { enabled: false }],
      ['post', '/api/configuration/draft/preview', {}],
      ['post', '/api/configuration/rules/try', { when: "'CT' in study.ModalitiesInStudy" }],
      ['post', '/api/configuration/rules/complete', { before: 'study.Stu' }],
      ['post', '/api/configuration/rules/{rule}/check', { was: 'everything', values: { targets: 'a' } }],
      ['put', '/api/configuration/rules/{rule}', { was: 'everything', values: { targets: 'a', hold: 'true' } }],
      ['post', '/api/configuration/rules/{rule}/enabled', { enabled: false }],
      ['post', '/api/configuration/rules/{rule}/move', { direction: 'down' }],
      ['post', '/api/configuration/rules/{rule}/remove'],
      ['post', '/api/configuration/entries/{kind}/{name}/check', { was: 'main', values: { url: 'x' } }],
      ['post', '/api/configuration/entries/{kind}/{name}/test', { was: 'main', values: { url: orthanc.url } }],
      ['put', '/api/configuration/entries/{kind}/{name}', { was: 'main', values: { url: 'http://127.0.0.1:2' } }],
      ['post', '/api/configuration/entries/{kind}/{name}/remove'],
      ['post', '/api/configuration/targets/{target}/remove', {}],
      ['post', '/api/configuration/draft/discard', seenNow],
    ];
    for (const [method, path, body] of cases) {
      if (path.endsWith('/resolve')) await test.operations.records.update(deliveryId, { state: 'failed' });
      const sent: unknown = typeof body === 'function' ? await body() : body;
      const answer = await test.ask(method.toUpperCase(), fill(path), { headers, body: sent });
      expect([path, answer.status, answer.status === 200 ? '' : answer.text]).toEqual([path, 200, '']);
      expect(breaches(method, path, 200, answer.body)).toEqual([]);
    }
    const tried = new Set(cases.map(([method, path]) => `${method} ${path}`));
    const all = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => method !== 'get')
        .map((method) => `${method} ${path}`),
    );
    // A token has no session to end: the sign-out is tested with a session in sign-in.test.ts. Sending missing instances requires
    // an audit with findings: test/e2e/target-audit.test.ts. After success: health-page.test.ts. Those of the configuration and
    // the last three require running services: test/e2e/reload.test.ts and configure.test.ts.
    expect(all.filter((name) => !tried.has(name)).toSorted()).toEqual([
      'post /api/configuration/draft/apply',
      // Not for sources: entries.test.ts.
      'post /api/configuration/entries/{kind}/{name}/enabled',
      'post /api/configuration/reload',
      'post /api/configuration/versions/{version}/restore',
      'post /api/fetches/{fetch}/cancel',
      'post /api/notifications/{receiver}/test',
      'post /api/sign-out',
      'post /api/studies/{source}/{study}/after-success',
      'post /api/targets/{target}/audit/send',
      'post /api/targets/{target}/drop',
      'post /api/targets/{target}/move',
      'post /api/targets/{target}/place',
    ]);
    expect((await test.operations.records.deliveriesOfUid(studyInstanceUid, 'main')).length).toBeGreaterThan(1);
  });

  it('has a small image of a study, and reports an unavailable source', async () => {
    const image = await test.ask('GET', fill('/api/studies/{source}/{study}/thumbnail'), { headers });
    expect([image.status, image.headers.get('content-type')]).toEqual([200, 'image/jpeg']);
    await using silent = await startTestConsole({ console: signIn });
    const { status, body } = await silent.ask('POST', '/api/rules/dry-run', { headers, body: { search: 'x' } });
    expect(status).toBe(503);
    expect(breaches('post', '/api/rules/dry-run', 503, body)).toEqual([]);
  });

  it('executes the documented action: hold, release, bulk with a preview, cancel, retry', async () => {
    const post = (path: string, body?: unknown) =>
      test.ask('POST', path, { headers, ...(body !== undefined && { body }) });
    expect((await post(`/api/deliveries/${deliveryId}/hold`)).body).toMatchObject({
      held: true,
      explanation: { reason: 'held' },
    });
    expect((await post(`/api/deliveries/${deliveryId}/release`)).body).toMatchObject({ held: false });
    const filter = { target: 'b', state: 'failed', code: 'target-full' };
    expect((await post('/api/bulk/preview', { action: 'retry', filter })).body).toMatchObject({
      count: 1,
      byTarget: { b: 1 },
    });
    expect((await post('/api/bulk', { action: 'retry', filter })).body).toEqual({ matched: 1, done: 1, skipped: 0 });
    expect((await post(`/api/deliveries/${deliveryId}/cancel`)).body).toMatchObject({ state: 'cancelled' });
    expect((await post(`/api/deliveries/${deliveryId}/cancel`)).status).toBe(409);
    expect((await post(`/api/deliveries/${deliveryId}/retry`)).body).toMatchObject({ state: 'waiting' });
    const { body } = await test.ask('GET', '/api/audit', { headers });
    expect((body as { entries: { action: string }[] }).entries.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['hold', 'release', 'bulk', 'cancel', 'retry']),
    );
  });

  it('reports changes as they happen (server-sent events)', async () => {
    const stop = new AbortController();
    const answer = await fetch(`${test.url}/api/events`, { headers, signal: stop.signal });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = (await reader?.read())?.value ?? '';
    const { a } = await test.route();
    const uid = (await test.operations.records.delivery(a))?.orthancStudyId ?? 'none';
    while (!text.includes(uid)) text += (await reader?.read())?.value ?? '';
    expect(text).toContain('event: change');
    stop.abort();
  });
});
