import { Secret, type ErrorRecord } from '@dicom-dispatch/core';
import {
  startHttpServer,
  startMailServer,
  startOrthanc,
  waitFor,
  type HttpStandIn,
  type MailServer,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { finding, type HealthFinding } from '@dicom-dispatch/operations';
import { openPipeline } from '@dicom-dispatch/pipeline';
import { makeStudy } from '@dicom-dispatch/samples';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { OutgoingFailures } from '@dicom-dispatch/state/outgoing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';
import { compose, lines, summarize, type Message } from './compose.ts';
import type { Notification } from './notification.ts';
import { Outbox } from './outbox.ts';
import { fill } from './send-email.ts';
import { sendTestNotification } from './send-test.ts';
import { sign } from './send-webhook.ts';
import { watchHealth } from './watch-health.ts';
import { webhookBody } from './webhook-body.ts';
import { watchWeek } from './weekly-summary.ts';

const failed: Notification = {
  id: 'd-1 0',
  kind: 'failed',
  at: 0,
  target: 'pacs',
  deliveryId: 'd-1',
  code: 'target-full',
  message: 'no space',
};

describe('compose', () => {
  it('describes an event in one line, for any number', () => {
    const many = Array.from({ length: 12 }, () => failed);
    expect(summarize([...many, { id: 'circuit cloud opened 0', kind: 'circuit-opened', at: 0, target: 'cloud' }])).toBe(
      'pacs: 12 deliveries failed (target-full); cloud: cannot be reached',
    );
  });

  it('lists at most a hundred, and the number of further ones', () => {
    const message = compose(
      'm1',
      Array.from({ length: 130 }, () => failed),
    );
    expect(message.events).toHaveLength(100);
    expect(message).toMatchObject({ count: 130, more: 30 });
  });

  it('groups by target and error, and names how long what is over has lasted', () => {
    const day = Date.UTC(2026, 2, 1);
    const message = compose(
      'm1',
      [
        ...Array.from({ length: 50 }, (_, at) => ({
          ...failed,
          id: `d-${at} 0`,
          at: day + at * 60_000,
          deliveryId: `d-${at}`,
        })),
        { ...failed, id: 'd-99 0', code: 'study-refused', at: day },
        { id: 'closed', kind: 'circuit-closed', at: day + 3_600_000, target: 'pacs', since: day - 3_600_000 },
        {
          id: 'up',
          kind: 'source-up',
          at: day,
          target: '',
          source: 'main',
          code: 'source-silent',
          since: day - 90_000,
        },
      ],
      new Map(),
      'https://console',
    );
    expect(message.groups.map(({ summary, count }) => [summary, count])).toEqual([
      ['50 deliveries failed (target-full)', 50],
      ['1 delivery failed (study-refused)', 1],
      ['can be reached again after 2h 0m', 1],
      ['is available again (source-silent) after 1m 30s', 1],
    ]);
    expect(message.groups[0]?.url).toBe('https://console/deliveries?target=pacs&state=failed&code=target-full');
    const text = lines(message, 'https://console');
    expect(text).toContain(
      '- pacs: 50 deliveries failed (target-full), 2026-03-01 00:00:00 to 2026-03-01 00:49:00 UTC',
    );
    expect(text.match(/deliveries\/d-/g)).toHaveLength(6);
    expect(text).toContain('    and 45 more');
    expect(text).toContain('- main: is available again (source-silent) after 1m 30s, 2026-03-01 00:00:00 UTC');
  });

  it('writes what Slack and Teams expect, with nothing of their markup from outside', () => {
    const message = compose(
      'm1',
      [{ ...failed, message: '<!channel> & [more](https://evil.example)' }],
      new Map(),
      'https://console',
    );
    const slack = JSON.parse(webhookBody('slack', message, 'https://console')) as { text: string };
    expect(slack.text).toContain('*pacs: 1 delivery failed (target-full)*');
    expect(slack.text).toContain('&lt;!channel&gt; &amp; [more]');
    expect(JSON.parse(webhookBody('teams', message, 'https://console'))).toMatchObject({
      type: 'message',
      attachments: [
        {
          contentType: 'application/vnd.microsoft.card.adaptive',
          content: {
            type: 'AdaptiveCard',
            body: [
              { text: 'pacs: 1 delivery failed \\(target-full\\)' },
              { type: 'TextBlock', text: expect.stringContaining('\\[more\\]\\(https://evil.example\\)') },
            ],
            actions: [{ url: 'https://console/deliveries?target=pacs&state=failed&code=target-full' }],
          },
        },
      ],
    });
  });

  it('fills templates, and leaves unknown names unchanged', () => {
    expect(fill('{count} of {what}: {summary}', { count: '2', summary: 'x {count}' })).toBe('2 of {what}: x {count}');
  });
});

const error: ErrorRecord = {
  code: 'target-full',
  stage: 'transfer',
  fault: 'target',
  message: 'no space',
  remedy: 'free some',
};

describe('notifications', () => {
  let test: TestConsole;
  let hook: HttpStandIn;
  let mail: MailServer;
  let orthanc: OrthancServer;
  let orthancStudyId = '';
  /** The next response of the endpoint, by its path. */
  const answers = new Map<string, number[]>();
  const accession = 'ACC-NOTIFY-1';

  beforeAll(async () => {
    [mail, orthanc, hook] = await Promise.all([
      startMailServer(),
      startOrthanc(),
      startHttpServer((request, response) => {
        response.writeHead(answers.get(request.path)?.shift() ?? 204);
        response.end();
      }),
    ]);
    for (const { bytes } of makeStudy({
      seed: 'notify',
      instancesPerSeries: 1,
      attributes: { PatientName: 'Geheim^Nora', PatientID: 'PID-NOTIFY', AccessionNumber: accession },
    })) {
      ({ ParentStudy: orthancStudyId } = await orthanc.upload(bytes));
    }
    const every = ['delivered', 'partial', 'failed', 'source-gone', 'circuit-opened', 'circuit-closed', 'backlog-old'];
    const digest = '300ms';
    // Longer than several checks: events that occur together are not separated by one.
    const longDigest = '10s';
    test = await startTestConsole({
      sourceUrl: orthanc.url,
      console: {
        notifications: {
          webhooks: {
            desk: {
              url: `${hook.url}/desk`,
              secret: new Secret('shared'),
              headers: { 'X-Team': 'radiology' },
              targets: ['a'],
              digest: longDigest,
            },
            each: { url: `${hook.url}/each`, on: every, digest: 0 },
            named: { url: `${hook.url}/named`, on: ['source-gone'], digest, patientData: true },
            closed: { url: `${hook.url}/closed`, on: ['failed'], digest },
          },
          emails: {
            desk: { to: ['desk@example.org', 'night@example.org'], targets: ['a'], digest: longDigest },
            custom: {
              to: ['boss@example.org'],
              on: ['partial'],
              digest,
              subject: '{count} to look at',
              text: 'Look:\n{lines}\nat {console}',
            },
          },
          smtp: { host: '127.0.0.1', port: mail.port, from: 'dispatch@example.org' },
          backlogOlderThan: '1h',
        },
      },
    });
    // The first check reports no earlier events: it must have run.
    const seen = `${test.config.redis.prefix}:notify:seen`;
    await waitFor(async () => (await test.redis.hlen(seen)) === 8, { message: 'the first look' });
  });
  afterAll(async () => {
    await test[Symbol.asyncDispose]();
    await Promise.all([hook.stop(), mail.stop(), orthanc.stop()]);
  });

  const sent = (path: string) => hook.requests.filter((request) => request.path === path);
  const messages = (path: string): Message[] => sent(path).map(({ body }) => JSON.parse(body.toString()) as Message);
  async function end(id: string, state: 'delivered' | 'partial' | 'failed' | 'source-gone'): Promise<void> {
    const reason = state === 'delivered' ? {} : { failStage: 'transfer' as const, error };
    await test.operations.records.update(id, { state, endedAt: Date.now(), ...reason });
  }
  /** The message about one event, as a receiver without digest received it. */
  async function notified(kind: string, target: string, deliveryId?: string): Promise<Message> {
    return waitFor(
      () =>
        messages('/each').find(({ events: [one] }) =>
          Boolean(one?.kind === kind && one.target === target && (!deliveryId || one.deliveryId === deliveryId)),
        ),
      { message: `${kind} of ${target}` },
    );
  }

  it('reports many failures in one message, signed, and repeats it with the same key until it is accepted', async () => {
    answers.set('/desk', [503]);
    const routed = [await test.route(), await test.route(), await test.route()];
    for (const { a, b } of routed) await Promise.all([end(a, 'failed'), end(b, 'failed')]);
    await waitFor(() => sent('/desk').length >= 2, { message: 'the second try' });
    const [first, second] = sent('/desk');
    expect(second?.headers['idempotency-key']).toBe(first?.headers['idempotency-key']);
    expect(second?.headers['x-team']).toBe('radiology');
    for (const request of [first, second]) {
      const body = request?.body.toString() ?? '';
      const [, seconds = '', signature = ''] =
        /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request?.headers['x-dispatch-signature'])) ?? [];
      expect(sign('shared', Number(seconds), body)).toBe(signature);
      expect(body).not.toMatch(/patient/i);
    }
    const [message] = messages('/desk');
    expect(message).toMatchObject({ count: 3, summary: 'a: 3 deliveries failed (target-full)' });
    expect(new Set(message?.events.map(({ deliveryId }) => deliveryId))).toEqual(new Set(routed.map(({ a }) => a)));
    const mails = await waitFor(async () => ((await mail.messages()).length > 0 ? mail.messages() : undefined), {
      message: 'an e-mail',
    });
    expect(mails).toHaveLength(1);
    const text = mails[0]?.replaceAll(/=\r?\n/g, '') ?? '';
    expect(text).toContain('Subject: [dicom-dispatch] a: 3 deliveries failed (target-full)');
    expect(text).toMatch(/^To: desk@example\.org, night@example\.org\r?$/m);
    expect(text).toContain(`/deliveries/${routed[0]?.a}`);
    expect(text).not.toMatch(/patient/i);
  });

  it('reports an unreachable target with a thousand deliveries in one message', async () => {
    const before = sent('/desk').length;
    const routed = await Promise.all(Array.from({ length: 250 }, () => test.route()));
    await test.operations.circuits.fail('a', { ...error, code: 'target-unreachable', stage: 'connect' });
    await Promise.all(routed.map(({ a }) => end(a, 'failed')));
    const found = await waitFor(
      () => {
        const list = messages('/desk').slice(before);
        return list.reduce((sum, { count }) => sum + count, 0) === 251 ? list : undefined;
      },
      { message: 'all of them' },
    );
    // A check may run between two of the events, but must not send a message for each.
    expect(found.length).toBeLessThanOrEqual(3);
    expect(found.map(({ summary }) => summary).join()).toContain('cannot be reached (target-unreachable)');
    expect((await notified('circuit-opened', 'a')).summary).toBe('a: cannot be reached (target-unreachable)');
    await test.operations.circuits.succeed('a');
    expect((await notified('circuit-closed', 'a')).summary).toBe('a: can be reached again');
  });

  // Concurrently, since these tests wait for the same checks.
  it.concurrent.each(['delivered', 'partial', 'failed', 'source-gone'] as const)(
    'reports that a delivery is %s, once',
    async (state) => {
      const { b, studyInstanceUid } = await test.route();
      await end(b, state);
      const { events } = await notified(state, 'b', b);
      expect(events).toMatchObject([{ kind: state, target: 'b', deliveryId: b, studyInstanceUid }]);
      // The record changes again, but not the end of the delivery.
      await test.operations.records.update(b, {}, { kind: 'operator', text: 'looked at' });
      const { b: next } = await test.route();
      await end(next, state);
      await notified(state, 'b', next);
      expect(messages('/each').filter(({ events: [one] }) => one?.deliveryId === b)).toHaveLength(1);
    },
  );

  it.concurrent('reports a backlog that is too old, once', async () => {
    const { b } = await test.route();
    const since = Date.now() - 2 * 3_600_000;
    const { prefix } = test.config.redis;
    await test.redis.hset(redisKeys(prefix).delivery(b), { since });
    await test.redis.zadd(`${prefix}:index:waiting:b`, since, b);
    const { events, summary } = await notified('backlog-old', 'b');
    expect(summary).toBe('b: has an old backlog');
    expect(events[0]?.message).toMatch(/^the oldest delivery has waited for 2h/);
    await end(b, 'delivered');
    await notified('delivered', 'b', b);
    expect(messages('/each').filter(({ events: [one] }) => one?.kind === 'backlog-old')).toHaveLength(1);
  });

  it.concurrent('names the patient only to whom that is switched on', async () => {
    const { b } = await test.route({ studyInstanceUid: '1.2.826.0.1.77', orthancStudyId });
    const uid = await orthancUid();
    const { a } = await test.route({ studyInstanceUid: uid, orthancStudyId });
    await end(a, 'source-gone');
    await end(b, 'delivered');
    const message = await waitFor(
      () => messages('/named').find(({ events }) => events.some(({ deliveryId }) => deliveryId === a)),
      { message: 'the message with the patient' },
    );
    expect(message.events.find(({ deliveryId }) => deliveryId === a)).toMatchObject({
      study: { accessionNumber: accession, patientId: 'PID-NOTIFY' },
    });
    await notified('source-gone', 'a', a);
    const others = [...sent('/each'), ...sent('/desk'), ...sent('/closed')].map(({ body }) => body.toString()).join();
    for (const word of [accession, 'PID-NOTIFY', 'Geheim']) {
      expect(others).not.toContain(word);
      expect((await mail.messages()).join()).not.toContain(word);
    }
    // It is not stored either: pending notifications in Redis do not contain it.
    expect(JSON.stringify(await test.operations.queues.study().getJobs())).not.toContain(accession);

    async function orthancUid(): Promise<string> {
      const answer = await fetch(`${orthanc.url}/studies/${orthancStudyId}`);
      return ((await answer.json()) as { MainDicomTags: { StudyInstanceUID: string } }).MainDicomTags.StudyInstanceUID;
    }
  });

  it.concurrent('fills the templates of an e-mail', async () => {
    const { b } = await test.route();
    await end(b, 'partial');
    const text = await waitFor(
      async () => (await mail.messages()).find((one) => one.includes(b) && one.includes('boss@example.org')),
      { message: 'the e-mail' },
    );
    expect(text).toMatch(/^Subject: \d+ to look at\r?$/m);
    expect(text).toContain('Look:');
  });

  it.concurrent('gives up on an endpoint that responds never', async () => {
    const before = sent('/closed').length;
    answers.set('/closed', [410]);
    const { b } = await test.route();
    await end(b, 'failed');
    await waitFor(() => sent('/closed').length > before, { message: 'the try' });
    const { b: next } = await test.route();
    await end(next, 'failed');
    await waitFor(
      () =>
        messages('/closed')
          .at(-1)
          ?.events.some(({ deliveryId }) => deliveryId === next),
      {
        message: 'the next message',
      },
    );
    expect(messages('/closed').filter(({ events }) => events.some(({ deliveryId }) => deliveryId === b))).toHaveLength(
      1,
    );
  });

  it('reports a source that is down for a minute, once, and when it is available again', async () => {
    const down = finding('source-silent', { subject: 'main', words: 'source main: connection refused' });
    // Separate from the console of the test, which checks as well.
    const config = { ...test.config, redis: { ...test.config.redis, prefix: '{apart}' } };
    const apart = openPipeline(config, test.redis);
    let findings: HealthFinding[] = [down];
    const look = async (): Promise<Notification[]> => {
      const { notifications, remember } = await watchHealth(apart, async () => findings);
      await remember();
      return [...notifications];
    };
    expect(await look(), 'not at once: a restart takes seconds').toEqual([]);
    const key = '{apart}:notify:health';
    await test.redis.hset(key, 'seen source main', Date.now() - 61_000);
    expect(await look()).toMatchObject([
      { kind: 'source-down', source: 'main', code: 'source-silent', path: '/sources' },
    ]);
    expect(await look()).toEqual([]);
    // The source has another problem now: it is still down.
    findings = [finding('source-refuses', { subject: 'main', words: 'source main: HTTP 401' })];
    expect(await look()).toEqual([]);
    // While a part of the health cannot be read, no end is reported, but new findings are.
    await test.redis.hset(key, 'seen no-dispatcher ', Date.now() - 61_000);
    const noDispatcher = finding('no-dispatcher', { words: 'no dispatcher is running: nothing is sent' });
    findings = [noDispatcher, finding('unread', { words: 'audits could not be read' })];
    expect(await look()).toMatchObject([{ kind: 'problem', code: 'no-dispatcher' }]);
    findings = [noDispatcher];
    expect(await look()).toMatchObject([{ kind: 'source-up', source: 'main', since: expect.any(Number) }]);
    findings = [];
    expect(await look()).toMatchObject([{ kind: 'problem-over', code: 'no-dispatcher' }]);
    // A source that is disabled while it is down is not reported as available again.
    findings = [down];
    await test.redis.hset(key, 'seen source main', Date.now() - 61_000);
    expect(await look()).toMatchObject([{ kind: 'source-down', source: 'main' }]);
    findings = [finding('source-off', { subject: 'main', words: 'the source main is disabled' })];
    expect(await look()).toEqual([]);
    expect(await look()).toEqual([]);
    expect(await test.redis.exists(key)).toBe(0);
    await apart.close();
  });

  it('sums up a week on Monday, once, with each target', async () => {
    const monday = Date.UTC(2026, 10, 30, 6, 0, 1);
    const look = async (now: number): Promise<Notification[]> => {
      const { notifications, remember } = await watchWeek(test.operations, now);
      await remember();
      return [...notifications];
    };
    expect(await look(monday - 5_000), 'the first look').toEqual([]);
    expect(await look(monday - 2_000)).toEqual([]);
    expect(await look(monday)).toMatchObject([
      {
        kind: 'weekly-summary',
        message: expect.stringMatching(/^\d+ deliveries delivered, \d+ ended without success in seven days/),
      },
    ]);
    expect(await look(monday + 60_000)).toEqual([]);
  });

  it('sends a message once though its success cannot be noted; without one to send a failure stays noted', async () => {
    const { prefix } = test.config.redis;
    const { outgoingFailures } = redisKeys(prefix);
    const outbox = new Outbox(test.redis, prefix);
    const completed = async (id: string): Promise<void> => {
      await outbox.gather('webhook:each', [{ ...failed, id }], 0);
      await waitFor(
        async () => (await outbox.queue.getCompleted()).some(({ data }) => (data as { bundle: string }).bundle === id),
        { message: `the job of ${id}` },
      );
    };
    // A key of a wrong type.
    await test.redis.set(outgoingFailures, 'text');
    await completed('once');
    await test.redis.del(outgoingFailures);
    expect(messages('/each').filter(({ events: [one] }) => one?.id === 'once')).toHaveLength(1);

    const failures = new OutgoingFailures(test.redis, prefix);
    await failures.failed('webhook:each', 'HTTP 500');
    const job = await outbox.queue.add('notify', { receiver: 'webhook:each', bundle: 'empty' });
    await waitFor(() => job.isCompleted(), { message: 'the job without notifications' });
    expect([...(await failures.all()).keys()]).toEqual(['webhook:each']);
    await completed('another');
    expect((await failures.all()).size).toBe(0);
    await outbox.close();
  });

  it('sends a test to one receiver, and reports its response', async () => {
    const { notifications } = test.config.console;
    await sendTestNotification(notifications, 'webhook:each', 'https://console');
    expect(messages('/each').at(-1)).toMatchObject({ summary: 'test', events: [{ kind: 'test' }] });
    answers.set('/closed', [404]);
    await expect(sendTestNotification(notifications, 'webhook:closed', '')).rejects.toThrow(
      'webhook:closed: the endpoint answered HTTP 404',
    );
    await expect(sendTestNotification(notifications, 'desk', '')).rejects.toThrow(
      /no receiver desk in console\.notifications; configured: webhook:desk, .*email:desk/,
    );
  });

  // The last test: it changes the receivers.
  it('drops the failure of a receiver that is removed, and of no other', async () => {
    const failures = new OutgoingFailures(test.redis, test.config.redis.prefix);
    for (const name of ['webhook:each', 'email:desk', 'audit-file']) await failures.failed(name, 'no answer');
    const { notifications } = test.config.console;
    const { desk: _, ...emails } = notifications!.emails;
    test.console.reload({
      ...test.config,
      console: { ...test.config.console, notifications: { ...notifications!, emails } },
    });
    await waitFor(async () => !(await failures.all()).has('email:desk'), { message: 'its failure to be dropped' });
    expect([...(await failures.all()).keys()].sort()).toEqual(['audit-file', 'webhook:each']);
  });
});
