import { startHttpServer, startOrthanc, type HttpHandler, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { noResource } from '../../test/filled-orthanc.ts';
import { createOrthancClient, type OrthancClient } from '../index.ts';

const never = Number.POSITIVE_INFINITY;
let server: OrthancServer;
let direct: OrthancClient;
let ids: string[];
let count = 0;

beforeAll(async () => {
  // No study becomes stable in between.
  server = await startOrthanc({ stableAgeSeconds: 3_600 });
  direct = createOrthancClient({ url: server.url });
});
afterAll(async () => {
  await direct.close();
  await server.stop();
});
beforeEach(async () => {
  ids = [];
  for (const series of [1, 2, 3]) ids.push(await upload(`of this test ${(count += 1)}`, series));
});

/** @returns Orthanc's identifier of the study */
async function upload(seed: string, series = 1, instancesPerSeries = 2): Promise<string> {
  let id = '';
  for (const { bytes } of makeStudy({ seed, series, instancesPerSeries, rows: 8, columns: 8 }))
    id = (await direct.uploadInstance(bytes)).ParentStudy ?? '';
  return id;
}

interface Asked {
  readonly Resources: readonly string[];
  readonly Level: string;
}

interface Between extends AsyncDisposable {
  readonly client: OrthancClient;
  readonly asked: Asked[];
}

/**
 * The real server behind a proxy.
 *
 * @param before - called with each `/tools/bulk-content` before it is passed on; may respond in its place
 * @param change - changes a response of it
 */
async function between(
  before: (asked: Asked, response: Parameters<HttpHandler>[1]) => unknown,
  change: (text: string, asked: Asked) => string = (text) => text,
): Promise<Between> {
  const all: Asked[] = [];
  const proxy = await startHttpServer(async (request, response) => {
    const isPost = request.method === 'POST';
    const asked = isPost ? (JSON.parse(request.body.toString()) as Asked) : undefined;
    if (asked) {
      all.push(asked);
      await before(asked, response);
      if (response.writableEnded) return;
    }
    const answer = await fetch(`${server.url}${request.path}?${request.query}`, {
      method: request.method,
      ...(isPost && { body: new Uint8Array(request.body) }),
    });
    const text = await answer.text();
    response.writeHead(answer.status).end(asked ? change(text, asked) : text);
  });
  const client = createOrthancClient({ url: proxy.url });
  return {
    client,
    asked: all,
    async [Symbol.asyncDispose]() {
      await client.close();
      await proxy.stop();
    },
  };
}

async function idsRead(client: OrthancClient, wanted: readonly string[] = ids): Promise<string[]> {
  return (await client.studyContents(wanted, never)).map(({ study }) => study.id);
}

it('several studies are read as each of them alone, in three requests', async () => {
  await using proxy = await between(() => {});
  const contents = await proxy.client.studyContents(ids, never);
  expect(contents.map(({ study }) => study.id)).toEqual(ids);
  for (const { study, instances } of contents) {
    expect(study).toEqual(await direct.studyTags(study.id));
    expect(instances).toEqual(await direct.studyInstances(study.id));
  }
  expect(proxy.asked.map(({ Level: level }) => level).sort()).toEqual(['Instance', 'Series', 'Study']);
});

it('a study listed twice is read once, and none makes no request', async () => {
  await using proxy = await between(() => {});
  expect(await idsRead(proxy.client, [ids[0]!, ids[0]!])).toEqual([ids[0]]);
  expect(await idsRead(proxy.client, [])).toEqual([]);
  expect(proxy.asked).toHaveLength(3);
});

describe('of studies that are read together, left out is', () => {
  it('a study that does not exist', async () => {
    expect(await idsRead(direct, [noResource, ...ids])).toEqual(ids);
    await direct.studies.delete(ids[1]!);
    expect(await idsRead(direct)).toEqual([ids[0], ids[2]]);
  });

  it('a study that is deleted before its instances are read', async () => {
    await using proxy = await between(async ({ Level: level }) => {
      if (level === 'Instance') await direct.studies.delete(ids[1]!);
    });
    expect(await idsRead(proxy.client)).toEqual([ids[0], ids[2]]);
  });

  it('every study of a request that Orthanc rejects because one of them does not exist', async () => {
    const message = { HttpError: 'Not Found', HttpStatus: 404, Message: 'Unknown resource', OrthancStatus: 17 };
    const missing = JSON.stringify({ ...message, OrthancError: 'Unknown resource' });
    for (const rejected of ['Study', 'Series', 'Instance']) {
      await using proxy = await between(({ Level: level }, response) => {
        if (level === rejected) response.writeHead(404).end(missing);
      });
      expect(await idsRead(proxy.client)).toEqual([]);
    }
  });

  it('a study that receives an instance in between', async () => {
    const seed = `grows ${count}`;
    const growing = await upload(seed, 1, 2);
    await using proxy = await between(async ({ Level: level }) => {
      if (level === 'Instance') await upload(seed, 1, 3);
    });
    expect(await idsRead(proxy.client, [growing, ...ids])).toEqual(ids);
    expect(await idsRead(direct, [growing, ...ids])).toEqual([growing, ...ids]);
  });

  it('a study that loses an instance in between', async () => {
    const [lost] = await direct.studyInstances(ids[1]!);
    await using proxy = await between(async ({ Level: level }) => {
      if (level === 'Instance') await direct.instances.delete(lost!.id);
    });
    expect(await idsRead(proxy.client)).toEqual([ids[0], ids[2]]);
  });

  it('every study of a request during which one of them receives a series', async () => {
    const seed = `grows by a series ${count}`;
    const growing = await upload(seed, 1);
    await using proxy = await between(async ({ Level: level }) => {
      if (level === 'Instance') await upload(seed, 2);
    });
    expect(await idsRead(proxy.client, [growing, ...ids])).toEqual([]);
  });

  it('a study of which a response contains less, more, or the same twice', async () => {
    const lies: [string, (list: { ID: string }[]) => unknown[]][] = [
      ['Study', (list) => list.filter(({ ID }) => ID !== ids[1])],
      ['Study', (list) => list.map((one) => (one.ID === ids[1] ? { ...one, Series: [noResource] } : one))],
      ['Series', (list) => list.filter((one) => !('ParentStudy' in one) || one.ParentStudy !== ids[1])],
      ['Series', (list) => [...list, ...list.filter((one) => 'ParentStudy' in one && one.ParentStudy === ids[1])]],
    ];
    for (const [level, lie] of lies) {
      await using proxy = await between(
        () => {},
        (text, asked) => (asked.Level === level ? JSON.stringify(lie(JSON.parse(text) as { ID: string }[])) : text),
      );
      expect(await idsRead(proxy.client), level).toEqual([ids[0], ids[2]]);
    }
    const own = new Set((await direct.studyInstances(ids[1]!)).map(({ id }) => id));
    const twice = (list: { ID: string }[]) => [...list, ...list.filter(({ ID }) => own.has(ID))];
    const less = (list: { ID: string }[]) => list.filter(({ ID }) => ID !== [...own][0]);
    for (const lie of [twice, less]) {
      await using proxy = await between(
        () => {},
        (text, { Level: level }) =>
          level === 'Instance' ? JSON.stringify(lie(JSON.parse(text) as { ID: string }[])) : text,
      );
      expect(await idsRead(proxy.client)).toEqual([ids[0], ids[2]]);
    }
  });

  it('a study of another one when a cache has mixed the responses up', async () => {
    const other = await upload(`other ${count}`);
    await using proxy = await between(
      () => {},
      (text, { Level: level }) => (level === 'Study' ? text.replaceAll(ids[1]!, other) : text),
    );
    expect(await idsRead(proxy.client)).toEqual([ids[0], ids[2]]);
  });

  it('a study with an instance without SOP class or transfer syntax: its file has them', async () => {
    const [first] = await direct.studyInstances(ids[1]!);
    for (const name of ['SopClassUid', 'TransferSyntax']) {
      await using proxy = await between(
        () => {},
        (text, { Level: level }) =>
          level !== 'Instance'
            ? text
            : JSON.stringify(
                (JSON.parse(text) as { ID: string; Metadata: object }[]).map((one) =>
                  one.ID === first!.id ? { ...one, Metadata: { ...one.Metadata, [name]: undefined } } : one,
                ),
              ),
      );
      expect(await idsRead(proxy.client)).toEqual([ids[0], ids[2]]);
    }
  });

  it('a study whose instances would be requested too late', async () => {
    expect(await direct.studyContents(ids, performance.now() - 1)).toEqual([]);
  });

  it('every study of a version without /tools/bulk-content, without a request', async () => {
    await using old = await startHttpServer((_, response) => {
      response.end('{"Version":"1.9.3","ApiVersion":12}');
    });
    await using client = createOrthancClient({ url: old.url });
    expect(await client.studyContents(ids, never)).toEqual([]);
    expect(old.requests.map(({ path }) => path)).toEqual(['/system']);
  });
});

/** An Orthanc with studies of these numbers of instances, in one series each. */
async function sized(
  sizes: readonly number[],
): Promise<{ proxy: Awaited<ReturnType<typeof startHttpServer>>; studies: string[]; asked: Asked[] }> {
  const idOf = (kind: string, number: number) =>
    `${kind}${String(number).padStart(7, '0')}-00000000-00000000-00000000-00000000`;
  const studies = sizes.map((_, at) => idOf('a', at));
  const membersOf = (at: number) => Array.from({ length: sizes[at] ?? 0 }, (_, n) => idOf('c', at * 10_000 + n));
  const asked: Asked[] = [];
  const proxy = await startHttpServer((request, response) => {
    if (request.path === '/system') return void response.end('{"Version":"1.12.7","ApiVersion":28}');
    const body = JSON.parse(request.body.toString()) as Asked;
    asked.push(body);
    const all = body.Resources.map((id) => studies.indexOf(id));
    const lists: Record<string, () => unknown[]> = {
      Study: () =>
        all.map((at) => ({
          ID: studies[at],
          Type: 'Study',
          ParentPatient: 'p',
          MainDicomTags: {},
          Series: [idOf('b', at)],
        })),
      Series: () =>
        all.map((at) => ({
          ID: idOf('b', at),
          Type: 'Series',
          ParentStudy: studies[at],
          MainDicomTags: {},
          Instances: membersOf(at),
        })),
      Instance: () =>
        all.flatMap((at) =>
          membersOf(at).map((id) => ({
            ID: id,
            Type: 'Instance',
            FileSize: 1,
            ParentSeries: idOf('b', at),
            MainDicomTags: { SOPInstanceUID: '1.2' },
            Metadata: { SopClassUid: '1.2.840', TransferSyntax: '1.2.840.10008.1.2.1' },
          })),
        ),
    };
    response.end(JSON.stringify(lists[body.Level]?.()));
  });
  return { proxy, studies, asked };
}

describe('the size of the requests', () => {
  it('is bounded: at most 1,000 instances each, 2,000 in all, and 32 studies', async () => {
    const { proxy, studies, asked } = await sized([600, 500, 1_001, 400, 600, ...Array<number>(40).fill(1)]);
    await using _ = proxy;
    await using client = createOrthancClient({ url: proxy.url });
    const read = new Set((await client.studyContents(studies, never)).map(({ study }) => study.id));
    const isRead = studies.map((id) => read.has(id));
    expect(isRead.slice(0, 6)).toEqual([true, true, false, true, false, true]);
    expect(isRead.lastIndexOf(true)).toBe(31);
    const lists = asked.filter(({ Level: level }) => level === 'Instance').map(({ Resources: some }) => some.length);
    expect(lists).toEqual([1, 29]);
  });

  it('leaves studies out whose list is longer than 4 MiB', async () => {
    const { proxy, studies, asked } = await sized([90_000, 1]);
    await using _ = proxy;
    await using client = createOrthancClient({ url: proxy.url });
    expect(await client.studyContents(studies, never)).toEqual([]);
    expect(asked.some(({ Level: level }) => level === 'Instance')).toBe(false);
  });
});

it('a failure of the server, or a proxy that rejects the request, is reported', async () => {
  for (const status of [400, 403, 404, 405, 413, 500]) {
    await using proxy = await between((_, response) => response.writeHead(status).end('not allowed'));
    await expect(proxy.client.studyContents(ids, never)).rejects.toMatchObject({ status });
  }
});
