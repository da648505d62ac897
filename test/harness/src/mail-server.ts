import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startServer } from './start-server.ts';
import type { RunningServer } from './start-server.ts';

export interface MailServer extends RunningServer {
  readonly port: number;
  /** Every accepted message, as received. */
  messages(): Promise<string[]>;
}

export interface MailServerOptions {
  /** Offers STARTTLS with this certificate, and accepts no mail without it. */
  readonly startTls?: { readonly certFile: string; readonly keyFile: string };
}

/** A real SMTP server (aiosmtpd) that puts every message into a mailbox. */
export async function startMailServer(options: MailServerOptions = {}): Promise<MailServer> {
  const server = await startServer({
    name: 'aiosmtpd',
    prepare: (folder, [port]) => ({
      command: 'aiosmtpd',
      args: [
        '-n',
        '-l',
        `127.0.0.1:${port}`,
        ...(options.startTls ? ['--tlscert', options.startTls.certFile, '--tlskey', options.startTls.keyFile] : []),
        '-c',
        'aiosmtpd.handlers.Mailbox',
        join(folder, 'mail'),
      ],
      cwd: folder,
    }),
  });
  const taken = join(server.folder, 'mail', 'new');
  return {
    ...server,
    port: server.ports[0] ?? 0,
    async messages() {
      const names = await readdir(taken).catch(() => []);
      return Promise.all(names.sort().map((name) => readFile(join(taken, name), 'utf8')));
    },
  };
}
