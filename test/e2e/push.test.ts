import { fileURLToPath } from 'node:url';
import {
  freePort,
  httpRequest,
  makeCertificates,
  startOrthanc,
  startRedis,
  waitFor,
  type HttpAnswer,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startDispatch } from './support/start-dispatch.ts';

const script = fileURLToPath(new URL('../../orthanc-plugin/dicom_dispatch.py', import.meta.url));

it('the plugin pushes stable studies, shows their state, and routes them again', async () => {
  const pushPort = await freePort();
  const certificates = await makeCertificates();
  await using redis = await startRedis();
  await using orthanc = await startOrthanc({
    plugins: ['python'],
    pythonScript: script,
    extraConfig: {
      DicomDispatch: {
        Url: `https://127.0.0.1:${pushPort}`,
        Source: 'main',
        Secret: 'between us',
        CaFile: certificates.ca.certFile,
      },
    },
  });
  await using scp = await startFaultScp();
  await using dispatch = await startDispatch({
    env: { PUSH_SECRET: 'between us' },
    config: {
      // The feed is polled so rarely that only a push can have brought the study here.
      sources: { main: { url: orthanc.url, pollInterval: '1h', pushSecret: '${PUSH_SECRET}' } },
      targets: { pacs: pacsTarget(scp) },
      rules: [{ name: 'all', targets: ['pacs'] }],
      redis: { url: redis.url },
      push: {
        listen: `127.0.0.1:${pushPort}`,
        tls: { cert: certificates.server.certFile, key: certificates.server.keyFile },
      },
    },
  });
  const study = [...makeStudy({ seed: 'pushed', instancesPerSeries: 4 })];
  let id = '';
  for (const { bytes } of study) ({ ParentStudy: id } = await orthanc.upload(bytes));
  await waitFor(() => scp.stores.length === 4, {
    message: () => `${dispatch.output()}\n${orthanc.output()}`,
  });
  const state = await waitFor(
    async () => {
      const answer = (await orthanc.get(`/dispatch/studies/${id}`)) as {
        deliveries: { target: string; state: string; confirmed: number }[];
      };
      return answer.deliveries[0]?.state === 'delivered' ? answer : undefined;
    },
    { message: () => dispatch.output() },
  );
  expect(state.deliveries).toMatchObject([{ target: 'pacs', state: 'delivered', confirmed: 4 }]);
  const routed = (await orthanc.send('POST', `/dispatch/studies/${id}/route`, {})) as { deliveries: unknown[] };
  expect(routed.deliveries.length).toBe(1);
  await waitFor(
    async () =>
      ((await orthanc.get(`/dispatch/studies/${id}`)) as { deliveries: { state: string }[] }).deliveries.filter(
        ({ state }) => state === 'delivered',
      ).length === 2,
    { message: () => dispatch.output() },
  );
  // All of it is confirmed: routing it again sends nothing.
  expect(scp.stores.length).toBe(4);
  const explorer = await httpRequest(`${orthanc.url}/app/plugins/explorer.js`).catch(() => undefined);
  expect(
    (explorer?.body.toString() ?? '') || (await httpRequest(`${orthanc.url}/plugins/explorer.js`)).body.toString(),
  ).toContain('dispatch-route');

  const push = (path: string, secret: string): Promise<HttpAnswer> =>
    httpRequest(`https://127.0.0.1:${pushPort}/sources/${path}/stable`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: '{}',
      ca: certificates.ca.cert,
    });
  for (const source of ['main', '__proto__', 'constructor', 'none']) {
    expect((await push(`${source}/studies/${id}`, 'guess')).status).toBe(401);
  }
  expect((await push('main/studies/..%2f..%2fsystem', 'between us')).status).toBe(400);

  // Wrong guesses of the secret do not fill the log.
  const lines = (): number => dispatch.output().split('a push with a wrong secret').length - 1;
  const before = lines();
  for (let count = 0; count < 20; count += 1)
    expect((await push(`main/studies/${id}`, `guess ${count}`)).status).toBe(401);
  expect(lines() - before).toBeLessThanOrEqual(1);

  // Unencrypted requests get no response.
  await expect(httpRequest(`http://127.0.0.1:${pushPort}/sources/main/studies/${id}`)).rejects.toThrow();
});
