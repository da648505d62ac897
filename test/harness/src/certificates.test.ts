import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { makeCertificates } from './certificates.ts';
import { httpRequest } from './http-request.ts';
import { startHttpServer } from './http-server.ts';
import { startOrthanc } from './orthanc.ts';
import { startStorescp } from './storescp.ts';

const run = promisify(execFile);

test('a client trusts the server, and none of the others', async () => {
  const { ca, server, expiredServer, wrongHostServer, otherServer } = await makeCertificates();
  const ask = async (identity: typeof server): Promise<string> => {
    await using secure = await startHttpServer((_, response) => response.end('trusted') as unknown as void, {
      tls: identity,
    });
    const answer = await httpRequest(secure.url, { ca: ca.cert });
    return answer.body.toString();
  };
  expect(await ask(server)).toBe('trusted');
  await expect(ask(expiredServer)).rejects.toMatchObject({ code: 'CERT_HAS_EXPIRED' });
  await expect(ask(wrongHostServer)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  await expect(ask(otherServer)).rejects.toThrow(/unable to (verify|get)/);
});

test('a server asks for the certificate of the client', async () => {
  const { ca, server, client, expiredClient } = await makeCertificates();
  await using secure = await startHttpServer((request, response) => void response.end(request.clientName), {
    tls: { ...server, ca: ca.cert, requestClientCertificate: 'required' },
  });
  const answer = await httpRequest(secure.url, { ca: ca.cert, cert: client.cert, key: client.key });
  expect(answer.body.toString()).toBe('client');
  const expired = { ca: ca.cert, cert: expiredClient.cert, key: expiredClient.key };
  await expect(httpRequest(secure.url, expired)).rejects.toThrow();
});

test('DICOM TLS: storescp and Orthanc take the client that their authority signed', async () => {
  const { ca, server, client, otherClient } = await makeCertificates();
  await using scp = await startStorescp({ tls: { ...server, ca: ca.cert } });
  await using orthanc = await startOrthanc({ tls: { ...server, ca: ca.cert }, dicomTls: { ...server, ca: ca.cert } });
  const echo = (port: number, identity: typeof client): Promise<unknown> =>
    run('echoscu', ['+tls', identity.keyFile, identity.certFile, '+cf', ca.certFile, '127.0.0.1', String(port)]);
  for (const port of [scp.port, orthanc.dicomPort]) {
    await echo(port, client);
    await expect(echo(port, otherClient)).rejects.toThrow();
  }
  expect(await orthanc.get('/system')).toMatchObject({ DicomAet: 'ORTHANC' });
});
