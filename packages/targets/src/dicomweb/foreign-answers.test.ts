import { gzipSync } from 'node:zlib';
import type { ServerResponse } from 'node:http';
import { startHttpServer } from '@dicom-dispatch/harness';
import { afterEach, describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { fixtureStudy } from '../contract-suite/index.ts';
import { dicomwebHandler } from './handler.ts';
import { allStored, answer, deliver, sequence, startStowService, type Listed, type Stow } from './stow-stand-in.ts';

const study = fixtureStudy({ seed: 'foreign', series: 1, instancesPerSeries: 4, rows: 16, columns: 16 });
const uids = study.instances.map(({ manifest }) => manifest.sopInstanceUid);
const [first = '', second = '', third = '', fourth = ''] = uids;
const sopClassUid = study.instances[0]?.manifest.sopClassUid ?? '';
const allPending = Array(4).fill('pending');
const allDelivered = Array(4).fill('delivered');

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one[Symbol.asyncDispose]();
});

type Answer = (stow: Stow) => readonly [type: string | undefined, body: string | Buffer, headers?: object];

async function service(status: number, content: Answer, listed?: Listed) {
  const started = await startStowService((stow, response: ServerResponse) => {
    const [type, body, headers] = content(stow);
    response.writeHead(status, { ...(type !== undefined && { 'content-type': type }), ...headers }).end(body);
  }, listed);
  running.push(started);
  return { ...started, config: { ...started.config, verifyTimeout: '100ms' } };
}

const item = (uid: string, more: object = {}) => ({ '00081155': { vr: 'UI', Value: [uid] }, ...more });
const response = (stored: readonly object[], failed: readonly object[] = []) =>
  JSON.stringify({ '00081198': sequence(failed), '00081199': sequence(stored) });
const json = 'application/dicom+json';
const whole = ({ uids: sent }: Stow): string => response(sent.map((uid) => item(uid)));

/** Success responses of a service that are not a Store Instances Response for these instances. */
const foreign: readonly (readonly [string, Answer])[] = [
  ['a login page', () => ['text/html', '<!doctype html><title>Sign in</title>']],
  ['a page in XML', () => ['application/xhtml+xml', '<html xmlns="http://www.w3.org/1999/xhtml"/>']],
  ['its own JSON', () => ['application/json', '{"status":"ok"}']],
  ['its own JSON as DICOM JSON', () => [json, '{"status":"ok"}']],
  ['a list of nothing', () => [json, '[]']],
  ['an empty object', () => [json, '{}']],
  ['null', () => [json, 'null']],
  ['a word', () => ['text/plain', 'OK']],
  ['the right words under the wrong type', (stow) => ['text/html', whole(stow)]],
  ['the right words under no type', (stow) => [undefined, whole(stow)]],
  ['JSON under the type of XML', (stow) => ['application/dicom+xml', whole(stow)]],
  ['XML that is none of DICOM', () => ['application/dicom+xml', '<ok/>']],
  ['half of the answer', (stow) => [json, whole(stow).slice(0, -20)]],
  ['only an address to retrieve from', () => [json, '{"00081190":{"vr":"UR","Value":["http://x/studies/1"]}}']],
];

/** A Store Instances Response that does not name these instances as stored. */
const unmentioned: readonly (readonly [string, Answer])[] = [
  ['other instances', () => [json, response([item('1.2.3'), item('1.2.4')])]],
  ['nobody', () => [json, response([])]],
  ['items without a UID', () => [json, response([{}, { '00081155': { vr: 'UI', Value: [] } }])]],
  [
    'them with another SOP class',
    ({ uids: sent }) => [
      json,
      response(sent.map((uid) => item(uid, { '00081150': { vr: 'UI', Value: ['1.2.840.10008.1.1'] } }))),
    ],
  ],
  [
    'them in the wrong sequence',
    ({ uids: sent }) => [json, JSON.stringify({ '0008119A': sequence([]), '00081199': { vr: 'UI', Value: sent } })],
  ],
];

describe('an answer that is no Store Instances Response', () => {
  describe.each([200, 201, 202])('with status %i', (status) => {
    it.each(foreign)('%s: not delivered when no search can confirm', async (_, content) => {
      const { stows, config } = await service(status, content, 'no search');
      const { attempt, kinds } = await deliver(study, config);
      expect(attempt.error).toMatchObject({ code: 'target-error', stage: 'transfer', fault: 'target' });
      expect(attempt.error?.message).toMatch(/nothing is confirmed; no search can confirm 4 instances/);
      expect(attempt.error?.message).not.toMatch(/[<{]/);
      expect(kinds).toEqual(allPending);
      // No further request is sent to a service with such responses.
      expect(stows.length).toBe(1);
    });
  });

  it.each(foreign)('%s: not delivered when a search shows nothing, or a part', async (_, content) => {
    const nothing = await service(200, content);
    const { attempt, kinds } = await deliver(study, nothing.config);
    expect(attempt.error).toMatchObject({ code: 'target-error' });
    expect(attempt.error?.message).toMatch(/a search does not list 4 instances/);
    expect(kinds).toEqual(allPending);
    const part = await service(200, content, { uids: [first, third] });
    const second = await deliver(study, part.config);
    expect(second.attempt.error?.message).toMatch(/a search does not list 2 instances/);
    expect(second.kinds).toEqual(['delivered', 'pending', 'delivered', 'pending']);
  });

  it.each(foreign.slice(0, 4))('%s: delivered when a search shows all', async (_, content) => {
    const { stows, config } = await service(200, content, { uids });
    const { attempt, kinds } = await deliver(study, { ...config, batch: { instances: 2 } });
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(allDelivered);
    expect(stows.length).toBe(2);
  });

  it('a search does not speak for what the service had before', async () => {
    // As after a correction in the source: the same UIDs, another content.
    const server = await startHttpServer((request, response) => {
      if (request.method === 'POST') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>hi');
      const tag = request.path.endsWith('/studies') ? '0020000D' : '00080018';
      const found = (tag === '0020000D' ? ['1'] : uids).map((uid) => ({ [tag]: { vr: 'UI', Value: [uid] } }));
      const page = request.query.get('offset') === null ? found : [];
      response.writeHead(200, { 'content-type': json }).end(JSON.stringify(page));
    });
    running.push(server);
    const config = { type: 'dicomweb', url: `${server.url}/rs`, verifyTimeout: '100ms' };
    const delivery = new TestDelivery(dicomwebHandler, study);
    for (const _ of [1, 2]) {
      const { attempt, kinds } = await deliver(study, config, delivery);
      expect(attempt.error).toMatchObject({ code: 'target-error' });
      expect(kinds).toEqual(allPending);
    }
  });
});

describe('a Store Instances Response', () => {
  it.each(unmentioned)('with %s: not delivered, whether or not it can be searched', async (_, content) => {
    for (const listed of ['no search', { uids: [] }] as const) {
      const { config } = await service(200, content, listed);
      const { attempt, kinds } = await deliver(study, config);
      expect(attempt.error).toMatchObject({ code: 'instance-failed', stage: 'transfer' });
      expect(attempt.error?.message).toContain(listed === 'no search' ? 'a search cannot determine' : 'did not store');
      expect(kinds).toEqual(allPending);
    }
  });

  it('with two results for an instance: a search decides', async () => {
    const content: Answer = ({ uids: sent }) => [
      json,
      response(
        sent.map((uid) => item(uid)),
        [first, second].map((uid) => item(uid, { '00081197': { vr: 'US', Value: [0xa700] } })),
      ),
    ];
    const { config } = await service(200, content, { uids: [first, third, fourth] });
    const { attempt, kinds } = await deliver(study, config);
    expect(attempt.error).toMatchObject({ code: 'verify-pending' });
    expect(kinds).toEqual(['delivered', 'pending', 'delivered', 'delivered']);
  });

  it('with a failure in the list of what was stored: a search decides', async () => {
    const content: Answer = ({ uids: sent }) => [
      json,
      response(
        sent.map((uid) => item(uid, { [uid === second ? '00081196' : '00081197']: { vr: 'US', Value: [0xa700] } })),
      ),
    ];
    const { config } = await service(200, content, { uids: [first] });
    const { attempt, kinds } = await deliver(study, config);
    expect(attempt.error).toMatchObject({ code: 'verify-pending' });
    expect(kinds).toEqual(['delivered', 'pending', 'pending', 'pending']);
  });

  it('with a byte order mark and padded UIDs, as some servers write it: delivered', async () => {
    const padded: Answer = ({ uids: sent }) => [json, `\ufeff${response(sent.map((uid) => item(`${uid}\0`)))}\n`];
    const { config } = await service(200, padded, 'no search');
    expect((await deliver(study, config)).kinds).toEqual(allDelivered);
  });

  it('with UIDs that come twice, with their class: delivered once', async () => {
    const content: Answer = ({ uids: sent }) => [
      'application/dicom+json; charset=utf-8',
      response([...sent, ...sent].map((uid) => item(uid, { '00081150': { vr: 'UI', Value: [sopClassUid] } }))),
    ];
    const { config } = await service(200, content, 'no search');
    const { attempt, kinds } = await deliver(study, config);
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(allDelivered);
  });

  it('with unrequested compression is read; a false one, or a bomb, confirms nothing', async () => {
    const gzip = { 'content-encoding': 'gzip' };
    const honest = await service(200, (stow) => [json, gzipSync(whole(stow)), gzip], 'no search');
    expect((await deliver(study, honest.config)).kinds).toEqual(allDelivered);
    const bomb = gzipSync(Buffer.alloc(40_000_000, ' '));
    const lies: Answer[] = [
      (stow) => [json, whole(stow), gzip],
      () => [json, bomb, gzip],
      (stow) => [json, whole(stow), { 'content-encoding': 'zstd' }],
    ];
    for (const lie of lies) {
      const { config } = await service(200, lie, 'no search');
      const { attempt, kinds } = await deliver(study, config);
      expect(attempt.error).toMatchObject({ code: 'target-error' });
      expect(kinds).toEqual(allPending);
    }
  });
});

describe('searches', () => {
  it('with a page, JSON of another format, or for a login are not from a DICOMweb service', async () => {
    for (const [status, type, body] of [
      [200, 'text/html', '<html>'],
      [200, 'application/json', '{"status":"ok"}'],
      [200, json, '[{"name":"x"}]'],
      [302, 'text/html', ''],
    ] as const) {
      const server = await startHttpServer((_, response) => {
        response.writeHead(status, { 'content-type': type, ...(status === 302 && { location: '/login' }) }).end(body);
      });
      running.push(server);
      const { attempt, kinds } = await deliver(study, { type: 'dicomweb', url: server.url });
      expect(attempt.error).toMatchObject({ code: 'target-misconfigured', stage: 'connect' });
      expect(kinds).toEqual(allPending);
      expect(server.requests.every(({ method }) => method === 'GET')).toBe(true);
    }
  });

  it('through a gateway whose service is down: waits without sending', async () => {
    for (const status of [502, 503, 504]) {
      const server = await startHttpServer((_, response) => void response.writeHead(status).end());
      running.push(server);
      const { attempt } = await deliver(study, { type: 'dicomweb', url: server.url });
      expect(attempt.error).toMatchObject({ code: 'target-unreachable', stage: 'connect', disposition: 'wait' });
    }
  });

  it('whose lists are cut do not take confirmations back', async () => {
    // At most two results for any query, and no second page; series and single instances can be queried.
    const server = await startHttpServer((request, response) => {
      if (request.method === 'POST')
        return allStored({ uids: request.body.length > 0 ? uids : [], request, count: 1 }, response);
      if (!request.path.endsWith('/instances')) return void response.writeHead(204).end();
      const wanted = request.query.get('SOPInstanceUID');
      const found = wanted === null ? uids.slice(0, 2) : uids.filter((uid) => uid === wanted);
      const list = found.map((uid) => ({ '00080018': { vr: 'UI', Value: [uid] } }));
      response.writeHead(200, { 'content-type': json }).end(JSON.stringify(list));
    });
    running.push(server);
    const config = { type: 'dicomweb', url: server.url, verify: 'qido', verifyTimeout: '100ms' };
    const { attempt, kinds } = await deliver(study, config);
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(allDelivered);
  });

  it('that do not work cannot verify, and take no confirmation back', async () => {
    const { config } = await service(200, (stow) => [json, whole(stow)], 'no search');
    const { attempt, kinds } = await deliver(study, { ...config, verify: 'qido' });
    expect(attempt.error).toMatchObject({ code: 'target-misconfigured', stage: 'verify' });
    expect(kinds).toEqual(allDelivered);
  });

  it('that never end are cut off', async () => {
    const listed: Listed = { uids };
    let pages = 0;
    const server = await startHttpServer((request, response) => {
      if (request.method === 'POST') return answer(response, 200, { stored: uids });
      if (!request.path.endsWith('/instances')) return void response.writeHead(204).end();
      pages += 1;
      const list = Array.from({ length: 10_000 }, (_, index) => ({
        '00080018': { vr: 'UI', Value: [`1.2.${pages}.${index}`] },
      }));
      response.writeHead(200, { 'content-type': json }).end(JSON.stringify(list));
    });
    running.push(server);
    const { attempt } = await deliver(study, { type: 'dicomweb', url: server.url, verify: 'qido' });
    expect(attempt.error).toMatchObject({ code: 'target-error', stage: 'verify' });
    expect(pages).toBeLessThan(100);
    expect(listed.uids.length).toBe(4);
  });
});
