import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashDataset, startStorescp, tempFolder } from '@dicom-dispatch/harness';
import type { StorescpServer, TempFolder } from '@dicom-dispatch/harness';
import { TRANSFER_SYNTAX, createServer, peekPart10, readPart10 } from 'dicom-dimse';
import type { DimseServer } from 'dicom-dimse';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { open, run, sampleStudy, writeFiles } from './dimse-fixtures.ts';

const PATIENT_ID = 0x00100020;

/** Everything that DCMTK 3.6.7 can write: tool, its option, result. */
const WRITERS = [
  ['dcmconv', '+ti', TRANSFER_SYNTAX.implicitVrLittleEndian],
  ['dcmconv', '+te', TRANSFER_SYNTAX.explicitVrLittleEndian],
  ['dcmconv', '+tb', TRANSFER_SYNTAX.explicitVrBigEndian],
  ['dcmconv', '+td', TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian],
  ['dcmconv', '-e', TRANSFER_SYNTAX.explicitVrLittleEndian],
  ['dcmcrle', '-q', TRANSFER_SYNTAX.rleLossless],
  ['dcmcjpeg', '+e1', TRANSFER_SYNTAX.jpegLosslessSv1],
  ['dcmcjpeg', '+el', TRANSFER_SYNTAX.jpegLossless],
  ['dcmcjpeg', '+eb', TRANSFER_SYNTAX.jpegBaseline],
  ['dcmcjpeg', '+ee', TRANSFER_SYNTAX.jpegExtended],
  ['dcmcjpeg', '+es', '1.2.840.10008.1.2.4.53'],
  ['dcmcjpeg', '+ep', '1.2.840.10008.1.2.4.55'],
  ['dcmcjpls', '+el', TRANSFER_SYNTAX.jpegLsLossless],
  ['dcmcjpls', '+en', TRANSFER_SYNTAX.jpegLsNearLossless],
] as const;

/** Transfer syntaxes that storescp does not accept even with `+xa`. */
const NOT_TAKEN: ReadonlySet<string> = new Set([
  TRANSFER_SYNTAX.jpegLossless,
  '1.2.840.10008.1.2.4.53',
  '1.2.840.10008.1.2.4.55',
]);

describe('every transfer syntax that DCMTK can write', () => {
  let folder: TempFolder;
  let original = '';
  let scp: StorescpServer;
  let server: DimseServer;
  let port = 0;
  const received = new Map<string, string>();

  beforeAll(async () => {
    folder = await tempFolder('syntaxes');
    scp = await startStorescp({ acceptAll: true });
    const study = sampleStudy({ seed: 'syntaxes', rows: 200, columns: 200, instancesPerSeries: 1 });
    [original = ''] = await writeFiles(folder.path, study);
    server = createServer({
      presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
      handlers: {
        async store(instance) {
          const chunks: Buffer[] = [];
          for await (const chunk of instance.part10()) chunks.push(chunk);
          received.set(instance.transferSyntaxUid, hashDataset(Buffer.concat(chunks)));
          return 0;
        },
      },
    });
    ({ port } = await server.listen({ port: 0, host: '127.0.0.1' }));
  });
  afterAll(async () => {
    await scp.stop();
    await server.close();
    await folder.remove();
  });

  it.each(WRITERS)('%s %s: %s arrives byte by byte', async (tool, option, syntax) => {
    const path = join(folder.path, `${tool}${option}.dcm`);
    expect(await run(tool, [option, original, path])).toMatchObject({ exitCode: 0 });
    const bytes = await readFile(path);
    const { meta } = await peekPart10(bytes);
    expect(meta.transferSyntaxUid).toBe(syntax);
    const { elements } = await readPart10(createReadStream(path), { tags: [PATIENT_ID] });
    expect(elements.get(PATIENT_ID)?.value.length).toBeGreaterThan(0);

    const presentationContexts = [{ abstractSyntax: meta.sopClassUid, transferSyntaxes: [syntax] }];
    const toOurs = await open({ port, presentationContexts });
    const stored = await toOurs.store(createReadStream(path, { highWaterMark: 1000 }));
    expect(stored).toMatchObject({ status: 0, transferSyntaxUid: syntax });
    await toOurs.release();
    expect(received.get(syntax)).toBe(hashDataset(evenDataSet(bytes)));

    const toScp = await open({ port: scp.port, presentationContexts });
    const isTaken = !NOT_TAKEN.has(syntax);
    expect(toScp.acceptedContexts.length > 0).toBe(isTaken);
    if (isTaken) {
      expect(await toScp.store([bytes])).toMatchObject({ status: 0 });
      const files = await scp.received();
      expect(files.find((file) => file.sopInstanceUid === meta.sopInstanceUid)).toMatchObject({
        transferSyntaxUid: syntax,
        datasetSha256: hashDataset(evenDataSet(bytes)),
      });
    }
    await toScp.release();
  });
});

/** A deflated data set may have an odd length in a file; in transit it is padded (PS3.5 section A.5). */
function evenDataSet(file: Buffer): Buffer {
  const offset = 144 + file.readUInt32LE(140);
  return (file.length - offset) % 2 === 0 ? file : Buffer.concat([file, Buffer.alloc(1)]);
}
