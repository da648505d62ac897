import type { ServerResponse } from 'node:http';
import { Secret } from '@dicom-dispatch/core';
import { startXnat, type RecordedRequest, type XnatStandIn } from '@dicom-dispatch/harness';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fixtureStudy, type FixtureStudy } from '../contract-suite/index.ts';
import { xnatHandler } from './handler.ts';
import { xnatTarget, type XnatTarget } from './schema.ts';

describe('destination: prearchive, against a simulated XNAT', () => {
  let xnat: XnatStandIn;
  beforeEach(async () => {
    xnat = await startXnat();
  });
  afterEach(async () => {
    expect(xnat.mistakes).toEqual([]);
    await xnat.server.stop();
  });

  const study = fixtureStudy({ seed: 'prearchive', series: 2, instancesPerSeries: 3, rows: 16, columns: 16 });
  const config = (more: object = {}): XnatTarget =>
    xnatTarget.parse({
      type: 'xnat',
      url: xnat.server.url,
      auth: { type: 'basic', username: xnat.username, password: new Secret(xnat.password) },
      project: xnat.project,
      destination: 'prearchive',
      ...more,
    });
  const session = () => {
    const [one] = xnat.prearchive.values();
    if (!one) throw new Error('the prearchive is empty');
    return one;
  };
  /** Replaces the responses to one action, until it returns false. */
  const onAction = (action: string, act: (response: ServerResponse, request: RecordedRequest) => boolean): void => {
    xnat.faults.any = (request, response) =>
      request.method === 'POST' && request.query.get('action') === action && act(response, request);
  };
  /** A second delivery of the study, whose ledger has the confirmations of the first one. */
  const later = (first: TestDelivery<XnatTarget>, whole: FixtureStudy = study): TestDelivery<XnatTarget> => {
    const delivery = new TestDelivery(xnatHandler, whole, 'later');
    for (const [uid, outcome] of first.ledger) delivery.ledger.set(uid, outcome);
    return delivery;
  };

  it.each(['list', 'none'])(
    'is not delivered if the session is gone when it is committed, verify: %s',
    async (verify) => {
      const delivery = new TestDelivery(xnatHandler, study);
      onAction('commit', () => {
        xnat.prearchive.clear();
        return false;
      });
      expect((await delivery.attempt(config({ verify }))).error).toMatchObject({
        code: 'finalize-failed',
        message: expect.stringContaining('neither in its prearchive nor in its archive'),
      });
    },
  );

  it.each([301, 303])('a project that archives automatically redirects (%i): the archive decides', async (status) => {
    const delivery = new TestDelivery(xnatHandler, study);
    let archives = false;
    onAction('commit', (response) => {
      const { label, instances } = session();
      if (archives) xnat.archive.set(label, instances);
      const [subject, experiment] = label.split('/');
      const path = `/data/archive/projects/TRIAL/subjects/${subject}/experiments/${experiment}`;
      return Boolean(response.writeHead(status, status === 303 ? { location: path } : {}).end(path));
    });
    expect((await delivery.attempt(config())).error).toMatchObject({ code: 'finalize-failed' });
    archives = true;
    const next = await delivery.attempt(config());
    expect(next.error).toBeUndefined();
    expect(next.opened).toEqual([]);
  });

  it('a redirect to a login page is not the archive', async () => {
    onAction('commit', (response) => Boolean(response.writeHead(303, { location: '/app/template/Login.vm' }).end()));
    const { error } = await new TestDelivery(xnatHandler, study).attempt(config());
    expect(error).toMatchObject({ code: 'target-misconfigured', stage: 'finalize' });
  });

  it.each(['build', 'commit'])('a session that is locked is tried again (%s)', async (action) => {
    const delivery = new TestDelivery(xnatHandler, study);
    let isLocked = true;
    onAction(action, (response) => isLocked && Boolean(response.writeHead(409).end('session document locked')));
    expect((await delivery.attempt(config())).error).toMatchObject({ code: 'target-busy' });
    isLocked = false;
    const next = await delivery.attempt(config());
    expect(next.error).toBeUndefined();
    expect(next.opened).toEqual([]);
  });

  it.each([
    ['READY', undefined],
    ['CONFLICT', undefined],
    ['QUEUED_ARCHIVING', undefined],
    ['ERROR', 'finalize-failed'],
    ['RECEIVING', 'finalize-failed'],
    ['_BUILDING', 'finalize-failed'],
    ['DELETING', 'finalize-failed'],
  ])('after the commit the status is %s: %s', async (status, code) => {
    const delivery = new TestDelivery(xnatHandler, study);
    onAction('commit', (response, { path }) => {
      session().status = status;
      return Boolean(response.end(path));
    });
    // `timeout` limits each request, too: short only where the attempt waits for its end.
    const isWaitedFor = ['RECEIVING', '_BUILDING', 'DELETING'].includes(status);
    const { error } = await delivery.attempt(config({ timeout: isWaitedFor ? '5s' : '30s' }));
    expect(error?.code).toBe(code);
    if (!code) return;
    expect(error?.message).toContain(`with the status ${status}`);
    expect(delivery.pending).toEqual([]);
    xnat.faults.any = undefined;
    const next = await delivery.attempt(config());
    expect(next.error).toBeUndefined();
    expect(next.opened).toEqual([]);
  });

  it('waits while XNAT builds the session', async () => {
    let asked = 0;
    xnat.faults.any = ({ method, path, query }) => {
      if (query.get('action') === 'commit') session().status = 'BUILDING';
      const isStatus = method === 'GET' && path.startsWith('/data/prearchive') && !path.includes('/scans');
      if (isStatus && (asked += 1) === 3) session().status = 'READY';
      return false;
    };
    onCommitKeep();
    expect((await new TestDelivery(xnatHandler, study).attempt(config())).error).toBeUndefined();
    expect(asked).toBe(3);

    /** The stand-in itself would set READY. */
    function onCommitKeep(): void {
      const before = xnat.faults.any;
      xnat.faults.any = (request, response) => {
        if (before?.(request, response)) return true;
        return request.query.get('action') === 'commit' && Boolean(response.end(request.path));
      };
    }
  });

  it.each([
    ['a page', '<html>sign in</html>'],
    ['JSON of another kind', '{"status":"READY"}'],
    ['a row without a status', '{"ResultSet":{"Result":[{"name":"S"}]}}'],
  ])('is not committed if its status is %s', async (_name, body) => {
    xnat.faults.any = ({ method, path }, response) =>
      method === 'GET' &&
      path.startsWith('/data/prearchive') &&
      !path.includes('/scans') &&
      Boolean(response.end(body));
    const { error } = await new TestDelivery(xnatHandler, study).attempt(config());
    expect(error).toMatchObject({ code: 'target-error', stage: 'finalize' });
  });

  it.each([
    ['JSON', '{"status":"ok"}', 'target-error'],
    [
      'a session of another project',
      '/data/prearchive/projects/Unassigned/20240615_120000123/S',
      'target-misconfigured',
    ],
  ])('is not committed by a response that is %s', async (_name, body, code) => {
    onAction('commit', (response) => Boolean(response.end(body)));
    const { error } = await new TestDelivery(xnatHandler, study).attempt(config());
    expect(error).toMatchObject({ code, stage: 'finalize' });
  });

  it('sends a series again of which a file is missing in the session as it was built', async () => {
    const delivery = new TestDelivery(xnatHandler, study);
    const lost = study.instances[4]!.manifest.sopInstanceUid;
    let isLosing = true;
    onAction('build', () => {
      if (isLosing) session().instances.delete(lost);
      isLosing = false;
      return false;
    });
    expect((await delivery.attempt(config())).error).toMatchObject({ code: 'verify-missing' });
    expect((await delivery.attempt(config())).opened.length).toBe(3);
    expect(session().instances.size).toBe(6);
    expect(session().status).toBe('READY');
  });

  it('does not send all of it again if XNAT cannot build the session', async () => {
    const delivery = new TestDelivery(xnatHandler, study);
    onAction('build', (response) => {
      session().status = 'ERROR';
      return Boolean(response.writeHead(500).end());
    });
    expect((await delivery.attempt(config())).error).toMatchObject({
      code: 'finalize-failed',
      message: expect.stringContaining('status ERROR'),
    });
    expect(delivery.pending).toEqual([]);
  });

  it('commits what an earlier delivery has left there, although nothing is to be sent', async () => {
    const first = new TestDelivery(xnatHandler, study);
    onAction('build', (response) => Boolean(response.writeHead(500).end()));
    expect((await first.attempt(config())).error).toMatchObject({ code: 'finalize-failed' });
    xnat.faults.any = undefined;
    expect(xnat.committed).toEqual([]);
    const second = later(first);
    expect((await second.attempt(config())).error).toBeUndefined();
    expect(xnat.committed.length).toBe(1);
    expect(session().status).toBe('READY');

    // A session that can be reviewed is not changed, and one that a reviewer has removed is not sent again.
    expect((await later(first).attempt(config())).error).toBeUndefined();
    xnat.prearchive.clear();
    expect((await later(first).attempt(config())).opened).toEqual([]);
    expect(xnat.committed.length).toBe(1);
  });

  it.each<[string, { readonly tag?: string; readonly subject?: string }]>([
    ['another study', { tag: '2.25.7' }],
    ['an unknown study', { tag: '' }],
    ['another subject', { subject: 'other' }],
  ])('leaves an open session with the same label alone that is of %s', async (_name, { tag, subject }) => {
    const first = new TestDelivery(xnatHandler, study);
    onAction('build', (response) => Boolean(response.writeHead(500).end()));
    expect((await first.attempt(config())).error).toMatchObject({ code: 'finalize-failed' });
    xnat.faults.any = undefined;
    const [[path, own] = []] = xnat.prearchive;
    const label = subject === undefined ? own!.label : `${subject}/${own!.label.split('/')[1]}`;
    xnat.prearchive.set(path!, { ...own!, label, tag: tag ?? own!.tag });
    expect((await later(first).attempt(config())).error).toBeUndefined();
    expect(xnat.committed).toEqual([]);
    expect(session().status).toBe('RECEIVING');
  });
});
