import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { leasePort, makeCertificates } from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';
import { connect } from '../association/connect.ts';
import { connectGroup } from '../association/connect-group.ts';
import { probeTls } from '../association/probe-tls.ts';
import type { DimseError } from '../errors/dimse-error.ts';
import { listen, openPair } from '../testing/open-pair.ts';
import { AE_TITLES, CT_CONTEXT, opaqueFile } from '../testing/part10-fixture.ts';
import { createServer } from './create-server.ts';

const BASE = { host: '127.0.0.1', ...AE_TITLES, presentationContexts: [CT_CONTEXT] };

describe('a server', () => {
  it('listens on the given port, and refuses one that is in use', async () => {
    const lease = await leasePort();
    const { port } = lease;
    const server = createServer({ presentationContexts: [CT_CONTEXT] });
    await server.listen({ port, host: '127.0.0.1' });
    expect(server.address).toMatchObject({ port, address: '127.0.0.1' });
    const other = createServer({ presentationContexts: [] });
    expect(other.address).toBeUndefined();
    await expect(other.listen({ port, host: '127.0.0.1' })).rejects.toMatchObject({
      code: 'connect-failed',
      message: `cannot listen on 127.0.0.1:${port}`,
      cause: { code: 'EADDRINUSE' },
    });
    await server.close();
    // Its port is free again.
    await other.listen({ port, host: '127.0.0.1' });
    await other[Symbol.asyncDispose]();
    lease.release();
  });

  it('accepts another association when one has ended', async () => {
    await using pair = await openPair({ maxAssociations: 1 });
    const { server } = pair;
    expect(server.associationCount).toBe(1);
    await pair.association.release();
    const port = server.address?.port ?? 0;
    const next = await connect({ ...BASE, port });
    expect(server.associationCount).toBe(1);
    await next.release();
  });

  it('waits at its end for open associations, and aborts those that are left', async () => {
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    const handlers = {
      async store() {
        entered.resolve();
        await leave.promise;
        return 0;
      },
    };
    await using busy = await openPair({ handlers });
    const stored = busy.association.store([opaqueFile(100).file]);
    await entered.promise;
    const port = busy.server.address?.port ?? 0;
    const closed = busy.server.close({ graceMs: 600_000 });
    await expect(connect({ ...BASE, port })).rejects.toMatchObject({
      code: 'connect-refused',
    });
    leave.resolve();
    expect(await stored).toMatchObject({ status: 0 });
    await busy.association.release();
    await closed;
    expect(await busy.association.ended).toBeUndefined();

    await using idle = await openPair();
    await idle.server.close({ graceMs: 1 });
    expect(await idle.association.ended).toMatchObject({ code: 'aborted' });
    await using open = await openPair();
    await open.server.close();
    expect(await open.association.ended).toMatchObject({ code: 'aborted' });
  });

  it('rejects an association temporarily if `authorize` throws, and reports the error', async () => {
    const errors: unknown[] = [];
    const cause = new Error('no directory');
    const { server, port } = await listen({
      authorize() {
        throw cause;
      },
      handlers: { onHandlerError: (error) => void errors.push(error) },
    });
    await expect(connect({ ...BASE, port })).rejects.toMatchObject({
      code: 'association-rejected',
      rejection: { result: 'transient', reason: 'temporary-congestion' },
    });
    expect(errors).toEqual([cause]);
    await server.close();
  });

  it('gives no reason for a rejection without one', async () => {
    const { server, port } = await listen({ authorize: () => Promise.resolve({ accept: false }) });
    await expect(connect({ ...BASE, port })).rejects.toMatchObject({
      rejection: { result: 'permanent', reason: 'no-reason-given' },
    });
    await server.close();
  });

  it('refuses unusable TLS options when it is created', () => {
    const create = (tls: object) => () =>
      createServer({ presentationContexts: [], tls: { cert: 'x', key: 'x', ...tls } });
    expect(create({})).toThrow(expect.objectContaining({ code: 'tls-material' }));
    const pem = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n';
    expect(create({ cert: pem, key: pem })).toThrow(expect.objectContaining({ code: 'tls-material' }));
    expect(create({ cert: pem, key: pem, profile: 'none' })).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });

  it('with TLS reports a client that uses none, and serves the next one', async () => {
    const { ca, server: identity } = await makeCertificates();
    const failed = Promise.withResolvers<DimseError>();
    const { server, port } = await listen({
      tls: { cert: identity.cert, key: identity.key },
      onConnectionError: failed.resolve,
    });
    const plain = connectTcp(port, '127.0.0.1');
    await once(plain, 'connect');
    plain.on('error', () => {});
    plain.end('GET / HTTP/1.1\r\n\r\n');
    expect((await failed.promise).code).toMatch(/^tls-/);
    plain.destroy();
    const tls = { ca: ca.cert };
    const facts = await probeTls({ host: 'localhost', port, tls });
    expect(facts).toMatchObject({ protocol: 'TLSv1.3', isTrusted: true });
    expect(facts.cipher).toMatch(/^TLS_/);
    expect(Date.parse(facts.validTo ?? '')).toBeGreaterThan(Date.now());
    expect(await probeTls({ host: 'localhost', port, tls: { rejectUnauthorized: false } })).toMatchObject({
      isTrusted: false,
    });
    await expect(probeTls({ host: 'localhost', port, tls: undefined })).rejects.toMatchObject({
      code: 'tls-untrusted',
    });
    const association = await connect({ ...BASE, host: 'localhost', port, tls });
    await association.release();
    await server.close();
  });
});

describe('a group of associations', () => {
  it('aborts all of them, and opens no other', async () => {
    const { server, port } = await listen({ handlers: { store: () => 0 } });
    const group = connectGroup({ ...BASE, port });
    expect(await group.store([opaqueFile(100).file])).toMatchObject({ status: 0 });
    const [association] = group.associations;
    group.abort();
    expect(await association?.ended).toMatchObject({ code: 'association-ended' });
    await expect(group.store([opaqueFile(100).file])).rejects.toMatchObject({
      code: 'association-ended',
      message: 'the group of associations has been released',
    });
    expect(group.associations).toEqual([]);
    await server.close();
  });

  it('opens an association after an attempt has failed', async () => {
    let isOpen = false;
    const { server, port } = await listen({
      authorize: () => ({ accept: isOpen }),
      handlers: { store: () => 0 },
    });
    await using group = connectGroup({ ...BASE, port });
    await expect(group.store([opaqueFile(100).file])).rejects.toMatchObject({ code: 'association-rejected' });
    isOpen = true;
    expect(await group.store([opaqueFile(100).file])).toMatchObject({ status: 0 });
    await group.release();
    await server.close();
  });
});
