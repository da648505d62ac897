import { Secret } from '@dicom-dispatch/core';
import { freePort, makeCertificates, startTlsFront, startXnat, type XnatStandIn } from '@dicom-dispatch/harness';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import {
  fixtureStudy,
  handlerContract,
  part10Facts,
  type ArrangedFault,
  type FixtureStudy,
  type StartedTarget,
} from '../contract-suite/index.ts';
import { xnatHandler } from './handler.ts';
import { renderLabel } from './label.ts';
import { xnatTarget, type XnatTarget } from './schema.ts';

let contractXnat: XnatStandIn;
const project = 'TRIAL';
const auth = (word = 'xnat-password') => ({ type: 'basic', username: 'dispatch', password: new Secret(word) });

const elsewhere = async (): Promise<ArrangedFault> => ({
  config: { url: `https://127.0.0.1:${await freePort()}` },
});

function importAnswers(answer: XnatStandIn['faults']['import']): ArrangedFault {
  contractXnat.faults.import = answer;
  return { undo: () => void (contractXnat.faults.import = undefined) };
}

handlerContract<XnatTarget>({
  name: 'xnat (against a stand-in)',
  handler: xnatHandler,
  async start(): Promise<StartedTarget> {
    contractXnat = await startXnat();
    const { ca, server } = await makeCertificates();
    const front = await startTlsFront({ port: contractXnat.server.port, key: server.key, cert: server.cert });
    return {
      config: {
        type: 'xnat',
        url: `https://127.0.0.1:${front.port}`,
        auth: auth(),
        tls: { ca: ca.certFile },
        project,
        timeout: '60s',
      },
      received: async () => {
        expect(contractXnat.mistakes).toEqual([]);
        const sessions = [
          ...contractXnat.archive.values(),
          ...[...contractXnat.prearchive.values()].map((one) => one.instances),
        ];
        const all = sessions.flatMap((instances) => [...instances.values()]);
        return Promise.all(all.map(({ bytes }) => part10Facts([bytes])));
      },
      names: async () =>
        [...contractXnat.archive].flatMap(([label, held]) => [...held.keys()].map((uid) => `${label}/${uid}`)),
      fingerprint: async () => [...contractXnat.archive].map(([label, held]) => [label, Object.fromEntries(held)]),
      // Every login has been ended.
      litter: async () => [...contractXnat.logins],
      stop: async () => {
        await front.stop();
        await contractXnat.server.stop();
      },
    };
  },
  faults: {
    'wrong credentials': {
      arrange: () => ({ config: { auth: auth('another-password') } }),
      code: 'target-unauthorized',
      stage: 'connect',
    },
    'wrong host key': { arrange: () => ({ config: { tls: {} } }), code: 'target-tls', stage: 'connect' },
    full: {
      arrange: () => importAnswers((response) => Boolean(response.writeHead(507).end())),
      code: 'target-full',
      stage: 'transfer',
    },
    unreachable: { arrange: elsewhere, code: 'target-unreachable', stage: 'connect' },
    hangs: {
      arrange: () => {
        const asked = Promise.withResolvers<void>();
        const arranged = importAnswers(() => {
          asked.resolve();
          return true;
        });
        return { ...arranged, inForce: () => asked.promise };
      },
      code: 'target-timeout',
      stage: 'transfer',
      stopsClock: true,
    },
    cut: {
      arrange: () => importAnswers((response) => Boolean(response.destroy())),
      code: 'target-connection-lost',
      stage: 'transfer',
    },
  },
  checks: {
    resolve: { arrange: () => ({ config: { url: 'https://no-such-host.invalid' } }) },
    connect: { arrange: elsewhere },
    tls: { arrange: () => ({ config: { tls: {} } }) },
    login: { arrange: () => ({ config: { auth: auth('another-password') } }) },
    project: { arrange: () => ({ config: { project: 'NOWHERE' } }) },
  },
  hostile: { notApplicable: 'labels of XNAT are plain ASCII; see the tests of labels below' },
});

describe('the xnat target (against a simulated server)', () => {
  let xnat: XnatStandIn;
  beforeEach(async () => {
    xnat = await startXnat();
  });
  afterEach(async () => {
    expect(xnat.mistakes).toEqual([]);
    expect([...xnat.logins]).toEqual([]);
    await xnat.server.stop();
  });
  const parse = (more: object = {}) =>
    xnatTarget.parse({ type: 'xnat', url: xnat.server.url, auth: auth(), project, ...more });
  const deliver = (study: FixtureStudy, more: object = {}, delivery = new TestDelivery(xnatHandler, study)) =>
    delivery.attempt(parse(more));
  const study = fixtureStudy({ seed: 'xnat', series: 2, instancesPerSeries: 3, rows: 16, columns: 16 });
  const label = () => [...xnat.archive.keys()][0] ?? '';

  it('files the session under its labels, once all of it has arrived', async () => {
    expect(
      (await deliver(study, { subject: 'S_{PatientID}', session: '{StudyInstanceUID#16}' })).error,
    ).toBeUndefined();
    expect(label()).toMatch(/^S_[A-Za-z0-9_-]+\/[0-9a-f]{16}$/);
    expect(xnat.archive.get(label())?.size).toBe(6);
    expect(xnat.prearchive.size).toBe(0);
    // One login for all requests.
    expect(
      xnat.server.requests.filter(({ method, path }) => method === 'POST' && path === '/data/JSESSION').length,
    ).toBe(1);
  });

  it('leaves the session in the prearchive if configured, and commits it', async () => {
    expect((await deliver(study, { destination: 'prearchive' })).error).toBeUndefined();
    expect(xnat.archive.size).toBe(0);
    const [path = ''] = xnat.prearchive.keys();
    expect(xnat.committed).toEqual([`/data${path}`]);
  });

  it('files nothing before all of it has arrived, and files it in the next attempt', async () => {
    const delivery = new TestDelivery(xnatHandler, study);
    let taken = 0;
    xnat.faults.import = (response) => (taken += 1) > 4 && Boolean(response.writeHead(500).end());
    expect((await deliver(study, { maxParallel: 1 }, delivery)).error).toMatchObject({ code: 'target-error' });
    expect(xnat.archive.size).toBe(0);
    xnat.faults.import = undefined;
    const next = await deliver(study, {}, delivery);
    expect(next.error).toBeUndefined();
    expect(next.opened.length).toBe(2);
    expect(xnat.archive.get(label())?.size).toBe(6);
  });

  it('files a session whose filing failed, without sending anything again', async () => {
    const delivery = new TestDelivery(xnatHandler, study);
    xnat.faults.archive = 500;
    expect((await deliver(study, {}, delivery)).error).toMatchObject({ code: 'finalize-failed', stage: 'finalize' });
    expect(delivery.pending).toEqual([]);
    xnat.faults.archive = undefined;
    expect((await deliver(study, {}, delivery)).opened).toEqual([]);
    expect(xnat.archive.get(label())?.size).toBe(6);
  });

  it('files a session once whose filing was done and its answer lost, without sending anything again', async () => {
    const delivery = new TestDelivery(xnatHandler, study);
    let isLost = false;
    xnat.faults.any = ({ path, method }, response) => {
      if (isLost || method !== 'POST' || path !== '/data/services/archive') return false;
      isLost = true;
      // XNAT has archived the session; the response is cut off.
      for (const session of xnat.prearchive.values()) xnat.archive.set(session.label, session.instances);
      xnat.prearchive.clear();
      return Boolean(response.destroy());
    };
    expect((await deliver(study, {}, delivery)).error).toMatchObject({ code: 'target-connection-lost' });
    const next = await deliver(study, {}, delivery);
    expect(next.error).toBeUndefined();
    expect(next.opened).toEqual([]);
    expect(xnat.archive.get(label())?.size).toBe(6);
  });

  it('does not count what an earlier delivery left in the prearchive as archived', async () => {
    const half = { ...study, instances: study.instances.slice(0, 3) };
    const earlier = new TestDelivery(xnatHandler, half);
    xnat.faults.archive = 500;
    expect((await deliver(half, {}, earlier)).error).toMatchObject({ code: 'finalize-failed' });
    xnat.faults.archive = undefined;
    // A user has discarded the session in XNAT.
    xnat.prearchive.clear();
    const later = new TestDelivery(xnatHandler, study, 'later');
    for (const [uid, outcome] of earlier.ledger) later.ledger.set(uid, outcome);
    expect((await deliver(study, {}, later)).error).toMatchObject({ code: 'verify-missing', stage: 'verify' });
    expect(later.pending.length).toBe(6);
    expect((await deliver(study, {}, later)).error).toBeUndefined();
    expect(xnat.archive.get(label())?.size).toBe(6);
  });

  it('does not end without a look at the archive if its state was lost and nothing is pending', async () => {
    const delivery = new TestDelivery(xnatHandler, study);
    xnat.faults.archive = 500;
    expect((await deliver(study, {}, delivery)).error).toMatchObject({ code: 'finalize-failed' });
    xnat.faults.archive = undefined;
    delivery.state.clear();
    expect((await deliver(study, {}, delivery)).error).toMatchObject({ code: 'verify-missing' });
    expect((await deliver(study, {}, delivery)).error).toBeUndefined();
    expect(xnat.archive.get(label())?.size).toBe(6);
    expect((await deliver(study, {}, delivery)).opened).toEqual([]);
  });

  it('is not archived by another session with its label in the archive', async () => {
    const half = { ...study, instances: study.instances.slice(0, 3) };
    const delivery = new TestDelivery(xnatHandler, half);
    expect((await deliver(half, {}, delivery)).error).toBeUndefined();
    const later = new TestDelivery(xnatHandler, study, 'later');
    for (const [uid, outcome] of delivery.ledger) later.ledger.set(uid, outcome);
    xnat.faults.archive = 500;
    expect((await deliver(study, {}, later)).error).toMatchObject({ code: 'finalize-failed' });
    xnat.faults.archive = undefined;
    xnat.prearchive.clear();
    const withoutListing = await deliver(study, { verify: 'none' }, later);
    expect(withoutListing.error).toMatchObject({
      code: 'finalize-failed',
      message: expect.stringContaining('neither'),
    });
    expect((await deliver(study, {}, later)).error).toMatchObject({ code: 'verify-missing' });
    expect((await deliver(study, {}, later)).opened.length).toBe(3);
    expect(xnat.archive.get(label())?.size).toBe(6);
  });

  it.each([
    ['a page', '<html>/data/prearchive/projects/TRIAL/20240615_120000123/S</html>'],
    ['a page around the right line', '<pre>\n/data/prearchive/projects/TRIAL/20240615_120000123/S\n'],
    ['nothing', ''],
    ['JSON', '{"status":"ok"}'],
    ['an address with dots', '/data/prearchive/projects/TRIAL/../S'],
    ['a word', 'OK'],
  ])('is not confirmed by an upload that is answered with %s', async (_, body) => {
    xnat.faults.import = (response) => Boolean(response.writeHead(200).end(body));
    const delivery = new TestDelivery(xnatHandler, study);
    expect((await deliver(study, {}, delivery)).error).toMatchObject({ code: 'target-error', stage: 'transfer' });
    expect(delivery.ledger.size).toBe(0);
    xnat.faults.import = undefined;
    expect((await deliver(study, {}, delivery)).error).toBeUndefined();
  });

  it('is not archived by a page, nor by a 404 of a proxy', async () => {
    for (const [status, body] of [
      [200, '<html>sign in</html>'],
      [404, 'not here'],
    ] as const) {
      const delivery = new TestDelivery(xnatHandler, study);
      xnat.faults.any = ({ path }, response) =>
        path === '/data/services/archive' && Boolean(response.writeHead(status).end(body));
      expect((await deliver(study, {}, delivery)).error).toMatchObject({ fault: 'target', stage: 'finalize' });
      xnat.faults.any = undefined;
      expect((await deliver(study, {}, delivery)).opened).toEqual([]);
      expect(xnat.archive.get(label())?.size).toBe(6);
      xnat.archive.clear();
    }
  });

  it('is not committed by a page', async () => {
    const delivery = new TestDelivery(xnatHandler, study);
    xnat.faults.any = ({ query }, response) =>
      query.get('action') === 'commit' && Boolean(response.writeHead(200).end('<html>sign in</html>'));
    const prearchive = { destination: 'prearchive' };
    expect((await deliver(study, prearchive, delivery)).error).toMatchObject({
      code: 'target-error',
      stage: 'finalize',
    });
    xnat.faults.any = undefined;
    const committed = xnat.committed.length;
    expect((await deliver(study, prearchive, delivery)).opened).toEqual([]);
    expect(xnat.committed.length).toBe(committed + 1);
  });

  it('removes no confirmation for a 404 while XNAT itself does not respond', async () => {
    const delivery = new TestDelivery(xnatHandler, study);
    xnat.faults.any = ({ method }, response) => method === 'GET' && Boolean(response.writeHead(404).end('not here'));
    expect((await deliver(study, {}, delivery)).error?.code).not.toBe('verify-missing');
    expect(delivery.pending).toEqual([]);
    xnat.faults.any = undefined;
    expect((await deliver(study, {}, delivery)).opened).toEqual([]);
    expect(xnat.archive.get(label())?.size).toBe(6);
  });

  it('waits for a gateway whose XNAT is down', async () => {
    xnat.faults.any = (_, response) => Boolean(response.writeHead(502).end());
    expect((await deliver(study)).error).toMatchObject({ code: 'target-unreachable', disposition: 'wait' });
    xnat.faults.any = undefined;
  });

  it.each([{}, { plainScans: true }])('sends again what the listing lacks %o', async ({ plainScans }) => {
    xnat.faults.plainScans = plainScans;
    const delivery = new TestDelivery(xnatHandler, study);
    const lost = study.instances[4]?.manifest;
    // Lost between the last upload and the listing.
    const attempt = await delivery.attempt(parse(), {
      onReport: () => {
        if (delivery.ledger.size === 5)
          for (const { instances } of xnat.prearchive.values()) instances.delete(lost?.sopInstanceUid ?? '');
      },
    });
    expect(attempt.error).toMatchObject({ code: 'verify-missing', stage: 'verify' });
    const missing = plainScans ? 6 : 3;
    expect(delivery.pending.length).toBe(missing);
    expect((await deliver(study, {}, delivery)).opened.length).toBe(missing);
    expect(xnat.archive.get(label())?.size).toBe(6);
  });

  it('overwrite: none rejects an existing session, append adds, delete replaces a complete one', async () => {
    const half = { ...study, instances: study.instances.slice(0, 3) };
    await deliver(half);
    const { error } = await deliver(study, { overwrite: 'none' });
    expect(error).toMatchObject({ code: 'target-misconfigured', stage: 'finalize', disposition: 'halt' });
    expect(xnat.archive.get(label())?.size).toBe(3);
    expect((await deliver(study, { overwrite: 'append' })).error).toBeUndefined();
    expect(xnat.archive.get(label())?.size).toBe(6);
    expect((await deliver(half, { overwrite: 'delete' })).error).toBeUndefined();
    expect(xnat.archive.get(label())?.size).toBe(3);
    // Late instances are not the complete study: existing ones are kept.
    const late = new TestDelivery(xnatHandler, study);
    for (const { manifest } of half.instances) late.ledger.set(manifest.sopInstanceUid, { kind: 'delivered' });
    expect((await deliver(study, { overwrite: 'delete' }, late)).error).toBeUndefined();
    expect(xnat.archive.get(label())?.size).toBe(6);
  });

  it('logs in again when its login has ended meanwhile', async () => {
    let taken = 0;
    xnat.faults.import = () => {
      if ((taken += 1) === 2) xnat.logins.clear();
      return false;
    };
    expect((await deliver(study, { maxParallel: 1 })).error).toBeUndefined();
    expect(xnat.archive.get(label())?.size).toBe(6);
  });

  it('quarantines what XNAT cannot read', async () => {
    const [bad, ...good] = study.instances;
    if (!bad) throw new Error('the sample study has no instance');
    const manifest = { ...bad.manifest, sizeBytes: 9 };
    const mixed = { ...study, instances: [{ ...bad, manifest, read: () => [Buffer.from('not DICOM')] }, ...good] };
    const attempt = await deliver(mixed);
    expect(attempt.error).toBeUndefined();
    expect(attempt.reported.get(manifest.sopInstanceUid)).toMatchObject({ error: { code: 'instance-refused' } });
    expect(xnat.archive.get(label())?.size).toBe(5);
  });

  it('reports instances that do not go into the project', async () => {
    expect((await deliver(study, { project: 'NOWHERE' })).error).toMatchObject({ code: 'target-misconfigured' });
  });
});

describe('labels of XNAT', () => {
  const tags = (value: string) => ({ studyInstanceUid: '1.2.3', study: { PatientID: value }, series: new Map() });

  it.each([
    ['P-1_2', 'P-1_2'],
    ['Müller', 'Muller'],
    ['../../etc/passwd', 'etc_passwd'],
    ['A\0B/C\\D', 'A_B_C_D'],
    ['山田', 'unknown'],
    ['', 'unknown'],
    ['x'.repeat(300), 'x'.repeat(53)],
  ])('%j reads %s', (value, readable) => {
    const label = renderLabel('{PatientID}', tags(value));
    expect(label).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
    expect(label.startsWith(readable)).toBe(true);
  });

  it('never become one for different values', () => {
    const values = [
      'Müller',
      'Muller',
      'Möller',
      'Mo_ller',
      'a/b',
      'a_b',
      'a b',
      '山',
      '田',
      'x'.repeat(100),
      'x'.repeat(101),
    ];
    const labels = values.map((value) => renderLabel('{PatientID}', tags(value)));
    expect(new Set(labels).size).toBe(values.length);
  });

  it('are of the complete study', () => {
    const config = { type: 'xnat', url: 'http://x', project };
    expect(() => xnatTarget.parse({ ...config, session: '{SOPInstanceUID}' })).toThrow(/not a tag of the study/);
    expect(() => xnatTarget.parse({ ...config, subject: '{Modality}' })).toThrow(/not a tag of the study/);
    expect(() => xnatTarget.parse({ ...config, subject: 'a/{PatientID}' })).toThrow(/slash/);
    expect(() => xnatTarget.parse({ ...config, subject: '{Nonsense}' })).toThrow(/Nonsense/);
  });
});
