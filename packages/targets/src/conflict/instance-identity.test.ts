import { deflateRawSync } from 'node:zlib';
import { caseFile } from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';
import { fixtureStudy } from '../contract-suite/index.ts';
import { isSameInstance, maxIdentityBytes, readIdentity } from './instance-identity.ts';

function* inPieces(bytes: Buffer, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('readIdentity', () => {
  it('distinguishes two patients with the same UIDs', async () => {
    const [first, second] = await Promise.all(
      ['tiny-same-uids-patient-A.dcm', 'tiny-same-uids-patient-B.dcm'].map(async (name) =>
        readIdentity([await caseFile(name)]),
      ),
    );
    expect(first?.sopInstanceUid).toBe(second?.sopInstanceUid);
    expect(first?.patientId).not.toBe(second?.patientId);
    expect(isSameInstance(first, second)).toBe(false);
    expect(isSameInstance(first, { ...first! })).toBe(true);
    expect(isSameInstance(undefined, undefined)).toBe(false);
  });

  it.each(['no-meta.dcm', 'no-preamble.dcm', 'grouplen-small.dcm', 'tiny-j2k.dcm', 'tiny-deflated-frame.dcm'])(
    'reads %s, in pieces of any size',
    async (name) => {
      const bytes = await caseFile(name);
      const whole = await readIdentity([bytes]);
      expect(whole).toMatchObject({ sopInstanceUid: expect.stringMatching(/^[0-9.]+$/) });
      for (const size of [1, 7, 1000]) expect(await readIdentity(inPieces(bytes, size))).toEqual(whole);
    },
  );

  it.each(['explicit-le', 'implicit-le', 'deflated', 'explicit-be'] as const)('reads %s', async (transferSyntax) => {
    const study = fixtureStudy({ series: 1, instancesPerSeries: 1, transferSyntax });
    const [instance] = study.instances;
    expect(await readIdentity(instance!.read())).toEqual({
      patientId: study.tags.study['PatientID'],
      studyInstanceUid: study.tags.studyInstanceUid,
      seriesInstanceUid: instance!.manifest.seriesInstanceUid,
      sopInstanceUid: instance!.manifest.sopInstanceUid,
    });
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('<html>please log in</html>')],
    ['zeros', Buffer.alloc(100_000)],
    ['noise that begins like a file', Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.alloc(500, 0x41)])],
    ['a deflated text', deflateRawSync(Buffer.from('x'.repeat(1000)))],
  ])('finds none in %s', async (_name, bytes) => {
    expect(await readIdentity([bytes])).toBeUndefined();
  });

  it('requests no more than it needs, and stops at its limit', async () => {
    const study = fixtureStudy({ series: 1, instancesPerSeries: 1 });
    let read = 0;
    function* counted(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
      for (const chunk of chunks) {
        read += chunk.length;
        yield chunk;
      }
    }
    const bytes = Buffer.concat([...(study.instances[0]!.read() as Iterable<Uint8Array>)]);
    await readIdentity(counted(inPieces(bytes, 4096)));
    expect(read).toBeLessThan(10_000);
    read = 0;
    const endless = (function* () {
      for (;;) yield Buffer.alloc(65_536, 0x20);
    })();
    expect(await readIdentity(counted(endless))).toBeUndefined();
    expect(read).toBeLessThanOrEqual(maxIdentityBytes + 65_536);
  });

  it('throws what reading threw', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
      throw new Error('the link broke');
    }
    await expect(readIdentity(broken())).rejects.toThrow('the link broke');
  });
});
