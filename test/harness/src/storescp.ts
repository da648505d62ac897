import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { summarizePart10 } from './part10-summary.ts';
import type { StoredFile } from './part10-summary.ts';
import { startServer } from './start-server.ts';
import type { RunningServer } from './start-server.ts';

export interface StorescpOptions {
  /** Default `STORESCP`. storescp accepts any called AE title. */
  readonly aet?: string;
  /** Additional arguments, e.g. faults: `--refuse`, `--abort-after`, `--abort-during`, `--sleep-during`, `2`. */
  readonly args?: readonly string[];
  /** DICOM TLS with this key and certificate (PEM texts). Certificates of clients are checked against `ca` unless `verify` is `ignore`. */
  readonly tls?: {
    readonly key: string;
    readonly cert: string;
    readonly ca: string;
    /** Default `require`. */
    readonly verify?: 'require' | 'present' | 'ignore';
  };
  /** A process for each association, so that several run in parallel. Default true. */
  readonly fork?: boolean;
  /** Accepts compressed transfer syntaxes too. Default false: uncompressed ones only. */
  readonly acceptAll?: boolean;
  /** Accepts but does not store, for measurements. Default false. */
  readonly ignore?: boolean;
  /** `TCP_NODELAY: '1'` for instance. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface StorescpServer extends RunningServer {
  readonly aet: string;
  readonly host: string;
  readonly port: number;
  /** Folder of received files. */
  readonly receivedFolder: string;
  /** Stored instances, in order of SOP Instance UID. A file that is being written may be incomplete. */
  received(): Promise<StoredFile[]>;
}

/** DCMTK's Storage SCP. It stores the received bytes unchanged (`+B`). */
export async function startStorescp(options: StorescpOptions = {}): Promise<StorescpServer> {
  const aet = options.aet ?? 'STORESCP';
  const server = await startServer({
    name: 'storescp',
    prepare: async (folder, [port]) => {
      const received = join(folder, 'received');
      await mkdir(received);
      const args = ['-aet', aet, '-od', received, '+B', '-fe', '.dcm', '-pm', '-dhl'];
      if (options.fork !== false) args.push('--fork');
      if (options.acceptAll) args.push('+xa');
      if (options.ignore) args.push('--ignore');
      if (options.tls) args.push(...(await tlsArguments(folder, options.tls)));
      args.push(...(options.args ?? []), String(port));
      return { command: 'storescp', args, cwd: folder, env: { ...options.env } };
    },
  });
  const folder = join(server.folder, 'received');
  return {
    ...server,
    aet,
    host: '127.0.0.1',
    port: server.ports[0]!,
    receivedFolder: folder,
    received: () => listReceived(folder),
  };
}

const verification = { require: '-rc', present: '-vc', ignore: '-ic' } as const;

async function tlsArguments(folder: string, tls: NonNullable<StorescpOptions['tls']>): Promise<string[]> {
  const [key, cert, ca] = [join(folder, 'key.pem'), join(folder, 'cert.pem'), join(folder, 'ca.pem')];
  await writeFile(key, tls.key);
  await writeFile(cert, tls.cert);
  await writeFile(ca, tls.ca);
  return ['+tls', key, cert, '+cf', ca, verification[tls.verify ?? 'require']];
}

/** The DICOM files of a folder and its subfolders; deleted and incomplete ones are omitted. */
export async function listReceived(folder: string): Promise<StoredFile[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files: StoredFile[] = [];
  for (const entry of entries) {
    if (!entry.isFile() || entry.name === 'index.dat' || entry.name.startsWith('.')) continue;
    const file = await summarizePart10(join(entry.parentPath, entry.name)).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (file) files.push(file);
  }
  return files.sort((a, b) => (a.sopInstanceUid < b.sopInstanceUid ? -1 : 1));
}
