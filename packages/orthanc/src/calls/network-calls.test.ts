import { freePort, startFaultProxy, startOrthanc, waitFor } from '@dicom-dispatch/harness';
import type { OrthancServer } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { collect, present, startFilledOrthanc } from '../../test/filled-orthanc.ts';
import type { FilledOrthanc } from '../../test/filled-orthanc.ts';
import { createOrthancClient } from '../index.ts';
import type { OrthancClient } from '../index.ts';

let filled: FilledOrthanc;
let other: OrthancServer;
let otherClient: OrthancClient;
let nobody: number;

const missing = { code: 'not-found', status: 404 };

beforeAll(async () => {
  filled = await startFilledOrthanc({ aet: 'HERE' });
  const here = { AET: 'HERE', Host: '127.0.0.1', Port: filled.server.dicomPort };
  other = await startOrthanc({ aet: 'OTHER', modalities: { here }, users: { anna: 'geheim' } });
  otherClient = createOrthancClient({ url: other.url, username: 'anna', password: 'geheim' });
  nobody = await freePort();
  const { client } = filled;
  await client.modalities.set('other', { AET: 'OTHER', Host: '127.0.0.1', Port: other.dicomPort });
  await client.modalities.set('gone', { AET: 'GONE', Host: '127.0.0.1', Port: nobody });
  await client.peers.set('other', { Url: other.url, Username: 'anna', Password: 'geheim' });
  await client.peers.set('locked', { Url: other.url, Username: 'anna', Password: 'wrong' });
});

afterAll(async () => {
  await otherClient.close();
  await other.stop();
  await filled[Symbol.asyncDispose]();
});

describe('modalities', () => {
  it('are listed, read, set and deleted', async () => {
    const { client } = filled;
    expect((await client.modalities.names()).sort()).toEqual(['gone', 'other']);
    expect(await client.modalities.list()).toMatchObject({ other: { AET: 'OTHER', Port: other.dicomPort } });
    await client.modalities.set('brief', { AET: 'BRIEF', Host: '127.0.0.1', Port: 104, AllowFind: false });
    expect(await client.modalities.read('brief')).toMatchObject({ AET: 'BRIEF', Port: 104, AllowFind: false });
    await client.modalities.delete('brief');
    await expect(client.modalities.read('brief')).rejects.toMatchObject(missing);
    await expect(client.modalities.delete('brief')).rejects.toMatchObject(missing);
  });

  it('answer an echo, or the failure contains the reason', async () => {
    const { client } = filled;
    await client.modalities.echo('other', { timeoutSeconds: 5 });
    await expect(client.modalities.echo('gone')).rejects.toMatchObject({
      code: 'server-error',
      status: 500,
      orthancStatus: 9,
      details: expect.stringContaining('GONE'),
    });
    await expect(client.modalities.echo('nope')).rejects.toMatchObject(missing);
  });

  it('accept a study, immediately or by a job', async () => {
    const { client, studyId } = filled;
    expect(await client.modalities.store('other', { Resources: [studyId] })).toMatchObject({
      InstancesCount: 6,
      FailedInstancesCount: 0,
    });
    expect((await otherClient.statistics()).CountInstances).toBe(6);
    const job = await client.modalities.storeJob('other', { Resources: [studyId] });
    expect(await client.jobs.wait(job, { pollMs: 10 })).toMatchObject({ Type: 'DicomModalityStore' });
  });

  it('make a job fail that cannot reach them', async () => {
    const { client, studyId } = filled;
    const job = await client.modalities.storeJob('gone', { Resources: [studyId] });
    await expect(client.jobs.wait(job, { pollMs: 10 })).rejects.toMatchObject({
      code: 'job-failed',
      orthancStatus: 9,
      message: expect.stringContaining('network protocol'),
    });
    await client.jobs.resubmit(job);
    await expect(client.jobs.wait(job, { pollMs: 10 })).rejects.toMatchObject({ code: 'job-failed' });
  });

  it('are queried and retrieved from', async () => {
    const { client, study, studyId } = filled;
    await client.studies.delete(studyId);
    const query = await client.modalities.query('other', {
      Level: 'Study',
      Query: { PatientID: study.patientId, StudyInstanceUID: '', AccessionNumber: '' },
    });
    expect(await client.queries.ids()).toContain(query);
    expect(await client.queries.answers(query)).toMatchObject([
      { StudyInstanceUID: study.studyInstanceUid, AccessionNumber: study.accessionNumber },
    ]);
    await otherClient.modalities.set('HERE', { AET: 'HERE', Host: '127.0.0.1', Port: filled.server.dicomPort });
    await client.queries.retrieve(query, { targetAet: 'HERE', answer: 0 });
    await waitFor(async () => (await client.statistics()).CountInstances === 6);
    await client.studies.delete(studyId);
    const job = await client.queries.retrieveJob(query, { targetAet: 'HERE', timeoutSeconds: 10 });
    expect(await client.jobs.wait(job, { pollMs: 10 })).toMatchObject({ Type: 'DicomMoveScu' });
    await waitFor(async () => (await client.statistics()).CountInstances === 6);
    await client.queries.delete(query);
    await expect(client.queries.answers(query)).rejects.toMatchObject(missing);
  });

  it('are moved from directly', async () => {
    const { client, study, studyId } = filled;
    await client.studies.delete(studyId);
    const request = {
      Level: 'Study',
      Resources: [{ StudyInstanceUID: study.studyInstanceUid }],
      TargetAet: 'HERE',
    } as const;
    await client.modalities.move('other', request);
    await waitFor(async () => (await client.statistics()).CountInstances === 6);
    await expect(client.modalities.moveJob('other', request)).rejects.toMatchObject({ code: 'unsupported' });
    await expect(client.modalities.getJob('other', request)).rejects.toMatchObject({ code: 'unsupported' });
  });
});

describe('peers', () => {
  it('are listed, set and deleted, without showing a password', async () => {
    const { client } = filled;
    expect((await client.peers.names()).sort()).toEqual(['locked', 'other']);
    const peers = await client.peers.list();
    expect(peers['other']).toMatchObject({ Url: expect.stringContaining(String(other.httpPort)), Username: 'anna' });
    expect(JSON.stringify(peers)).not.toContain('geheim');
    await client.peers.set('brief', { Url: 'http://127.0.0.1:1/' });
    await client.peers.delete('brief');
    await expect(client.peers.delete('brief')).rejects.toMatchObject(missing);
  });

  it('respond, and accept a study immediately or by a job', async () => {
    const { client, studyId } = filled;
    expect(await client.peers.system('other')).toMatchObject({ DicomAet: 'OTHER' });
    await otherClient.studies.delete(studyId);
    expect(await client.peers.store('other', { Resources: [studyId] })).toMatchObject({ FailedInstancesCount: 0 });
    expect((await otherClient.statistics()).CountInstances).toBe(6);
    const job = await client.peers.storeJob('other', { Resources: [studyId] });
    expect(await client.jobs.wait(job, { pollMs: 10 })).toMatchObject({ Type: 'OrthancPeerStore' });
  });

  it('reject other credentials', async () => {
    const { client, studyId } = filled;
    await expect(client.peers.system('locked')).rejects.toMatchObject({ name: 'OrthancError' });
    await expect(client.peers.store('locked', { Resources: [studyId] })).rejects.toMatchObject({
      name: 'OrthancError',
    });
  });
});

describe('jobs', () => {
  it('are paused, resumed and cancelled', async () => {
    await using slow = await startFilledOrthanc({ extraConfig: { ConcurrentJobs: 1 } });
    const { client, studyId } = slow;
    // A peer that accepts connections and never responds blocks the single thread.
    await using silent = await startFaultProxy({ port: other.dicomPort, blackHole: true });
    await client.modalities.set('silent', { AET: 'SILENT', Host: '127.0.0.1', Port: silent.port, Timeout: 30 });
    const blocking = await client.modalities.storeJob('silent', { Resources: [studyId] });
    await waitFor(async () => (await client.jobs.read(blocking)).State === 'Running');
    const waiting = await client.studies.anonymiseJob(studyId);
    expect((await client.jobs.read(waiting)).State).toBe('Pending');
    await client.jobs.pause(waiting);
    expect((await client.jobs.read(waiting)).State).toBe('Paused');
    await client.jobs.resume(waiting);
    expect((await client.jobs.read(waiting)).State).toBe('Pending');
    await client.jobs.cancel(waiting);
    await expect(client.jobs.wait(waiting)).rejects.toMatchObject({ code: 'job-failed' });
    const controller = new AbortController();
    const watched = client.jobs.wait(blocking, { signal: controller.signal, pollMs: 10_000 });
    setTimeout(() => controller.abort(), 20);
    await expect(watched).rejects.toMatchObject({ code: 'cancelled' });
    silent.cut();
    await expect(client.jobs.wait(blocking, { pollMs: 10 })).rejects.toMatchObject({ code: 'job-failed' });
  });

  it('leave their output to be fetched', async () => {
    const { client, server, studyId } = filled;
    const started = await server.send('POST', `/studies/${studyId}/archive`, { Asynchronous: true });
    const { ID: job } = started as { ID: string };
    await client.jobs.wait(job, { pollMs: 10 });
    const zip = await client.jobs.output(job, 'archive');
    expect(present((await collect(zip.body)).subarray(0, 2).toString())).toBe('PK');
    await expect(client.jobs.output(job, 'nothing')).rejects.toMatchObject({ name: 'OrthancError' });
  });
});
