import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startServer } from './start-server.ts';
import type { RunningServer } from './start-server.ts';
import { listReceived } from './storescp.ts';
import type { StoredFile } from './part10-summary.ts';

const run = promisify(execFile);

export interface DcmqrscpOptions {
  /** Default `QRSCP`. It rejects any other called AE title. */
  readonly aet?: string;
  /** Possible destinations of C-MOVE, on 127.0.0.1. */
  readonly moveDestinations?: readonly { readonly aet: string; readonly port: number }[];
  /** Additional arguments of dcmqrscp. */
  readonly args?: readonly string[];
  /** Maximum number of stored studies, at most 500. Default 200. */
  readonly studies?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface DcmqrscpServer extends RunningServer {
  readonly aet: string;
  readonly host: string;
  readonly port: number;
  /** Stored instances. */
  received(): Promise<StoredFile[]>;
}

/** DCMTK's archive: accepts C-STORE, C-FIND, C-MOVE and C-GET. Stores studies of up to 1 GiB. */
export async function startDcmqrscp(options: DcmqrscpOptions = {}): Promise<DcmqrscpServer> {
  const aet = options.aet ?? 'QRSCP';
  const server = await startServer({
    name: 'dcmqrscp',
    prepare: async (folder, [port]) => {
      const archive = join(folder, 'archive');
      await mkdir(archive);
      const file = join(folder, 'dcmqrscp.cfg');
      await writeFile(file, configure(archive, aet, port!, options));
      return { command: 'dcmqrscp', args: ['-c', file, ...(options.args ?? [])], cwd: folder, env: { ...options.env } };
    },
    isReady: async ([port]) => {
      await run('echoscu', ['-to', '2', '-aec', aet, '127.0.0.1', String(port)]);
      return true;
    },
  });
  return {
    ...server,
    aet,
    host: '127.0.0.1',
    port: server.ports[0]!,
    received: () => listReceived(join(server.folder, 'archive')),
  };
}

function configure(
  archive: string,
  aet: string,
  port: number,
  { moveDestinations = [], studies = 200 }: DcmqrscpOptions,
): string {
  const hosts = moveDestinations.map((one, index) => `host${index} = (${one.aet}, 127.0.0.1, ${one.port})`);
  return `
NetworkTCPPort  = ${port}
MaxPDUSize      = 131072
MaxAssociations = 16
HostTable BEGIN
${hosts.join('\n')}
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
${aet} ${archive} RW (${studies},1024mb) ANY
AETable END
`;
}
