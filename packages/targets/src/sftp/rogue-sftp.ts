import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rmdir, stat, unlink, type FileHandle } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import ssh2, { type Connection, type SFTPWrapper } from 'ssh2';

const { STATUS_CODE: status, OPEN_MODE: mode } = ssh2.utils.sftp;

/** Behaviour of a test server that no package provides. */
export interface RogueOptions {
  /** Rejects files whose names begin with a dot. */
  readonly refusesHidden?: boolean;
  /** Renames onto existing files, which version 3 forbids. */
  readonly renamesOver?: boolean;
  /** Reports only the size of a file. */
  readonly reportsSizesOnly?: boolean;
  /** Called before each response to a write. */
  beforeWrite?(): Promise<void>;
  /** Reports the size of files larger by this number of bytes. */
  readonly addsBytes?: number;
}

export interface RogueSftp extends AsyncDisposable {
  readonly port: number;
}

/** An SFTP version 3 server without extensions, for any user with any password. Paths are those of this machine. */
export async function startRogueSftp(hostKey: string, options: RogueOptions): Promise<RogueSftp> {
  const clients = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [hostKey], ident: 'rogue' }, (client) => {
    clients.add(client);
    client.on('error', () => {});
    client.on('close', () => clients.delete(client));
    client.on('authentication', (context) => context.accept());
    client.on('ready', () => {
      client.on('session', (accept) => {
        accept().on('sftp', (acceptSftp) => serve(acceptSftp(), options));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function serve(sftp: SFTPWrapper, options: RogueOptions): void {
  const files = new Map<number, { readonly file?: FileHandle; names?: string[] }>();
  let last = 0;
  const handleOf = (entry: { file?: FileHandle; names?: string[] }): Buffer => {
    files.set((last += 1), entry);
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(last);
    return handle;
  };
  const entryOf = (handle: Buffer) => files.get(handle.readUInt32BE(0));
  const attributes = async (path: string | FileHandle) => {
    const found = typeof path === 'string' ? await stat(path) : await path.stat();
    const size = found.size + (found.isFile() ? (options.addsBytes ?? 0) : 0);
    const { mode: bits, uid, gid } = found;
    const times = { atime: 0, mtime: Math.round(found.mtimeMs / 1000) };
    return (options.reportsSizesOnly ? { size } : { mode: bits, uid, gid, size, ...times }) as never;
  };
  let before = Promise.resolve();
  /** Runs a function, which responds itself; if it fails, responds with the status of the error. */
  function answer(id: number, act: () => Promise<void>): void {
    // Requests are executed sequentially, as the protocol requires.
    before = before.then(act).catch((error: NodeJS.ErrnoException) => {
      sftp.status(id, error.code === 'ENOENT' ? status.NO_SUCH_FILE : status.FAILURE);
    });
  }
  const ok = (id: number): void => sftp.status(id, status.OK);

  sftp.on('OPEN', (id, path, flags) => {
    const name = path.split('/').at(-1) ?? '';
    if (options.refusesHidden && name.startsWith('.')) return void sftp.status(id, status.PERMISSION_DENIED);
    const isNew = (flags & mode.CREAT) !== 0;
    const how = isNew ? constants.O_RDWR | constants.O_CREAT | constants.O_EXCL : constants.O_RDONLY;
    answer(id, async () => sftp.handle(id, handleOf({ file: await open(path, how) })));
  });
  sftp.on('WRITE', (id, handle, offset, data) =>
    answer(id, async () => {
      await options.beforeWrite?.();
      await entryOf(handle)?.file?.write(data, 0, data.length, offset);
      ok(id);
    }),
  );
  sftp.on('READ', (id, handle, offset, length) =>
    answer(id, async () => {
      const { bytesRead, buffer } = (await entryOf(handle)!.file!.read(Buffer.alloc(length), 0, length, offset)) ?? {};
      if (bytesRead === 0) sftp.status(id, status.EOF);
      else sftp.data(id, buffer.subarray(0, bytesRead));
    }),
  );
  sftp.on('CLOSE', (id, handle) =>
    answer(id, async () => {
      const entry = entryOf(handle);
      files.delete(handle.readUInt32BE(0));
      await entry?.file?.close();
      ok(id);
    }),
  );
  for (const how of ['STAT', 'LSTAT'] as const) {
    sftp.on(how as 'STAT', (id, path) => answer(id, async () => sftp.attrs(id, await attributes(path))));
  }
  sftp.on('FSTAT', (id, handle) => answer(id, async () => sftp.attrs(id, await attributes(entryOf(handle)!.file!))));
  sftp.on('OPENDIR', (id, path) => answer(id, async () => sftp.handle(id, handleOf({ names: await readdir(path) }))));
  sftp.on('READDIR', (id, handle) => {
    const entry = entryOf(handle);
    const names = entry?.names ?? [];
    if (entry) entry.names = [];
    if (names.length === 0) return void sftp.status(id, status.EOF);
    sftp.name(id, names.map((filename) => ({ filename, longname: filename, attrs: { mtime: 0, atime: 0 } })) as never);
  });
  sftp.on('MKDIR', (id, path) => answer(id, async () => (await mkdir(path), ok(id))));
  sftp.on('RMDIR', (id, path) => answer(id, async () => (await rmdir(path), ok(id))));
  sftp.on('REMOVE', (id, path) => answer(id, async () => (await unlink(path), ok(id))));
  sftp.on('RENAME', (id, from, to) =>
    answer(id, async () => {
      const isTaken = await stat(to).then(
        () => true,
        () => false,
      );
      if (isTaken && !options.renamesOver) return void sftp.status(id, status.FAILURE);
      await rename(from, to);
      ok(id);
    }),
  );
  sftp.on('REALPATH', (id, path) => sftp.name(id, [{ filename: path, longname: path, attrs: {} as never }] as never));
}
