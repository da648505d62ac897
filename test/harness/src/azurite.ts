import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { RunningServer } from './start-server.ts';
import { startServer } from './start-server.ts';

export interface AzuriteOptions {
  /** PEM files. If set, it uses HTTPS, and accepts tokens of Entra, whose signatures it does not verify. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

export interface AzuriteServer extends RunningServer {
  readonly port: number;
  readonly account: string;
  /** Base64. */
  readonly accountKey: string;
  /** Address of the blob service of its account. */
  readonly endpoint: string;
}

const account = 'tester';
const accountKey = Buffer.from('a key of the storage account for tests only').toString('base64');

/** Azurite, Microsoft's emulator of Azure Blob Storage, with one account and no container. */
export async function startAzurite({ tls }: AzuriteOptions = {}): Promise<AzuriteServer> {
  const program = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  const server = await startServer({
    name: 'azurite',
    prepare: (folder, [port]) => ({
      command: process.execPath,
      args: [
        program,
        '--blobHost=127.0.0.1',
        `--blobPort=${port}`,
        `--location=${join(folder, 'data')}`,
        '--silent',
        '--skipApiVersionCheck',
        '--disableTelemetry',
        '--disableProductStyleUrl',
        ...(tls ? [`--cert=${tls.certFile}`, `--key=${tls.keyFile}`, '--oauth=basic'] : []),
      ],
      cwd: folder,
      env: { AZURITE_ACCOUNTS: `${account}:${accountKey}` },
    }),
  });
  const port = server.ports[0]!;
  return { ...server, port, account, accountKey, endpoint: `http${tls ? 's' : ''}://127.0.0.1:${port}/${account}` };
}
