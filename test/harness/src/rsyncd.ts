import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startServer } from './start-server.ts';
import type { RunningServer } from './start-server.ts';

export interface RsyncdOptions {
  /** User name to password. Default: anybody may write. */
  readonly users?: Readonly<Record<string, string>>;
  /** Folder of the module. Default a new folder; use a `tempDisk()` for a full disk. */
  readonly filesFolder?: string;
  /** Default false. */
  readonly readOnly?: boolean;
  /** Additional lines of the module. */
  readonly config?: readonly string[];
}

export interface RsyncServer extends RunningServer {
  readonly host: string;
  readonly port: number;
  /** The name of its one module: `data`. */
  readonly module: string;
  /** `rsync://127.0.0.1:PORT/data` */
  readonly url: string;
  readonly filesFolder: string;
}

/** An rsync daemon with one module, writable by default. */
export async function startRsyncd(options: RsyncdOptions = {}): Promise<RsyncServer> {
  const server = await startServer({
    name: 'rsyncd',
    prepare: async (folder, [port]) => {
      const files = options.filesFolder ?? join(folder, 'files');
      if (options.filesFolder === undefined) await mkdir(files);
      const secrets = Object.entries(options.users ?? {}).map(([user, password]) => `${user}:${password}\n`);
      await writeFile(join(folder, 'secrets'), secrets.join(''), { mode: 0o600 });
      const file = join(folder, 'rsyncd.conf');
      await writeFile(file, configure(folder, files, options));
      const args = ['--daemon', '--no-detach', `--config=${file}`, '--address=127.0.0.1', `--port=${port}`];
      return { command: 'rsync', args: [...args, '--log-file=/dev/stdout'], cwd: folder };
    },
  });
  const port = server.ports[0]!;
  return {
    ...server,
    host: '127.0.0.1',
    port,
    module: 'data',
    url: `rsync://127.0.0.1:${port}/data`,
    filesFolder: options.filesFolder ?? join(server.folder, 'files'),
  };
}

function configure(folder: string, files: string, options: RsyncdOptions): string {
  const names = Object.keys(options.users ?? {});
  const isRoot = process.getuid?.() === 0;
  return [
    `lock file = ${join(folder, 'lock')}`,
    'use chroot = no',
    ...(isRoot ? ['uid = 0', 'gid = 0'] : []),
    '[data]',
    `path = ${files}`,
    `read only = ${options.readOnly ? 'yes' : 'no'}`,
    ...(names.length > 0 ? [`auth users = ${names.join(', ')}`, `secrets file = ${join(folder, 'secrets')}`] : []),
    ...(options.config ?? []),
    '',
  ].join('\n');
}
