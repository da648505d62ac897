import { searchIn } from './resource-address.ts';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret } from '@dicom-dispatch/core';
import { freePort, makeCertificates, startHttpServer } from '@dicom-dispatch/harness';
import { afterEach, describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { fixtureStudy, allChecks } from '../contract-suite/index.ts';
import { dicomwebHandler } from './handler.ts';
import { dicomwebTarget } from './schema.ts';
import {
  allStored,
  answer,
  deliver,
  json,
  sequence,
  startStowService,
  uidsIn,
  uidsInBody,
  xml,
  type Answering,
  type Listed,
  type StowService,
} from './stow-stand-in.ts';

describe('STOW-RS responses, from a scripted server', () => {
  const running: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const one of running.splice(0)) await one[Symbol.asyncDispose]();
  });

  async function service(answering: Answering, listed?: Listed): Promise<StowService> {
    const started = await startStowService(answering, listed);
    running.push(started);
    return started;
  }

  const study = fixtureStudy({ seed: 'stow answers', series: 1, instancesPerSeries: 4, rows: 16, columns: 16 });
  const uids = study.instances.map(({ manifest }) => manifest.sopInstanceUid);
  const [first = '', second = '', third = '', fourth = ''] = uids;

  it('announces the length of each request and respects the limits of a batch', async () => {
    const { stows, config } = await service(allStored);
    await deliver(study, { ...config, batch: { instances: 3 }, maxParallel: 1 });
    expect(stows.map((stow) => stow.uids)).toEqual([[first, second, third], [fourth]]);
    for (const { request } of stows) {
      expect(request.headers['content-length']).toBe(String(request.bodyBytes));
      expect(request.headers['accept-encoding']).toBe('identity');
    }
    const size = study.instances[0]?.manifest.sizeBytes ?? 0;
    const small = await service(allStored);
    await deliver(study, { ...small.config, batch: { bytes: `${Math.round(size * 2.5)}B` } });
    expect(small.stows.map((stow) => stow.uids.length)).toEqual([2, 2]);
  });

  it('stores and searches an invalid study UID of dots without it in the path', async () => {
    const { stows, config, server } = await service(allStored, { uids });
    const dots = { ...study, tags: { ...study.tags, studyInstanceUid: '..' } };
    const options = { ...config, studyInPath: true, verify: 'qido' };
    expect((await deliver(dots, options)).kinds).toEqual(Array(4).fill('delivered'));
    expect(stows.map(({ request }) => request.path)).toEqual(['/rs/studies']);
    const searches = server.requests.filter(({ method, path }) => method === 'GET' && path === '/rs/instances');
    expect(searches.length).toBeGreaterThan(0);
    for (const { query } of searches) expect(query.get('StudyInstanceUID')).toBe('..');
  });

  it.each([
    ['1.2', undefined, '/rs/studies/1.2/instances', {}],
    ['1.2', '1.3', '/rs/studies/1.2/series/1.3/instances', {}],
    ['1.2', '..', '/rs/instances', { StudyInstanceUID: '1.2', SeriesInstanceUID: '..' }],
    ['.', '1.3', '/rs/instances', { StudyInstanceUID: '.', SeriesInstanceUID: '1.3' }],
    ['', undefined, '/rs/instances', { StudyInstanceUID: '' }],
    ['1/2?', '..x', '/rs/studies/1%2F2%3F/series/..x/instances', {}],
  ])('searches study %j, series %j at %s', (ofStudy, ofSeries, address, keys) => {
    expect(searchIn('/rs', 'instances', ofStudy, ofSeries)).toEqual({ address, keys });
  });

  it('202: resends only instances in 00081198, and stores the warnings of 00081199', async () => {
    const { stows, config } = await service(({ uids: sent, count }, response) => {
      if (count > 1) return answer(response, 200, { stored: sent });
      answer(response, 202, { stored: [first, third], warnings: { [fourth]: 0xb000 }, failed: { [second]: 0xa700 } });
    });
    const { attempt, delivery, kinds } = await deliver(study, config);
    expect(attempt.error).toMatchObject({ code: 'target-full', stage: 'transfer', disposition: 'retry' });
    expect(kinds).toEqual(['delivered', 'pending', 'delivered', 'delivered']);
    expect(delivery.ledger.get(fourth)).toMatchObject({ warning: 'coercion of data elements (B000)' });
    expect((await deliver(study, config, delivery)).attempt.error).toBeUndefined();
    expect(stows[1]?.uids).toEqual([second]);
  });

  it('200 is read all the same: an instance in 00081198 is not delivered', async () => {
    const { config } = await service((_, response) =>
      answer(response, 200, { stored: [first, second, third], failed: { [fourth]: 0x0110 } }),
    );
    const { attempt, kinds } = await deliver(study, config);
    expect(attempt.error).toMatchObject({ code: 'instance-failed' });
    expect(kinds).toEqual(['delivered', 'delivered', 'delivered', 'pending']);
  });

  it.each([
    [0xa900, 'instance-refused'],
    [0xc000, 'instance-refused'],
    [0x0122, 'instance-unsupported'],
    [0xc122, 'instance-unsupported'],
    [0x0117, 'instance-refused'],
  ] as const)('failure reason %i: the instance is quarantined with %s, the study goes on', async (reason, code) => {
    const { config } = await service((_, response) =>
      answer(response, 202, { stored: [first, third, fourth], failed: { [second]: reason } }),
    );
    const { attempt, delivery, kinds } = await deliver(study, config);
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(['delivered', 'quarantined', 'delivered', 'delivered']);
    expect(delivery.ledger.get(second)).toMatchObject({ error: { code, fault: 'instance' } });
  });

  it('failure reason 0124: a matter of configuration, nothing is quarantined', async () => {
    const { config } = await service((stow, response) =>
      answer(response, 409, { failed: Object.fromEntries(stow.uids.map((uid) => [uid, 0x0124])) }),
    );
    const { attempt, kinds } = await deliver(study, config);
    expect(attempt.error).toMatchObject({ code: 'target-unauthorized', disposition: 'halt' });
    expect(kinds).toEqual(Array(4).fill('pending'));
  });

  it.each([0xa700, 0xa7ff, 0x0213])(
    'failure reason %i for all: the target is full, no instance is blamed',
    async (reason) => {
      let isFull = true;
      const { config } = await service((stow, response) =>
        isFull
          ? answer(response, 409, { failed: Object.fromEntries(stow.uids.map((uid) => [uid, reason])) })
          : answer(response, 200, { stored: stow.uids }),
      );
      const delivery = new TestDelivery(dicomwebHandler, study);
      for (const _ of [1, 2, 3, 4]) {
        const { attempt, kinds } = await deliver(study, config, delivery);
        expect(attempt.error).toMatchObject({ code: 'target-full', stage: 'transfer', disposition: 'retry' });
        expect(attempt.error?.remedy).toContain('free space');
        expect(kinds).toEqual(Array(4).fill('pending'));
      }
      isFull = false;
      expect((await deliver(study, config, delivery)).attempt.error).toBeUndefined();
    },
  );

  it.each([0xa700, 0x0110])(
    'failure reason %i for one, while its siblings pass: quarantined at the third time',
    async (reason) => {
      const { config } = await service(({ uids: sent }, response) => {
        const failed = sent.includes(second) ? { [second]: reason } : {};
        answer(response, 202, { stored: sent.filter((uid) => uid !== second), failed });
      });
      const delivery = new TestDelivery(dicomwebHandler, study);
      const one = { ...config, maxParallel: 1, batch: { instances: 1 } };
      for (const _ of [1, 2]) {
        const { attempt, kinds } = await deliver(study, one, delivery);
        expect(attempt.error).toMatchObject({ code: 'instance-failed', disposition: 'retry' });
        expect(kinds).toEqual(['delivered', 'pending', 'delivered', 'delivered']);
      }
      const { attempt, kinds } = await deliver(study, one, delivery);
      expect(attempt.error).toBeUndefined();
      expect(kinds).toEqual(['delivered', 'quarantined', 'delivered', 'delivered']);
    },
  );

  it('0111, and 45070: delivered after a search, with a warning; 45071: later', async () => {
    const { config } = await service(
      (_, response) =>
        answer(response, 409, { failed: { [first]: 0x0111, [second]: 45070, [third]: 45070, [fourth]: 45071 } }),
      { uids: [first, second] },
    );
    const { attempt, delivery, kinds } = await deliver(study, config);
    expect(attempt.error).toMatchObject({ code: 'verify-pending' });
    expect(kinds).toEqual(['delivered', 'delivered', 'pending', 'pending']);
    for (const uid of [first, second]) {
      expect(delivery.ledger.get(uid)).toMatchObject({ warning: expect.stringContaining('was not compared') });
    }
  });

  it('400 with a body: the part that a search finds is delivered, the rest is divided until one instance is left', async () => {
    const { stows, config } = await service(
      ({ uids: sent }, response) => {
        if (!sent.includes(third)) return answer(response, 200, { stored: sent });
        answer(response, 400, { stored: sent.filter((uid) => uid === first) });
      },
      { uids: [first] },
    );
    const { attempt, delivery, kinds } = await deliver(study, { ...config, maxParallel: 1 });
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(['delivered', 'delivered', 'quarantined', 'delivered']);
    expect(delivery.ledger.get(third)).toMatchObject({ error: { code: 'instance-refused' } });
    expect(stows.map((stow) => stow.uids)).toEqual([uids, [second, third], [second], [third], [fourth]]);
  });

  it.each([400, 409, 422])('%i to everything without a reason: no instance is blamed', async (status) => {
    for (const body of ['', '<html>conflict</html>', '{}']) {
      const { stows, config } = await service((_, response) => void response.writeHead(status).end(body));
      const { attempt, kinds } = await deliver(study, config);
      expect(attempt.error).toMatchObject({ code: 'target-misconfigured', disposition: 'halt' });
      expect(attempt.error?.message).toContain(`HTTP ${status}`);
      expect(kinds).toEqual(Array(4).fill('pending'));
      // Never the same request twice.
      const asked = stows.map((stow) => stow.uids.join());
      expect(new Set(asked).size).toBe(asked.length);
    }
  });

  it.each([400, 409, 422])(
    '%i to one without a reason, while others are accepted: this one is quarantined',
    async (status) => {
      const { config } = await service(({ uids: sent }, response) =>
        sent.includes(second) ? void response.writeHead(status).end() : answer(response, 200, { stored: sent }),
      );
      const { attempt, kinds } = await deliver(study, { ...config, maxParallel: 1 });
      expect(attempt.error).toBeUndefined();
      expect(kinds).toEqual(['delivered', 'quarantined', 'delivered', 'delivered']);
    },
  );

  it.each([400, 409, 422])('%i to everything from some instance on: none of them is quarantined', async (status) => {
    let quota = 2;
    const { config } = await service(({ uids: sent }, response) => {
      if (sent.length > quota) return void response.writeHead(status).end();
      quota -= sent.length;
      answer(response, 200, { stored: sent });
    });
    const { attempt, delivery, kinds } = await deliver(study, { ...config, maxParallel: 1 });
    expect(attempt.error).toMatchObject({ code: 'instance-failed', message: expect.stringContaining('afterwards') });
    expect(kinds).toEqual(['delivered', 'delivered', 'pending', 'pending']);
    // The same in every attempt. Each attempt counts, and does not stop other studies, because some instances were accepted.
    for (let count = 0; count < 4; count += 1) {
      const again = await deliver(study, { ...config, maxParallel: 1 }, delivery);
      expect(again.attempt.error).toMatchObject({
        code: 'instance-failed',
        disposition: 'retry',
        message: expect.stringContaining(`HTTP ${status}`),
        remedy: expect.stringContaining('may have reached a quota, or not accept these instances'),
      });
      expect(again.kinds).toEqual(['delivered', 'delivered', 'pending', 'pending']);
    }
    quota = 9;
    expect((await deliver(study, { ...config, maxParallel: 1 }, delivery)).kinds).toEqual(Array(4).fill('delivered'));
  });

  it('409 to the last one: it is sent again, and quarantined at the third time', async () => {
    const { config } = await service(({ uids: sent }, response) =>
      sent.includes(fourth) ? void response.writeHead(409).end() : answer(response, 200, { stored: sent }),
    );
    const { delivery, kinds } = await deliver(study, { ...config, maxParallel: 1 });
    expect(kinds).toEqual(['delivered', 'delivered', 'delivered', 'pending']);
    await deliver(study, config, delivery);
    const { kinds: last } = await deliver(study, config, delivery);
    expect(last).toEqual(['delivered', 'delivered', 'delivered', 'quarantined']);
  });

  it('409 to the reports at the end of a study: they are quarantined because an image sent after them is accepted', async () => {
    const long = fixtureStudy({ seed: 'reports', series: 1, instancesPerSeries: 14, rows: 16, columns: 16 });
    const reports = new Set(long.instances.slice(-2).map(({ manifest }) => manifest.sopInstanceUid));
    const { config } = await service(({ uids: sent }, response) =>
      sent.some((uid) => reports.has(uid))
        ? void response.writeHead(409).end()
        : answer(response, 200, { stored: sent }),
    );
    const { attempt, kinds } = await deliver(long, { ...config, maxParallel: 1 });
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual([...Array(12).fill('delivered'), 'quarantined', 'quarantined']);
  });

  it('a failure without a UID is the one of the instance when it is alone', async () => {
    const { config } = await service(({ uids: sent }, response) =>
      sent.includes(second)
        ? json(response, 202, { '0008119A': sequence([{ '00081197': { vr: 'US', Value: [0xc000] } }]) })
        : answer(response, 200, { stored: sent }),
    );
    const { attempt, kinds } = await deliver(study, config);
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(['delivered', 'quarantined', 'delivered', 'delivered']);
  });

  it.each([200, 202])('%i without a body: a search decides', async (status) => {
    const listed = { uids: [first, second] };
    const { stows, config } = await service((_, response) => void response.writeHead(status).end(), listed);
    const { attempt, delivery, kinds } = await deliver(study, config);
    expect(attempt.error).toMatchObject({ code: 'verify-pending', stage: 'verify', disposition: 'retry' });
    expect(kinds).toEqual(['delivered', 'delivered', 'pending', 'pending']);
    // Meanwhile the service has indexed one more: it is queried before anything is sent again.
    listed.uids = [first, second, third];
    await deliver(study, config, delivery);
    expect(stows.at(-1)?.uids).toEqual([fourth]);
    expect(delivery.ledger.get(third)).toEqual({ kind: 'delivered', answer: 'listed by a search' });
  });

  it('a search that lists the instances in another study confirms nothing', async () => {
    const listed = { uids, studyInstanceUid: '1.2.3' };
    const { config } = await service((_, response) => void response.writeHead(200).end(), listed);
    const { attempt, kinds } = await deliver(study, config);
    expect(attempt.error).toMatchObject({ code: 'verify-pending' });
    expect(kinds).toEqual(Array(4).fill('pending'));
    listed.studyInstanceUid = study.instances[0]!.manifest.studyInstanceUid;
    expect((await deliver(study, config)).kinds).toEqual(Array(4).fill('delivered'));
  });

  it.each([200, 201, 202, 204])('%i without a body and without a search confirms nothing', async (status) => {
    const { config } = await service((_, response) => void response.writeHead(status).end(), 'no search');
    const { attempt, kinds } = await deliver(study, config);
    expect(attempt.error).toMatchObject({ code: 'target-misconfigured', message: expect.stringContaining('QIDO') });
    expect(kinds).toEqual(Array(4).fill('pending'));
  });

  it('an answer in XML, from a service that has no JSON', async () => {
    const { stows, config } = await service(({ uids: sent, request }, response) => {
      if (request.headers.accept?.includes('json')) return void response.writeHead(406).end();
      xml(response, 202, { stored: sent.filter((uid) => uid !== second), failed: { [second]: 0xa701 } });
    });
    const { attempt, kinds } = await deliver(study, { ...config, maxParallel: 1, batch: { instances: 2 } });
    expect(attempt.error).toMatchObject({ code: 'instance-failed' });
    expect(kinds).toEqual(['delivered', 'pending', 'delivered', 'delivered']);
    // JSON is requested only once.
    expect(stows.map(({ request }) => request.headers.accept)).toEqual([
      'application/dicom+json',
      'application/dicom+xml',
      'application/dicom+xml',
    ]);
  });

  it('413: halves the batch, uses the smaller size, quarantines a single instance that is too large', async () => {
    const { stows, config } = await service(({ uids: sent }, response) => {
      if (sent.length > 2 || sent.includes(first)) return void response.writeHead(413).end();
      answer(response, 200, { stored: sent });
    });
    const many = fixtureStudy({ seed: 'stow answers', series: 1, instancesPerSeries: 10, rows: 16, columns: 16 });
    const { attempt, delivery, kinds } = await deliver(many, { ...config, maxParallel: 1, batch: { instances: 8 } });
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(['quarantined', ...Array(9).fill('delivered')]);
    expect(delivery.ledger.get(first)).toMatchObject({ error: { code: 'instance-too-large' } });
    expect(stows[0]?.uids.length).toBe(8);
    expect(stows.at(-1)?.uids.length).toBeLessThanOrEqual(2);
  });

  it('413 during the request', async () => {
    // A server that responds after the headers and closes the connection, as proxies do.
    const server = createServer((request, response) => {
      if (request.method === 'GET') return void response.writeHead(204).end();
      if (Number(request.headers['content-length']) > 300_000) {
        response.writeHead(413, { connection: 'close' }).end();
        return;
      }
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () =>
        answer(response, 200, { stored: uidsInBody(Buffer.concat(parts), request.headers['content-type']) }),
      );
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      const big = fixtureStudy({ seed: 'early', series: 1, instancesPerSeries: 8, rows: 200, columns: 200 });
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rs`;
      const { attempt, kinds } = await deliver(big, { type: 'dicomweb', url });
      expect(attempt.error).toBeUndefined();
      expect(kinds).toEqual(Array(8).fill('delivered'));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it.each([
    [401, 'target-unauthorized', 'halt'],
    [403, 'target-unauthorized', 'halt'],
    [404, 'target-misconfigured', 'halt'],
    [406, 'target-misconfigured', 'halt'],
    [415, 'target-misconfigured', 'halt'],
    [408, 'target-busy', 'retry'],
    [429, 'target-busy', 'retry'],
    [500, 'target-error', 'retry'],
    [502, 'target-error', 'retry'],
    [503, 'target-busy', 'retry'],
    [507, 'target-full', 'retry'],
    [302, 'target-misconfigured', 'halt'],
  ] as const)('%i ends the attempt with %s', async (status, code, disposition) => {
    const { config } = await service((_, response) => void response.writeHead(status).end());
    const { attempt, kinds } = await deliver(study, { ...config, verifyTimeout: '50ms' });
    expect(attempt.error).toMatchObject({ code, stage: 'transfer', disposition });
    expect(kinds).toEqual(Array(4).fill('pending'));
  });

  it.each([
    ['in seconds', () => '120', 120_000],
    ['as a date', () => new Date(Date.now() + 90_000).toUTCString(), 90_000],
  ])('429 with Retry-After %s is passed on', async (_name, header, waitMs) => {
    const { config } = await service((_, response) => {
      response.writeHead(429, { 'retry-after': header() }).end();
    });
    const { retryAfterMs = 0 } = (await deliver(study, config)).attempt.error ?? {};
    expect(retryAfterMs).toBeLessThanOrEqual(waitMs);
    expect(retryAfterMs).toBeGreaterThan(waitMs - 30_000);
  });

  it('an instance at which the target breaks (500) does not keep the others', async () => {
    const { config } = await service(({ uids: sent }, response) =>
      sent.includes(second) ? void response.writeHead(500).end() : answer(response, 200, { stored: sent }),
    );
    const delivery = new TestDelivery(dicomwebHandler, study);
    const quick = { ...config, verifyTimeout: '50ms' };
    for (const _ of [1, 2]) {
      const { attempt, kinds } = await deliver(study, quick, delivery);
      expect(attempt.error).toMatchObject({ code: 'instance-failed', message: expect.stringContaining('500') });
      expect(kinds).toEqual(['delivered', 'pending', 'delivered', 'delivered']);
    }
    expect((await deliver(study, quick, delivery)).kinds[1]).toBe('quarantined');
  });

  it('verify: qido removes confirmations that the search contradicts', async () => {
    const listed = { uids: [first, second, third] };
    const { stows, config } = await service(({ uids: sent, count }, response) => {
      if (count === 2) listed.uids = uids;
      answer(response, 200, { stored: sent });
    }, listed);
    const { attempt, delivery, kinds } = await deliver(study, { ...config, verify: 'qido' });
    expect(attempt.error).toMatchObject({ code: 'verify-missing', stage: 'verify' });
    expect(kinds).toEqual(['delivered', 'delivered', 'delivered', 'pending']);
    expect((await deliver(study, { ...config, verify: 'qido' }, delivery)).attempt.error).toBeUndefined();
    expect(stows.at(-1)?.uids).toEqual([fourth]);
  });

  it('a search that gives short pages, or ignores the offset, is read to its end', async () => {
    for (const page of [1, 3, 1000]) {
      const { config } = await service(allStored, { uids, page });
      expect((await deliver(study, { ...config, verify: 'qido' })).attempt.error).toBeUndefined();
    }
  });

  describe('credentials', () => {
    const secret = 'client-secret';

    /** A token server that returns `token-1`, `token-2` … and a service that accepts only the newest. */
    async function guarded(expiresIn = 3600) {
      let current = 0;
      let accepted = 'Bearer token-1';
      const tokens = await startHttpServer((request, response) => {
        current += 1;
        // Id and secret are form-encoded in the header (RFC 6749 section 2.3.1).
        const shown = Buffer.from(request.headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString();
        if (decodeURIComponent(shown) !== `dispatch:${secret}`)
          return json(response, 401, { error: 'invalid_client' }, 'application/json');
        expect(new URLSearchParams(request.body.toString()).get('grant_type')).toBe('client_credentials');
        expect(new URLSearchParams(request.body.toString()).get('scope')).toBe('store');
        const token = { access_token: `token-${current}`, token_type: 'Bearer', expires_in: expiresIn };
        json(response, 200, token, 'application/json');
      });
      running.push(tokens);
      const seen: string[] = [];
      const server = await startHttpServer((request, response) => {
        if (request.headers.authorization !== accepted) return void response.writeHead(401).end();
        if (request.method === 'GET') return void response.writeHead(204).end();
        seen.push(String(request.headers.authorization));
        answer(response, 200, { stored: uidsIn(request) });
      });
      running.push(server);
      const auth = {
        type: 'oauth2',
        tokenUrl: `${tokens.url}/token`,
        clientId: 'dispatch',
        clientSecret: new Secret(secret),
        scope: 'store',
      };
      return {
        seen,
        tokens,
        accept: (header: string) => (accepted = header),
        config: { type: 'dicomweb', url: `${server.url}/rs`, auth, maxParallel: 2, batch: { instances: 1 } },
      };
    }

    it('OAuth 2: one token for all requests', async () => {
      const { tokens, seen, config } = await guarded();
      expect((await deliver(study, config)).attempt.error).toBeUndefined();
      expect(tokens.requests.length).toBe(1);
      expect(seen).toEqual(Array(4).fill('Bearer token-1'));
    });

    it('OAuth 2: renews the token once when it is refused, and sends the same again', async () => {
      const { tokens, config, accept } = await guarded();
      accept('Bearer token-2');
      expect((await deliver(study, config)).attempt.error).toBeUndefined();
      expect(tokens.requests.length).toBe(2);
      accept('Bearer never');
      const { attempt } = await deliver(study, config);
      expect(attempt.error).toMatchObject({ code: 'target-unauthorized', disposition: 'halt', stage: 'connect' });
      expect(tokens.requests.length).toBe(4);
    });

    it('OAuth 2: errors of the token server are reported as such', async () => {
      const { config } = await guarded();
      const wrong = { ...config, auth: { ...config.auth, clientSecret: new Secret('wrong') } };
      const { attempt } = await deliver(study, wrong);
      expect(attempt.error).toMatchObject({ code: 'target-unauthorized' });
      expect(attempt.error?.message).toContain('invalid_client');
      const gone = { ...config, auth: { ...config.auth, tokenUrl: `http://127.0.0.1:${await freePort()}/token` } };
      expect((await deliver(study, gone)).attempt.error).toMatchObject({ code: 'target-unreachable' });
      const checks = await allChecks(dicomwebHandler, dicomwebTarget.parse(wrong));
      expect(checks.find(({ result }) => result === 'failed')).toMatchObject({
        name: 'token',
        remedy: expect.stringContaining('clientSecret'),
      });
    });

    it('bearer token, API key in a header, and credentials that no error shows', async () => {
      const server = await startHttpServer((request, response) => {
        const { authorization, 'x-api-key': key } = request.headers;
        if (authorization !== 'Bearer open-sesame' || key !== 'key-of-ours') return void response.writeHead(401).end();
        if (request.method === 'GET') return void response.writeHead(204).end();
        answer(response, 200, { stored: uidsIn(request) });
      });
      running.push(server);
      const config = {
        type: 'dicomweb',
        url: `${server.url}/rs`,
        auth: { type: 'bearer', token: new Secret('open-sesame') },
        headers: { 'X-Api-Key': new Secret('key-of-ours') },
      };
      expect((await deliver(study, config)).attempt.error).toBeUndefined();
      const { attempt } = await deliver(study, { ...config, headers: { 'X-Api-Key': 'wrong' } });
      expect(attempt.error).toMatchObject({ code: 'target-unauthorized' });
      expect(JSON.stringify(attempt.error?.toRecord())).not.toContain('open-sesame');
    });

    it('mutual TLS: with our certificate it works, without it the remedy names it', async () => {
      const { ca, server: own, client } = await makeCertificates();
      const server = await startHttpServer(
        (request, response) => {
          expect(request.clientName).toBe('client');
          if (request.method === 'GET') return void response.writeHead(204).end();
          answer(response, 200, { stored: uidsIn(request) });
        },
        { tls: { key: own.key, cert: own.cert, ca: ca.cert, requestClientCertificate: 'required' } },
      );
      running.push(server);
      const url = `${server.url}/rs`;
      const tls = { ca: ca.certFile, cert: client.certFile, key: client.keyFile };
      expect((await deliver(study, { type: 'dicomweb', url, tls })).attempt.error).toBeUndefined();
      const { attempt } = await deliver(study, { type: 'dicomweb', url, tls: { ca: ca.certFile } });
      // This server closes the connection without an alert; others send a TLS alert.
      expect(attempt.error).toMatchObject({ code: 'target-connection-lost', stage: 'connect' });
      expect(attempt.error?.remedy).toContain('client certificate');
      const { attempt: mixed } = await deliver(study, { type: 'dicomweb', url, tls: { ...tls, key: ca.keyFile } });
      expect(mixed.error).toMatchObject({ code: 'config-invalid' });
    });
  });
});
