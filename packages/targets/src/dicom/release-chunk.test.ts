import { createHash } from 'node:crypto';
import { DispatchError, type ManifestInstance } from '@dicom-dispatch/core';
import { hashDataset, makeCertificates } from '@dicom-dispatch/harness';
import { createServer, type ServerOptions } from 'dicom-dimse';
import { describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { fixtureStudy, type FixtureStudy } from '../contract-suite/index.ts';
import type { InstanceBytes } from '@dicom-dispatch/target-kit';
import { dicomHandler, dicomTlsHandler } from './handler.ts';
import { dicomTarget, dicomTlsTarget, type DicomTarget } from './schema.ts';

/** Memory that is reused immediately: a chunk that is released too early arrives damaged. */
class PoisonedPool {
  readonly #lent = new Set<Uint8Array>();
  released = 0;
  strangers = 0;

  open(study: FixtureStudy, { sopInstanceUid }: ManifestInstance): InstanceBytes {
    const found = study.instances.find(({ manifest }) => manifest.sopInstanceUid === sopInstanceUid);
    if (!found) throw new DispatchError('source-instance-gone', 'the source does not have this instance');
    return {
      sizeBytes: found.manifest.sizeBytes,
      body: this.#lend(found.read()),
      releaseChunk: (chunk) => {
        if (!this.#lent.delete(chunk)) this.strangers += 1;
        chunk.fill(0xff);
        this.released += 1;
      },
    };
  }

  async *#lend(bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const one of bytes) {
      const chunk = Buffer.from(one);
      this.#lent.add(chunk);
      yield chunk;
    }
  }
}

type Answer = (count: number) => number | 'abort' | Promise<number>;

/** A receiver that hashes the received data. */
async function receiver(answer: Answer = () => 0, options: Partial<ServerOptions> = {}) {
  const hashes = new Map<string, string>();
  let count = 0;
  const server = createServer({
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
    handlers: {
      async store({ sopInstanceUid, dataSet, association }) {
        count += 1;
        const given = answer(count);
        const hash = createHash('sha256');
        for await (const chunk of dataSet) {
          if (given === 'abort') {
            association.abort();
            return 0;
          }
          hash.update(chunk);
        }
        const status = given === 'abort' ? 0x0110 : await given;
        if (status === 0) hashes.set(sopInstanceUid, hash.digest('hex'));
        return status;
      },
    },
    ...options,
  });
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  return { hashes, port, [Symbol.asyncDispose]: () => server.close() };
}

/** Hashes of the data sets of a study, by SOP Instance UID. */
async function expected(study: FixtureStudy): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (const { manifest, read } of study.instances) {
    hashes.set(manifest.sopInstanceUid, hashDataset(Buffer.concat(await Array.fromAsync(read()))));
  }
  return hashes;
}

const plain = (port: number, more: object = {}): DicomTarget =>
  dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port, calledAeTitle: 'RECEIVER', ...more });

describe('chunks that are released and reused immediately', () => {
  const shapes = [
    ['in pieces of 16 kB', { chunkBytes: 16_384 }],
    ['cut in the file meta', { chunkBytes: 200, rows: 32, columns: 32 }],
    ['in one piece', { chunkBytes: 4_000_000 }],
  ] as const;

  for (const earlyByte of [true, false]) {
    it.each(shapes)(`arrive undamaged, %s, early byte ${earlyByte}`, async (name, shape) => {
      await using scp = await receiver();
      const study = fixtureStudy({ seed: name, instancesPerSeries: 8, ...shape });
      const pool = new PoisonedPool();
      const attempt = await new TestDelivery(dicomHandler, study).attempt(plain(scp.port, { earlyByte }), {
        run: { open: async (instance) => pool.open(study, instance) },
      });
      expect(attempt.error).toBeUndefined();
      expect(scp.hashes).toEqual(await expected(study));
      expect(pool.strangers).toBe(0);
      expect(pool.released).toBeGreaterThan(0);
    });
  }

  it('arrive undamaged over TLS', async () => {
    const { ca, server, client } = await makeCertificates();
    const tls = { key: server.key, cert: server.cert, ca: ca.cert };
    await using scp = await receiver(() => 0, { tls });
    const config = dicomTlsTarget.parse({
      type: 'dicom-tls',
      host: '127.0.0.1',
      port: scp.port,
      calledAeTitle: 'RECEIVER',
      tls: { ca: ca.certFile, cert: client.certFile, key: client.keyFile },
    });
    const study = fixtureStudy({ seed: 'tls', instancesPerSeries: 8 });
    const pool = new PoisonedPool();
    const attempt = await new TestDelivery(dicomTlsHandler, study).attempt(config, {
      run: { open: async (instance) => pool.open(study, instance) },
    });
    expect(attempt.error).toBeUndefined();
    expect(scp.hashes).toEqual(await expected(study));
    expect([pool.strangers, pool.released > 0]).toEqual([0, true]);
  });

  it('arrive undamaged on what is left when an association is aborted in the middle, and with the next attempt', async () => {
    let isFirst = true;
    await using scp = await receiver((count) => {
      if (!isFirst || count !== 5) return 0;
      isFirst = false;
      return 'abort';
    });
    const study = fixtureStudy({ seed: 'abort', instancesPerSeries: 8, rows: 256, columns: 256 });
    const pool = new PoisonedPool();
    const delivery = new TestDelivery(dicomHandler, study);
    const all = await expected(study);
    for (let tries = 0; delivery.pending.length > 0 && tries < 5; tries += 1) {
      await delivery.attempt(plain(scp.port, { maxParallel: 3 }), {
        run: { open: async (instance) => pool.open(study, instance) },
      });
      for (const [uid, hash] of scp.hashes) expect(hash, uid).toBe(all.get(uid));
    }
    expect(isFirst).toBe(false);
    expect(scp.hashes).toEqual(all);
    expect(pool.strangers).toBe(0);
  });

  it('arrive undamaged when our side gives up in the middle', async () => {
    await using scp = await receiver();
    const study = fixtureStudy({ seed: 'cancelled', instancesPerSeries: 8, rows: 256, columns: 256 });
    const pool = new PoisonedPool();
    const delivery = new TestDelivery(dicomHandler, study);
    const cancel = new AbortController();
    const open = async (instance: ManifestInstance): Promise<InstanceBytes> => pool.open(study, instance);
    const first = await delivery.attempt(plain(scp.port), {
      signal: cancel.signal,
      onReport: () => cancel.abort('cancelled'),
      run: { open },
    });
    expect(first.error?.code).toBe('cancelled');
    await delivery.attempt(plain(scp.port), { run: { open } });
    expect(scp.hashes).toEqual(await expected(study));
    expect(pool.strangers).toBe(0);
  });
});
