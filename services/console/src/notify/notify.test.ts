import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { Secret } from '@dicom-dispatch/core';
import { startHttpServer, waitFor, type HttpStandIn } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';
import { compose, summarize } from './compose.ts';
import type { Notification } from './notification.ts';
import { fill } from './send-email.ts';
import { sign } from './send-webhook.ts';

const failed: Notification = {
  kind: 'failed',
  at: 0,
  target: 'pacs',
  deliveryId: 'd-1',
  code: 'target-full',
  message: 'no space',
};

describe('compose', () => {
  it('says in one line what happened, however often', () => {
    const many = Array.from({ length: 12 }, () => failed);
    expect(summarize([...many, { kind: 'circuit-opened', at: 0, target: 'cloud' }])).toBe(
      'pacs: 12 deliveries failed (target-full); cloud: cannot be reached',
    );
  });

  it('lists a hundred at most, and says how many more there are', () => {
    const message = compose(
      'm1',
      Array.from({ length: 130 }, () => failed),
    );
    expect(message.events).toHaveLength(100);
    expect(message).toMatchObject({ count: 130, more: 30 });
  });

  it('fills templates, and leaves what it does not know', () => {
    expect(fill('{count} of {what}: {summary}', { count: '2', summary: 'x {count}' })).toBe('2 of {what}: x {count}');
  });
});

describe('notifications', () => {
  let test: TestConsole;
  let hook: HttpStandIn;
  let mail: { server: Server; port: number; messages: string[] };
  let answers: number[] = [];

  beforeAll(async () => {
    hook = await startHttpServer((_request, response) => {
      response.writeHead(answers.shift() ?? 204);
      response.end();
    });
    mail = await startMailServer();
    const common = { targets: ['a'], digest: '300ms' };
    test = await startTestConsole({
      console: {
        notifications: {
          webhooks: {
            desk: {
              url: `${hook.url}/hook`,
              secret: new Secret('shared'),
              headers: { 'X-Team': 'radiology' },
              ...common,
            },
          },
          emails: { desk: { to: ['desk@example.org'], ...common } },
          smtp: { host: '127.0.0.1', port: mail.port, from: 'dispatch@example.org' },
        },
      },
    });
    // The first look tells nothing of the past: it has to have been.
    await waitFor(async () => (await test.redis.hlen(`${test.config.redis.prefix}:notify:seen`)) === 4);
  });
  afterAll(async () => {
    await test[Symbol.asyncDispose]();
    await hook.stop();
    mail.server.close();
  });

  it('tells of many failures at once in one message, signed, and again with the same key until it is taken', async () => {
    answers = [503];
    const routed = [await test.route(), await test.route(), await test.route()];
    const error = {
      code: 'target-full',
      stage: 'transfer',
      fault: 'target',
      message: 'no space',
      remedy: 'free some',
    } as const;
    for (const { a, b } of routed) {
      await test.operations.records.update(a, { state: 'failed', endedAt: Date.now(), failStage: 'transfer', error });
      await test.operations.records.update(b, { state: 'failed', endedAt: Date.now(), failStage: 'transfer', error });
    }
    await waitFor(() => hook.requests.length >= 2, { timeoutMs: 20_000, message: 'the second try' });
    const [first, second] = hook.requests;
    expect(second?.headers['idempotency-key']).toBe(first?.headers['idempotency-key']);
    expect(second?.headers['x-team']).toBe('radiology');
    const body = second?.body.toString() ?? '';
    const [, seconds = '', signature = ''] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(second?.headers['x-dispatch-signature'])) ?? [];
    expect(sign('shared', Number(seconds), body)).toBe(signature);
    const message = JSON.parse(body) as { summary: string; count: number; events: Notification[] };
    expect(message).toMatchObject({ count: 3, summary: 'a: 3 deliveries failed (target-full)' });
    expect(new Set(message.events.map(({ deliveryId }) => deliveryId))).toEqual(new Set(routed.map(({ a }) => a)));
    expect(body).not.toMatch(/patient/i);
    await waitFor(() => mail.messages.length === 1, { message: 'one e-mail' });
    expect(mail.messages[0]).toContain('Subject: [dicom-dispatch] a: 3 deliveries failed (target-full)');
    expect(mail.messages[0]).toContain(`/deliveries/${routed[0]?.a}`);
  });

  it('tells that a circuit opened, and that it closed', async () => {
    const before = hook.requests.length;
    const bodies = (): string =>
      hook.requests
        .slice(before)
        .map(({ body }) => body.toString())
        .join('\n');
    const { circuits } = test.operations;
    await circuits.fail('a', {
      code: 'target-unreachable',
      stage: 'connect',
      fault: 'target',
      message: 'nothing listens',
      remedy: 'start it',
    });
    await waitFor(() => bodies().includes('a: cannot be reached (target-unreachable)'), { timeoutMs: 20_000 });
    await circuits.succeed('a');
    await waitFor(() => bodies().includes('a: can be reached again'), { timeoutMs: 20_000 });
  });
});

/** A mail server that takes every message (RFC 5321, as little of it as nodemailer needs). */
async function startMailServer(): Promise<{ server: Server; port: number; messages: string[] }> {
  const messages: string[] = [];
  const server = createServer((socket) => {
    let inData = false;
    let held = '';
    let message = '';
    socket.on('error', () => {});
    socket.write('220 test\r\n');
    socket.on('data', (chunk) => {
      held += chunk.toString();
      for (let end = held.indexOf('\r\n'); end >= 0; end = held.indexOf('\r\n')) {
        const line = held.slice(0, end);
        held = held.slice(end + 2);
        if (!inData) {
          inData = line === 'DATA';
          socket.write(inData ? '354 go on\r\n' : line === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n');
        } else if (line === '.') {
          inData = false;
          messages.push(message.replaceAll(/=\n/g, ''));
          message = '';
          socket.write('250 taken\r\n');
        } else message += `${line}\n`;
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return { server, port: typeof address === 'object' && address ? address.port : 0, messages };
}
