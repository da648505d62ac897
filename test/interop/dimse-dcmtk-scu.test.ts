import { createWriteStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { hashDataset, listReceived, startStorescp, tempFolder } from '@dicom-dispatch/harness';
import { TRANSFER_SYNTAX, UID, connect, createServer } from 'dicom-dimse';
import type { DimseServer, IncomingQuery } from 'dicom-dimse';
import { dataSet, decodeDataSet } from 'dicom-dimse/dataset';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contextsFor, run, sampleStudy, writeFiles } from './dimse-fixtures.ts';

const { implicitVrLittleEndian, explicitVrLittleEndian } = TRANSFER_SYNTAX;
const uncompressed = [explicitVrLittleEndian, implicitVrLittleEndian];

describe("DCMTK's clients against our server", () => {
  const study = sampleStudy({ seed: 'scu', instancesPerSeries: 5 });
  const [first] = study as [(typeof study)[0]];
  const received = new Map<string, string>();
  const queried: unknown[] = [];
  let server: DimseServer;
  let port = 0;
  let destination: Awaited<ReturnType<typeof startStorescp>>;

  async function select(query: IncomingQuery) {
    queried.push(await decodeDataSet(query.identifier));
    return { count: study.length, instances: study.map((instance) => [instance.bytes]) };
  }

  beforeAll(async () => {
    destination = await startStorescp();
    server = createServer({
      aeTitle: 'OURS',
      presentationContexts: ({ abstractSyntax, transferSyntaxes }) =>
        abstractSyntax === UID.modalityWorklistFind
          ? undefined
          : uncompressed.find((syntax) => transferSyntaxes.includes(syntax)),
      handlers: {
        async store(instance) {
          const chunks: Buffer[] = [];
          for await (const chunk of instance.part10()) chunks.push(chunk);
          received.set(instance.sopInstanceUid, hashDataset(Buffer.concat(chunks)));
          return 0;
        },
        async *find(query) {
          queried.push(await decodeDataSet(query.identifier));
          for (const instance of study) {
            yield dataSet({ QueryRetrieveLevel: 'IMAGE', SOPInstanceUID: instance.sopInstanceUid });
          }
        },
        get: select,
        async move(query) {
          if (query.destinationAeTitle !== 'STORESCP') return undefined;
          const association = await connect({
            host: '127.0.0.1',
            port: destination.port,
            callingAeTitle: 'OURS',
            calledAeTitle: query.destinationAeTitle,
            presentationContexts: contextsFor(study),
          });
          return { ...(await select(query)), destination: association };
        },
      },
    });
    ({ port } = await server.listen({ port: 0, host: '127.0.0.1' }));
  });
  afterAll(async () => {
    await server.close();
    await destination.stop();
  });

  const peer = (): string[] => ['-aec', 'OURS', '127.0.0.1', String(port)];
  const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${first.studyInstanceUid}`];

  it('echoscu gets an echo, and a rejection for another title', async () => {
    expect(await run('echoscu', ['-v', '--repeat', '5', ...peer()])).toMatchObject({ exitCode: 0 });
    const refused = await run('echoscu', ['-aec', 'OTHER', '127.0.0.1', String(port)]);
    expect(refused.exitCode).not.toBe(0);
    expect(refused.output).toContain('Called AE Title Not Recognized');
  });

  it.each([
    ['storescu', []],
    ['storescu', ['-pdu', '4096', '--max-send-pdu', '4096']],
    ['storescu', ['-pdu', '131072', '-xi']],
    ['dcmsend', []],
  ] as const)('%s %j stores', async (command, args) => {
    await using folder = await tempFolder('scu');
    const files = await writeFiles(folder.path, study);
    received.clear();
    const ran = await run(command, [...args, ...peer(), ...files]);
    expect(ran).toMatchObject({ exitCode: 0 });
    expect([...received.keys()].sort()).toEqual(study.map((instance) => instance.sopInstanceUid).sort());
    if ((args as readonly string[]).includes('-xi')) return;
    for (const instance of study) expect(received.get(instance.sopInstanceUid)).toBe(hashDataset(instance.bytes));
  });

  it('findscu finds', async () => {
    const ran = await run('findscu', ['-S', ...keys, '-k', 'SOPInstanceUID', ...peer()]);
    expect(ran.exitCode).toBe(0);
    for (const { sopInstanceUid } of study) expect(ran.output).toContain(sopInstanceUid);
    expect(queried.at(-1)).toMatchObject({ QueryRetrieveLevel: 'STUDY', StudyInstanceUID: first.studyInstanceUid });
    const cancelled = await run('findscu', ['-v', '-S', '--cancel', '2', ...keys, ...peer()]);
    expect(cancelled.exitCode).toBe(0);
    const refused = await run('findscu', ['-W', '-k', 'PatientName', ...peer()]);
    expect(refused.output).toContain('No Acceptable Presentation Contexts');
  });

  it('getscu gets', async () => {
    await using folder = await tempFolder('getscu');
    const ran = await run('getscu', ['-S', '+B', '-od', folder.path, ...keys, ...peer()]);
    expect(ran).toMatchObject({ exitCode: 0 });
    expect((await readdir(folder.path)).length).toBe(study.length);
    expect((await listReceived(folder.path)).map((file) => file.datasetSha256).sort()).toEqual(
      study.map((instance) => hashDataset(instance.bytes)).sort(),
    );
  });

  it('movescu has instances moved', async () => {
    const ran = await run('movescu', ['-v', '-S', '-aem', 'STORESCP', ...keys, ...peer()]);
    const failed = await run('movescu', ['-v', '-S', '-aem', 'NOWHERE', ...keys, ...peer()]);
    expect(failed.output).toMatch(/MoveDestinationUnknown|Refused: Move Destination Unknown|0xa801/i);
    expect(ran.output).not.toMatch(/Fail|Refused/);
    expect((await destination.received()).map((file) => file.datasetSha256).sort()).toEqual(
      study.map((instance) => hashDataset(instance.bytes)).sort(),
    );
  });

  it('what part10() gives is a file that DCMTK reads', async () => {
    await using folder = await tempFolder('part10');
    const path = join(folder.path, 'received.dcm');
    const receiver = createServer({
      presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
      handlers: {
        async store(instance) {
          await pipeline(instance.part10(), createWriteStream(path));
          return 0;
        },
      },
    });
    const where = await receiver.listen({ port: 0, host: '127.0.0.1' });
    const [file = ''] = await writeFiles(folder.path, [first]);
    expect(await run('storescu', ['127.0.0.1', String(where.port), file])).toMatchObject({ exitCode: 0 });
    const dumped = await run('dcmdump', ['+P', 'SOPInstanceUID', '+P', 'MediaStorageSOPInstanceUID', path]);
    expect(dumped.exitCode).toBe(0);
    expect(dumped.output.split(first.sopInstanceUid)).toHaveLength(3);
    await receiver.close();
  });
});
