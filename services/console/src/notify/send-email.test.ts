import { createServer, type AddressInfo, type Socket } from 'node:net';
import { Secret, type EmailConfig } from '@dicom-dispatch/core';
import { makeCertificates, startMailServer } from '@dicom-dispatch/harness';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compose, type Message } from './compose.ts';
import { sendEmail } from './send-email.ts';

const email = (patientData: boolean): EmailConfig => ({
  enabled: true,
  to: ['desk@example.org'],
  subject: '{summary}',
  on: ['failed'],
  digest: 0,
  patientData,
});
const smtp = (port: number, more: object = {}) => ({
  host: '127.0.0.1',
  port,
  secure: false,
  allowPlaintext: false,
  from: 'dispatch@example.org',
  ...more,
});
const withPassword = { username: 'dispatch', password: new Secret('secret-of-mail') };
const message: Message = compose('m1', [{ id: 'd', kind: 'failed', at: 0, target: 'pacs', message: 'no space' }]);

describe('a mail server that offers no TLS', () => {
  let port = 0;
  let lines: string[] = [];
  const sockets = new Set<Socket>();
  /** Accepts every mail and every password, unencrypted, and records the commands. */
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let isData = false;
    let rest = '';
    const reply = (text: string): void => void socket.write(`${text}\r\n`);
    reply('220 mail.example ESMTP');
    socket.on('data', (data) => {
      rest += data.toString();
      const all = rest.split('\r\n');
      rest = all.pop() ?? '';
      for (const line of all) {
        lines.push(line);
        if (isData) {
          if (line === '.') {
            isData = false;
            reply('250 taken');
          }
        } else if (/^EHLO/i.test(line)) reply('250-mail.example\r\n250 AUTH PLAIN LOGIN');
        else if (/^AUTH/i.test(line)) reply('235 welcome');
        else if (/^STARTTLS/i.test(line)) reply('502 not implemented');
        else if (/^DATA/i.test(line)) {
          isData = true;
          reply('354 go on');
        } else if (/^QUIT/i.test(line)) socket.end('221 bye\r\n');
        else reply('250 fine');
      }
    });
  });
  beforeEach(async () => {
    lines = [];
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => void server.close(resolve));
  });

  const sent = (): string => lines.join('\n');

  it('gets no password', async () => {
    await expect(sendEmail(email(false), smtp(port, withPassword), message, 'http://c')).rejects.toThrow(
      /offers no STARTTLS.*allowPlaintext/,
    );
    expect(sent()).not.toMatch(/AUTH|MAIL FROM|DATA/i);
    expect(sent()).not.toContain(Buffer.from('secret-of-mail').toString('base64').slice(0, 12));
  });

  it('gets nothing of patients', async () => {
    await expect(sendEmail(email(true), smtp(port), message, 'http://c')).rejects.toThrow(/offers no STARTTLS/);
    expect(sent()).not.toMatch(/MAIL FROM|DATA/i);
  });

  it('gets both where that is allowed by name, and other mails as they are', async () => {
    await sendEmail(email(true), smtp(port, { ...withPassword, allowPlaintext: true }), message, 'http://c');
    expect(sent()).toMatch(/^AUTH /m);
    lines = [];
    await sendEmail(email(false), smtp(port), message, 'http://c');
    expect(sent()).toMatch(/^Subject: pacs: 1 delivery failed/m);
  });
});

it('a mail server that sends a byte now and then is given up', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('220 mail.example ESMTP\r\n');
    const timer = setInterval(() => socket.write('250-x\r\n'), 20);
    socket.on('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await expect(sendEmail(email(false), smtp(port), message, 'http://c', 300)).rejects.toThrow(/did not take.*0.3 s/);
  await new Promise((resolve) => void server.close(resolve));
});

describe('a mail server that offers STARTTLS', () => {
  it('receives mails over it if its certificate is trusted, and none otherwise', async () => {
    const { ca, server, otherServer } = await makeCertificates();
    await using mail = await startMailServer({ startTls: server });
    await sendEmail(email(true), smtp(mail.port, { ca: ca.certFile }), message, 'http://c');
    expect((await mail.messages()).length).toBe(1);
    await expect(sendEmail(email(true), smtp(mail.port), message, 'http://c')).rejects.toThrow(/certificate/);
    await using other = await startMailServer({ startTls: otherServer });
    await expect(sendEmail(email(true), smtp(other.port, { ca: ca.certFile }), message, 'http://c')).rejects.toThrow(
      /certificate/,
    );
    expect(await other.messages()).toEqual([]);
  });
});
