import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  makeCertificates,
  startOrthanc,
  startRsyslog,
  tempFolder,
  waitFor,
  type Certificates,
  type OrthancServer,
  type RsyslogServer,
  type SyslogMessage,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { OutgoingFailures } from '@dicom-dispatch/state/outgoing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  passwordOf,
  signIn,
  startTestConsole,
  testConfig,
  testToken,
  type TestConsole,
} from '../../testing/start-test-console.ts';

const schema = join(import.meta.dirname, '../../../../../test/fixtures/atna/audit-message.rng');
const run = promisify(execFile);

/** Errors of messages by the schema of PS3.15 A.5.1, found by xmllint. */
async function faults(messages: readonly SyslogMessage[]): Promise<string[]> {
  await using folder = await tempFolder('atna');
  const files = await Promise.all(
    messages.map(async ({ text }, index) => {
      const file = join(folder.path, `${index}.xml`);
      await writeFile(file, text.replace(/^\ufeff/, ''));
      return file;
    }),
  );
  const { stderr } = await run('xmllint', ['--noout', '--relaxng', schema, ...files]).catch(
    (error: { stderr: string }) => error,
  );
  return stderr.split('\n').filter((line) => line !== '' && !line.endsWith(' validates'));
}

const eventOf = ({ text }: SyslogMessage): string => /<EventID [^>]*originalText="([^"]+)"/.exec(text)?.[1] ?? '';
const outcomeOf = ({ text }: SyslogMessage): string => /EventOutcomeIndicator="(\d+)"/.exec(text)?.[1] ?? '';

describe('audit messages', () => {
  let certificates: Certificates;
  let rsyslog: RsyslogServer;
  let orthanc: OrthancServer;
  let test: TestConsole;
  let study = { uid: '', orthancStudyId: '' };

  const syslog = (more: object = {}): Record<string, unknown> => ({
    host: 'localhost',
    port: rsyslog.port,
    tls: { ca: certificates.ca.certFile, cert: certificates.client.certFile, key: certificates.client.keyFile },
    siteId: 'Haus "Eins" & Co',
    ...more,
  });
  const consoleWith = (audit: object): Record<string, unknown> => ({ ...signIn, trustProxy: true, audit });
  const targets = (): Record<string, unknown> => ({
    a: { type: 'dicom', host: 'pacs.example', port: 104, calledAeTitle: 'PACS', callingAeTitle: 'DISP' },
    b: { type: 'folder', path: '/archive' },
    archive: { type: 'orthanc', url: orthanc.url },
  });

  beforeAll(async () => {
    [certificates, orthanc] = await Promise.all([makeCertificates(), startOrthanc()]);
    rsyslog = await startRsyslog({ server: certificates.server, ca: certificates.ca, asksForCertificate: true });
    for (const { bytes, studyInstanceUid } of makeStudy({
      seed: 'atna',
      instancesPerSeries: 1,
      attributes: { PatientName: 'Müller^Änne<x>', PatientID: 'PID-1&2', AccessionNumber: 'ACC-ATNA' },
    })) {
      const { ParentStudy } = await orthanc.upload(bytes);
      study = { uid: studyInstanceUid, orthancStudyId: ParentStudy };
    }
    test = await startTestConsole({
      sourceUrl: orthanc.url,
      targets: targets(),
      console: consoleWith({ syslog: syslog() }),
    });
    const { prefix } = test.config.redis;
    await waitFor(async () => (await test.redis.hlen(`${prefix}:audit-forwarded`)) >= 8, { message: 'the first turn' });
  });
  afterAll(async () => {
    await test[Symbol.asyncDispose]();
    await Promise.all([rsyslog.stop(), orthanc.stop()]);
  });

  const failures = () => new OutgoingFailures(test.redis, test.config.redis.prefix).all();
  const administrator = { authorization: `Bearer ${testToken.administrator}` };
  const attempt = (name: string, password: string): Promise<Response> =>
    fetch(`${test.url}/sign-in`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-forwarded-for': '10.9.8.7' },
      body: new URLSearchParams({ name, password }),
    });
  /** Waits for a message of a kind about something. */
  const arrived = (event: string, about: string): Promise<SyslogMessage> =>
    waitFor(async () => (await rsyslog.messages()).find((one) => eventOf(one) === event && one.text.includes(about)), {
      message: () => `${event} about ${about}; rsyslog printed\n${rsyslog.output()}`,
    });

  it('on sign-ins reach a real rsyslog over TLS, as PS3.15 A.5 and A.6 have them', async () => {
    expect((await attempt('ada', 'wrong')).status).toBe(401);
    expect((await attempt('ada', passwordOf('ada'))).status).toBe(303);
    const failed = await arrived('User Authentication', 'wrong password');
    expect(outcomeOf(failed)).toBe('4');
    const message = await arrived('User Authentication', 'by password');
    expect(message).toMatchObject({ facility: 10, severity: 5, appName: 'dicom-dispatch', messageId: 'DICOM+RFC3881' });
    expect(outcomeOf(message)).toBe('0');
    expect(message.text).toMatch(/<EventTypeCode csd-code="110122"/);
    expect(message.text).toMatch(/<ActiveParticipant UserID="ada@[^"]+" UserName="ada" UserIsRequestor="true"/);
    expect(message.text).toMatch(/NetworkAccessPointID="10\.9\.8\.7" NetworkAccessPointTypeCode="2"/);
    expect(message.text).toContain(
      'AuditEnterpriseSiteID="Haus &#34;Eins&#34; &#38; Co" AuditSourceID="dicom-dispatch"',
    );
  });

  it('on searches contain the search text, which Redis stores encrypted', async () => {
    await test.ask('GET', '/api/studies?search=M%C3%BCller', { headers: administrator });
    const message = await arrived('Query', 'token:administrator');
    const query = /<ParticipantObjectQuery>([^<]+)</.exec(message.text)?.[1] ?? '';
    expect(Buffer.from(query, 'base64').toString()).toBe('Müller');
    const kept = await test.redis.xrange(`${test.config.redis.prefix}:audit-queries`, '-', '+');
    expect(kept.length).toBe(1);
    await test.ask('GET', '/api/studies.csv', { headers: administrator });
    await arrived('Query', Buffer.from('all studies, as CSV').toString('base64'));
    expect(JSON.stringify(kept)).not.toContain('ller');
    await test.ask('GET', '/fetch?accession=ACC-1&patient=PID-9', { headers: administrator });
    await arrived('Query', Buffer.from('ACC-1, PID-9').toString('base64'));
  });

  it('on deliveries name study and patient: a transfer to a PACS, an export to a folder', async () => {
    const { a, b } = await test.route({ studyInstanceUid: study.uid, orthancStudyId: study.orthancStudyId });
    const { records } = test.operations;
    await records.update(a, { state: 'delivered', endedAt: Date.now(), confirmed: 3, total: 3, worker: 'host-1-ab' });
    await records.update(b, { state: 'failed', endedAt: Date.now(), failStage: 'transfer' });
    const transfer = await arrived('DICOM Instances Transferred', study.uid);
    expect(outcomeOf(transfer)).toBe('0');
    expect(transfer.text).toMatch(/UserID="host-1-ab" AlternativeUserID="AETITLES=DISP"/);
    expect(transfer.text).toMatch(/UserID="a" AlternativeUserID="AETITLES=PACS".*NetworkAccessPointID="pacs\.example"/);
    expect(transfer.text).toContain('ParticipantObjectID="PID-1&#38;2"');
    expect(transfer.text).toContain('<ParticipantObjectName>Müller, Änne&#60;x&#62;</ParticipantObjectName>');
    expect(transfer.text).toContain('<Accession Number="ACC-ATNA"/><SOPClass NumberOfInstances="3"/>');
    const exported = await arrived('Export', study.uid);
    expect(outcomeOf(exported)).toBe('8');
    expect(exported.text).toContain('UserID="file:///archive"');
    expect(exported.text).toContain('<MediaType csd-code="110037"');
  });

  it('on a study that somebody downloads', async () => {
    const path = `/api/fetches/download?target=archive&studyInstanceUid=${study.uid}`;
    expect((await test.ask('GET', path, { headers: administrator })).status).toBe(200);
    const exported = await arrived('Export', 'download of token:administrator@');
    expect(outcomeOf(exported)).toBe('0');
    expect(exported.text).toContain(`ParticipantObjectID="${study.uid}"`);
    expect(exported.text).toMatch(/<SOPClass NumberOfInstances="[1-9]/);
  });

  it('on the use of the audit log itself', async () => {
    await test.ask('GET', '/api/audit/export', { headers: administrator });
    expect((await arrived('Audit Log Used', 'token:administrator')).text).toContain('ParticipantObjectID="audit-log"');
  });

  it('wait for an unavailable receiver, and then arrive, without loss', async () => {
    await rsyslog.kill('SIGTERM');
    for (const name of ['vera', 'otto']) expect((await attempt(name, passwordOf(name))).status).toBe(303);
    await waitFor(async () => (await failures()).has('audit-syslog'), { message: 'a pass without the receiver' });
    await rsyslog.restart();
    for (const name of ['vera', 'otto']) await arrived('User Authentication', `UserName="${name}"`);
  });

  // The last test: it checks all messages that have arrived.
  it('keep to the schema, each of them', async () => {
    const messages = await rsyslog.messages();
    expect(new Set(messages.map((one) => eventOf(one)))).toEqual(
      new Set(['User Authentication', 'Query', 'DICOM Instances Transferred', 'Export', 'Audit Log Used']),
    );
    expect(await faults(messages)).toEqual([]);
    const [first] = messages;
    expect(
      (await faults([{ ...first!, text: first!.text.replace('UserIsRequestor', 'Requestor') }])).length,
    ).toBeGreaterThan(0);
  });

  it('are not sent to a receiver whose certificate is not trusted', async () => {
    await using other = await startRsyslog({ server: certificates.otherServer, ca: certificates.otherCa });
    test.console.reload(
      testConfig({ targets: targets(), console: consoleWith({ syslog: syslog({ port: other.port }) }) }),
    );
    expect((await attempt('vera', passwordOf('vera'))).status).toBe(303);
    const noted = async () => (await failures()).get('audit-syslog');
    await waitFor(async () => (await other.messages()).length > 0 || (await noted()), { message: 'a refused pass' });
    expect(await other.messages()).toEqual([]);
    expect((await noted())?.message).toMatch(/certificate/);
  });
});

describe('the file of the audit log', () => {
  it('gets each entry once, over rotations and restarts, and can be verified', async () => {
    await using folder = await tempFolder('audit-file');
    const file = join(folder.path, 'audit.jsonl');
    await using test = await startTestConsole({ console: { ...signIn, audit: { file } } });
    const { prefix } = test.config.redis;
    await waitFor(async () => (await test.redis.hlen(`${prefix}:audit-forwarded`)) >= 2);
    const headers = { authorization: `Bearer ${testToken.operator}` };
    const lines = async (): Promise<{ stream: string; action: string; hash: string }[]> =>
      (await readFile(file, 'utf8').catch(() => ''))
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as never);
    const actions = async (): Promise<string[]> => (await lines()).map(({ stream, action }) => `${stream} ${action}`);
    await test.ask('POST', '/api/targets/a/pause', { headers });
    await test.ask('GET', '/api/audit', { headers });
    await waitFor(async () => (await lines()).length === 2);
    expect((await actions()).sort()).toEqual(['audit pause', 'refused read audit log']);
    await rm(file);
    await test.ask('POST', '/api/targets/a/resume', { headers });
    await waitFor(async () => (await actions()).join() === 'audit resume');
    expect((await lines())[0]?.hash).toMatch(/^[0-9a-f]{64}$/);

    // Another console held the lease meanwhile, noted a failure and ended: the next success clears the note.
    const failures = new OutgoingFailures(test.redis, prefix);
    await failures.failed('audit-file', 'ENOSPC');
    await test.redis.del(redisKeys(prefix).auditLeader);
    await waitFor(async () => (await failures.all()).size === 0, { message: 'the note to be cleared' });
  });
});
