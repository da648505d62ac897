import { startHttpServer } from '@dicom-dispatch/harness';
import type { HttpHandler, HttpStandIn } from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';

import { collect, noJob, noResource, present, startFilledOrthanc } from '../test/filled-orthanc.ts';
import { createOrthancClient } from './index.ts';
import type { OrthancClient } from './index.ts';

/*
 * Only Orthanc 1.10.1 can be run here. For older servers a proxy rejects the routes that they lack;
 * newer ones are simulated by a server that checks the requests, with responses according to Orthanc's documentation.
 */

const newest = {
  Version: '1.12.10',
  ApiVersion: 29,
  HasLabels: true,
  CheckRevisions: false,
  Capabilities: { HasExtendedChanges: true, HasExtendedFind: true },
};

interface Conversation extends AsyncDisposable {
  client: OrthancClient;
  /** Requests after the first `/system`: method, path, query, body. */
  asked(): [string, string, string, unknown][];
}

async function talkTo(system: object, answer: HttpHandler): Promise<Conversation> {
  const server: HttpStandIn = await startHttpServer((request, response) => {
    if (request.path === '/system') response.end(JSON.stringify(system));
    else return answer(request, response);
  });
  const client = createOrthancClient({ url: server.url });
  return {
    client,
    asked: () =>
      server.requests
        .filter((request) => request.path !== '/system')
        .map(({ method, path, query, body }) => {
          const text = body.toString();
          return [method, path, query.toString(), text.startsWith('{') ? JSON.parse(text) : text];
        }),
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.stop();
    },
  };
}

const study = { ID: 's', Type: 'Study', ParentPatient: 'p', MainDicomTags: {}, Series: [], Labels: ['x'] };

describe('an older server, without /tools/bulk-content and /attachments/info', () => {
  it('lists instances and attachments all the same', async () => {
    await using filled = await startFilledOrthanc();
    const { client: direct, server, studyId, instanceIds } = filled;
    for (const version of [
      // Known by its version, and detected by the rejection of a proxy that only allows GET.
      { Version: '1.9.3', ApiVersion: 12 },
      { Version: '1.9.4', ApiVersion: 13 },
    ]) {
      await using old = await talkTo(version, async (request, response) => {
        if (request.method !== 'GET' || request.path.endsWith('/info')) {
          response.writeHead(405).end();
          return;
        }
        const answer = await fetch(`${server.url}${request.path}?${request.query}`);
        response.writeHead(answer.status, { etag: answer.headers.get('etag') ?? 'none' });
        response.end(Buffer.from(await answer.arrayBuffer()));
      });
      expect(await old.client.studyInstances(studyId)).toEqual(await direct.studyInstances(studyId));
      await expect(old.client.studyInstances(noResource)).rejects.toMatchObject({ code: 'not-found' });
      const whole = (await direct.studyInstances(studyId)).map((one) => ({ ...one, studyId }));
      const series = [...new Set(whole.map(({ seriesId }) => seriesId))];
      // A deleted one makes the newest server reject the complete list.
      for (const client of [old.client, direct]) {
        expect(await client.arrivedInstances('series', [noResource, ...series], new Map())).toEqual(whole);
        expect(await client.arrivedInstances('instances', [noResource, ...instanceIds.values()], new Map())).toEqual(
          whole,
        );
      }
      const id = present([...filled.instanceIds.values()][0]);
      expect(await old.client.instances.attachmentInfo(id, 'dicom')).toEqual(
        await direct.instances.attachmentInfo(id, 'dicom'),
      );
    }
  });

  it('without metadata of an instance is asked for its header', async () => {
    await using filled = await startFilledOrthanc();
    const { client: direct, server, studyId } = filled;
    await using old = await talkTo(await direct.system(), async (request, response) => {
      const answer = await fetch(`${server.url}${request.path}?${request.query}`, {
        method: request.method,
        ...(request.method === 'POST' ? { body: new Uint8Array(request.body) } : {}),
      });
      const text = await answer.text();
      response.end(text.replaceAll('"SopClassUid"', '"Was"').replaceAll('"TransferSyntax"', '"WasToo"'));
    });
    expect(await old.client.studyInstances(studyId)).toEqual(await direct.studyInstances(studyId));
    expect(old.asked().filter(([, path]) => path.endsWith('/header')).length).toBe(6);
  });
});

describe('a newer server', () => {
  it('filters changes itself', async () => {
    const page = { Changes: [], Done: true, Last: 7 };
    await using newer = await talkTo(newest, (_, response) => void response.end(JSON.stringify(page)));
    expect(await newer.client.changes({ since: 7, limit: 3, type: 'StableStudy' })).toEqual(page);
    expect(newer.asked()).toEqual([['GET', '/changes', 'since=7&limit=3&type=StableStudy', '']]);
  });

  it('does not filter changes if its database cannot', async () => {
    const system = { ...newest, Capabilities: { HasExtendedChanges: false } };
    const page = { Changes: [{ Seq: 1, ChangeType: 'NewStudy', ResourceType: 'Study', ID: 's', Date: 'd' }] };
    const answer = JSON.stringify({ ...page, Done: false, Last: 1 });
    await using newer = await talkTo(system, (_, response) => void response.end(answer));
    expect(await newer.client.changes({ type: 'StableStudy' })).toEqual({ Changes: [], Done: false, Last: 1 });
    expect(newer.asked()).toEqual([['GET', '/changes', 'since=0&limit=100', '']]);
  });

  it('adds computed tags, by the name of its time', async () => {
    for (const [ApiVersion, name] of [
      [17, 'requestedTags'],
      [24, 'requested-tags'],
    ] as const) {
      const answer = { ...study, ID: noResource, RequestedTags: { ModalitiesInStudy: 'CT' } };
      const system = { ...newest, ApiVersion };
      await using newer = await talkTo(system, (_, response) => void response.end(JSON.stringify(answer)));
      const read = await newer.client.studies.read(noResource, { requestedTags: ['ModalitiesInStudy', 'StudyDate'] });
      expect(read.RequestedTags).toEqual({ ModalitiesInStudy: 'CT' });
      expect(newer.asked()).toEqual([['GET', `/studies/${noResource}`, `${name}=ModalitiesInStudy%3BStudyDate`, '']]);
    }
  });

  it('has labels', async () => {
    await using newer = await talkTo(newest, (_, response) => void response.end('["x"]'));
    expect(await newer.client.studies.labels(noResource)).toEqual(['x']);
    await newer.client.studies.addLabel(noResource, 'x y');
    await newer.client.studies.removeLabel(noResource, 'x y');
    expect(newer.asked()).toEqual([
      ['GET', `/studies/${noResource}/labels`, '', ''],
      ['PUT', `/studies/${noResource}/labels/x%20y`, '', ''],
      ['DELETE', `/studies/${noResource}/labels/x%20y`, '', ''],
    ]);
  });

  it('finds by labels, order and parent', async () => {
    await using newer = await talkTo(newest, (_, response) => void response.end(JSON.stringify([study])));
    const orderBy = [{ Type: 'DicomTag', Key: 'StudyDate', Direction: 'DESC' }] as const;
    const found = await newer.client.find({
      level: 'studies',
      query: { StudyDate: '2024-' },
      labels: ['x'],
      labelsConstraint: 'Any',
      requestedTags: ['ModalitiesInStudy'],
      orderBy,
      parentStudy: 'p',
      since: 0,
      limit: 10,
    });
    expect(found).toMatchObject([{ ID: 's', Labels: ['x'] }]);
    expect(newer.asked()[0]?.[3]).toEqual({
      Level: 'Study',
      Query: { StudyDate: '2024-' },
      Expand: true,
      CaseSensitive: false,
      Since: 0,
      Limit: 10,
      Labels: ['x'],
      LabelsConstraint: 'Any',
      RequestedTags: ['ModalitiesInStudy'],
      OrderBy: orderBy,
      ParentStudy: 'p',
    });
  });

  it('counts what matches', async () => {
    await using newer = await talkTo(newest, (_, response) => void response.end('{"Count":12}'));
    expect(await newer.client.count({ level: 'series', query: { Modality: 'CT' }, labels: ['x'] })).toBe(12);
    expect(newer.asked()).toEqual([
      [
        'POST',
        '/tools/count-resources',
        '',
        {
          Level: 'Series',
          Query: { Modality: 'CT' },
          CaseSensitive: false,
          Labels: ['x'],
          LabelsConstraint: 'All',
        },
      ],
    ]);
  });

  it('transcodes files, forgets jobs, and moves by jobs', async () => {
    await using newer = await talkTo(newest, (_, response) => void response.end('{"ID":"job"}'));
    const { client } = newer;
    await collect((await client.instanceFile(noResource, { transcode: '1.2' })).body);
    await collect((await client.instances.transcode(noResource, '1.2')).body);
    await client.jobs.delete(noJob);
    const request = { Level: 'Study', Resources: [{ StudyInstanceUID: '1.2' }] } as const;
    expect(await client.modalities.moveJob('pacs', request)).toBe('job');
    expect(await client.modalities.getJob('pacs', request)).toBe('job');
    expect(newer.asked()).toEqual([
      ['GET', `/instances/${noResource}/file`, 'transcode=1.2', ''],
      ['GET', `/instances/${noResource}/file`, 'transcode=1.2', ''],
      ['DELETE', `/jobs/${noJob}`, '', ''],
      ['POST', '/modalities/pacs/move', '', { ...request, Asynchronous: true }],
      ['POST', '/modalities/pacs/get', '', { ...request, Asynchronous: true }],
    ]);
  });

  it('is queried once for its features, and again by system()', async () => {
    let asked = 0;
    await using server = await startHttpServer((_, response) => {
      asked += 1;
      response.end(JSON.stringify({ ...newest, HasLabels: asked > 1 }));
    });
    await using client = createOrthancClient({ url: server.url });
    expect((await client.features()).labels).toBe(false);
    expect((await client.features()).labels).toBe(false);
    await client.system();
    expect((await client.features()).labels).toBe(true);
    expect(asked).toBe(2);
  });
});
