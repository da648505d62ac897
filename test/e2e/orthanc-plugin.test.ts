import { execFile } from 'node:child_process';
import { createServer, type Server, type Socket } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  freePort,
  httpRequest,
  launchBrowser,
  startHttpServer,
  startOrthanc,
  tempFolder,
  waitFor,
  type HttpAnswer,
  type HttpStandIn,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/*
 * The plugin inside a real Orthanc, against a router that lies, hangs or is down; push.test.ts tests it with the real
 * router.
 */

const script = fileURLToPath(new URL('../../orthanc-plugin/dicom_dispatch.py', import.meta.url));
const id = '0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d';

function startWithPlugin(settings: Record<string, unknown>): Promise<OrthancServer> {
  return startOrthanc({ plugins: ['python'], pythonScript: script, extraConfig: { DicomDispatch: settings } });
}

const ask = (orthanc: OrthancServer, method: 'GET' | 'POST', path: string, headers = {}): Promise<HttpAnswer> =>
  httpRequest(`${orthanc.url}${path}`, { method, headers, ...(method === 'POST' && { body: '{}' }) });
const errorOf = ({ body }: HttpAnswer): string => (JSON.parse(body.toString()) as { error: string }).error;

describe('calls to the router', () => {
  let router: HttpStandIn;
  let orthanc: OrthancServer;
  let answer: { status: number; body: string } = { status: 200, body: '{}' };
  beforeAll(async () => {
    router = await startHttpServer((request, response) => {
      if (request.path.endsWith('/stable')) return void response.writeHead(200).end('{}');
      response.writeHead(answer.status, { 'content-type': 'application/json', location: '/elsewhere' });
      response.end(answer.body);
    });
    orthanc = await startWithPlugin({ Url: `${router.url}/`, Source: 'main', Secret: 'between us' });
  });
  afterAll(async () => {
    await orthanc.stop();
    await router.stop();
  });

  it.each([
    [401, 'wrong source or secret'],
    [403, 'not allowed'],
    [404, 'there is no study with this id: läuft'],
    [409, 'no rule sends this study anywhere'],
    [500, 'internal error'],
    [503, 'source main does not answer'],
  ])('pass on %i and the reason', async (status, reason) => {
    answer = { status, body: JSON.stringify({ error: reason }) };
    for (const [method, path] of [
      ['GET', `/dispatch/studies/${id}`],
      ['POST', `/dispatch/studies/${id}/route`],
    ] as const) {
      const given = await ask(orthanc, method, path);
      expect([given.status, errorOf(given), given.headers['content-type']]).toEqual([
        status,
        reason,
        'application/json',
      ]);
    }
    expect(router.requests.at(-1)?.headers['authorization']).toBe('Bearer between us');
    expect(orthanc.output()).not.toContain('Traceback');
  });

  it.each([
    [200, '{"deliveries":[]}', 200],
    [404, '<html>nginx</html>', 404],
    [302, '', 502],
    [204, '', 502],
  ])('pass on what comes from something else as that: %i %s', async (status, body, expected) => {
    answer = { status, body };
    const given = await ask(orthanc, 'GET', `/dispatch/studies/${id}`);
    expect(given.status).toBe(expected);
    if (expected !== 200) expect(errorOf(given)).toContain('check that Url is the address of the router');
    else expect(given.body.toString()).toBe(body);
    // The server that it is redirected to does not receive the secret.
    expect(router.requests.some(({ path }) => path === '/elsewhere')).toBe(false);
  });

  it('are rejected for a page of another site, and with another method', async () => {
    answer = { status: 200, body: '{"deliveries":[]}' };
    const before = router.requests.length;
    const foreign = await ask(orthanc, 'POST', `/dispatch/studies/${id}/route`, { 'sec-fetch-site': 'cross-site' });
    expect(foreign.status).toBe(403);
    expect((await ask(orthanc, 'GET', `/dispatch/studies/${id}/route`)).status).toBe(405);
    expect((await ask(orthanc, 'POST', `/dispatch/studies/${id}`)).status).toBe(405);
    expect(router.requests.length).toBe(before);
  });
});

describe('a router that is not there', () => {
  it('is named with its address, on every page', async () => {
    const port = await freePort();
    await using orthanc = await startWithPlugin({ Url: `http://127.0.0.1:${port}`, Source: 'main', Secret: 'x' });
    const given = await ask(orthanc, 'GET', `/dispatch/studies/${id}`);
    expect(given.status).toBe(503);
    expect(errorOf(given)).toBe(`dicom-dispatch cannot be reached at http://127.0.0.1:${port} (Connection refused)`);

    let study = '';
    for (const { bytes } of makeStudy({ seed: 'buttons', instancesPerSeries: 1 })) {
      ({ ParentStudy: study } = await orthanc.upload(bytes));
    }
    await using browser = await launchBrowser();
    const page = await browser.newPage();
    // Orthanc Explorer.
    await page.goto(`${orthanc.url}/app/explorer.html#study?uuid=${study}`);
    await page.locator('#dispatch-state', { hasText: 'cannot be reached at' }).waitFor();
    await page.locator('#dispatch-route').click();
    await page.locator('#dispatch-said', { hasText: 'Not routed: dicom-dispatch cannot be reached at' }).waitFor();
    // The page that a button of Orthanc Explorer 2 opens.
    await page.goto(`${orthanc.url}/dispatch/studies/${study}/page`);
    await page.locator('#dispatch-said', { hasText: 'cannot be reached at' }).waitFor();
    // Now a router responds.
    await using router = await startHttpServer((request, response) => {
      const state = { routed: true, deliveries: [{ target: '<b>pacs', state: 'delivered', confirmed: 3, total: 3 }] };
      if (request.method === 'POST') response.end(JSON.stringify({ deliveries: [{}, {}] }));
      else response.end(JSON.stringify(state));
    });
    await using other = await startWithPlugin({ Url: router.url, Source: 'main', Secret: 'x' });
    await page.goto(`${other.url}/dispatch/studies/${study}/page`);
    await page.locator('#dispatch-state li', { hasText: '<b>pacs: delivered, 3 of 3 instances' }).waitFor();
    await page.locator('#dispatch-route').click();
    await page.locator('#dispatch-said', { hasText: '2 deliveries are on their way.' }).waitFor();
  });

  it('or hangs holds up nothing of Orthanc', async () => {
    const sockets = new Set<Socket>();
    const port = await freePort();
    const hanging: Server = createServer((socket) => void sockets.add(socket));
    await new Promise<void>((resolve) => void hanging.listen(port, '127.0.0.1', resolve));
    try {
      await using orthanc = await startWithPlugin({ Url: `http://127.0.0.1:${port}`, Source: 'main', Secret: 'x' });
      let waiting = 0;
      const calls = Array.from({ length: 60 }, async () => {
        waiting += 1;
        const given = await ask(orthanc, 'GET', `/dispatch/studies/${id}`);
        waiting -= 1;
        return given;
      });
      await waitFor(() => waiting <= 4, { message: 'all but four to be answered' });
      // Orthanc responds to other requests while four still wait.
      for (let count = 0; count < 20; count += 1) expect((await ask(orthanc, 'GET', '/system')).status).toBe(200);
      expect(waiting).toBe(4);
      const answers = await Promise.all(calls);
      expect(answers.every(({ status }) => status === 503)).toBe(true);
      const reasons = answers.map((one) => errorOf(one));
      expect(reasons.filter((reason) => reason.startsWith('4 calls already wait')).length).toBe(56);
      expect(reasons.filter((reason) => reason.includes('has not answered within 3 seconds')).length).toBe(4);
      // The slots are free again.
      expect(errorOf(await ask(orthanc, 'GET', `/dispatch/studies/${id}`))).toContain('has not answered');
    } finally {
      for (const socket of sockets) socket.destroy();
      hanging.close();
    }
  });
});

describe('settings that cannot be used', () => {
  it('are logged once, and Orthanc runs without pushes; a secret file may come later', async () => {
    const pushed: string[] = [];
    await using router = await startHttpServer((request, response) => {
      // While a study is still being received, its instances and series are reported, too.
      if (request.path.endsWith('/stable')) pushed.push(String(request.headers['authorization']));
      response.end('{}');
    });
    await using folder = await tempFolder('secret');
    const file = join(folder.path, 'push-secret');
    await using orthanc = await startWithPlugin({ Url: router.url, Source: 'main', SecretFile: file });
    const upload = async (seed: string): Promise<void> => {
      for (const { bytes } of makeStudy({ seed, instancesPerSeries: 1 })) await orthanc.upload(bytes);
    };
    const reason = `DicomDispatch.SecretFile ${file} cannot be read (No such file or directory)`;
    const given = await ask(orthanc, 'GET', `/dispatch/studies/${id}`);
    expect([given.status, errorOf(given)]).toEqual([503, reason]);
    await upload('one');
    await upload('two');
    await waitFor(async () => (await orthanc.get('/changes?last')) !== undefined && orthanc.output().includes(reason));
    await waitFor(async () => {
      const { Changes } = (await orthanc.get('/changes')) as { Changes: { ChangeType: string }[] };
      return Changes.filter(({ ChangeType }) => ChangeType === 'StableStudy').length === 2;
    });
    // Orthanc calls the plugin after it has recorded a change.
    await waitFor(() => orthanc.output().includes(`${reason}; studies are not pushed`));
    expect(orthanc.output().split(`${reason}; Orthanc runs`).length).toBe(2);
    expect(orthanc.output().split(`${reason}; studies are not pushed`).length).toBe(2);
    expect(pushed).toEqual([]);
    await writeFile(file, 'came late\n');
    await upload('three');
    await waitFor(() => pushed.length > 0);
    expect(pushed[0]).toBe('Bearer came late');
  });

  it.each([
    [{ Secret: '' }, 'no secret is configured'],
    [{ Secret: 'x', Url: 'router:8083' }, 'it must begin with http:// or https://'],
    [{ Secret: 'x', Url: 'https://127.0.0.1:1', CaFile: '/nowhere.pem' }, 'DicomDispatch.Url or CaFile cannot be used'],
    [{ Secret: 'x\r\nX-Evil: 1' }, 'characters that are not allowed in an HTTP header'],
  ])('say what is wrong: %j', async (settings, reason) => {
    await using orthanc = await startWithPlugin(settings);
    const given = await ask(orthanc, 'GET', `/dispatch/studies/${id}`);
    expect([given.status, errorOf(given)]).toEqual([503, expect.stringContaining(reason)]);
  });
});

/** The module `orthanc` of orthanc-python 5, whose responses take a status and bytes; version 4 also needs a length. */
const version5 = `
import json, runpy, sys, types

class RestOutput:
    def SetHttpHeader(self, name, value):
        pass
    def SendHttpStatus(self, status, body):
        print(json.dumps([status, bytes(body).decode()]))

orthanc = types.ModuleType("orthanc")
orthanc.GetConfiguration = lambda: json.dumps({"DicomDispatch": {"Secret": "x", "Url": sys.argv[2]}})
for name in ("LogError", "LogWarning", "RegisterOnChangeCallback", "RegisterRestCallback"):
    setattr(orthanc, name, lambda *values: None)
sys.modules["orthanc"] = orthanc
plugin = runpy.run_path(sys.argv[1])
plugin["on_state"](RestOutput(), "/", method="GET", groups=["${id}"])
plugin["on_route"](RestOutput(), "/", method="POST", groups=["${id}"], headers={"sec-fetch-site": "cross-site"})
`;

it('answers with the API of orthanc-python 5, too', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const { stdout } = await promisify(execFile)('python3', ['-c', version5, script, url]);
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as [number, string]);
  expect(answers.map(([status, body]) => [status, JSON.parse(body)])).toEqual([
    [503, { error: `dicom-dispatch cannot be reached at ${url} (Connection refused)` }],
    [403, { error: 'the request was sent by a page of another site' }],
  ]);
});

/** Runs the thread that announces arriving instances, with the times of their arrival in s, on a simulated clock. */
const onSimulatedClock = `
import json, queue, runpy, sys, types

orthanc = types.ModuleType("orthanc")
orthanc.GetConfiguration = lambda: json.dumps({"DicomDispatch": {"Secret": "x"}})
for name in ("LogError", "LogWarning", "RegisterOnChangeCallback", "RegisterRestCallback"):
    setattr(orthanc, name, lambda *values: None)
sys.modules["orthanc"] = orthanc
plugin = runpy.run_path(sys.argv[1])["announce_arrivals"]
now = 1000.0
coming = [(1000 + at / 10, ("instances", "i")) for at in json.loads(sys.argv[2])] + [(2000.0, None)]
announced = []

class Arrivals:
    def get(self, timeout=None):
        global now
        at, one = coming[0]
        if timeout is not None and at > now + timeout:
            now += timeout
            raise queue.Empty
        now = max(now, at)
        coming.pop(0)
        return one

def ask(method, path, seconds, content, kept):
    announced.append([round((now - 1000) * 10), len(content["instances"])])
    return 200, b'{"wanted": true}'

values = {"arrivals": Arrivals(), "ask": ask, "time": types.SimpleNamespace(monotonic=lambda: now)}
plugin.__globals__.update(values)
plugin()
print(json.dumps(announced))
`;

it('announces the first instances at once, later ones at growing intervals, 24 of them and the last ones soon', async () => {
  // Times in tenths of a second: about eight instances a second.
  expect(await announcedAt(Array.from({ length: 80 }, (_, index) => 1.3 * index))).toEqual([
    [0, 1],
    [6, 4],
    [18, 9],
    [42, 19],
    [72, 23],
    [102, 23],
    [104, 1],
  ]);
  // Ten a second, a pause, and three more.
  expect(await announcedAt([...Array.from({ length: 80 }, (_, index) => index), 100, 101, 102])).toEqual([
    [0, 1],
    [6, 6],
    [18, 12],
    [42, 24],
    [66, 24],
    [81, 13],
    [100, 1],
    [104, 2],
  ]);
});

/** @returns the time of each announcement and its number of instances */
async function announcedAt(times: readonly number[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)('python3', ['-c', onSimulatedClock, script, JSON.stringify(times)]);
  return JSON.parse(stdout);
}
