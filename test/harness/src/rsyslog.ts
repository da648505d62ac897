import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Identity } from './certificates.ts';
import { startServer, type RunningServer } from './start-server.ts';

export interface RsyslogOptions {
  readonly server: Identity;
  /** The authority that has signed certificates of clients. */
  readonly ca: Identity;
  /** Accepts only clients with a certificate of the authority. Default false. */
  readonly asksForCertificate?: boolean;
}

export interface SyslogMessage {
  readonly facility: number;
  readonly severity: number;
  readonly appName: string;
  readonly messageId: string;
  readonly text: string;
}

export interface RsyslogServer extends RunningServer {
  readonly port: number;
  /** Received messages, oldest first. */
  messages(): Promise<SyslogMessage[]>;
}

/** A real rsyslog that writes messages received over TLS (RFC 5425) into a file. */
export async function startRsyslog(options: RsyslogOptions): Promise<RsyslogServer> {
  const server = await startServer({
    name: 'rsyslogd',
    prepare: async (folder, [port]) => {
      const config = join(folder, 'rsyslog.conf');
      await writeFile(config, configuration(folder, port!, options));
      return {
        command: '/usr/sbin/rsyslogd',
        args: ['-n', '-f', config, '-i', join(folder, 'rsyslogd.pid')],
        cwd: folder,
      };
    },
  });
  const taken = join(server.folder, 'messages');
  return {
    ...server,
    port: server.ports[0] ?? 0,
    async messages() {
      const text = await readFile(taken, 'utf8').catch(() => '');
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const { facility, severity, ...others } = JSON.parse(line) as Record<keyof SyslogMessage, string>;
          return { ...others, facility: Number(facility), severity: Number(severity) };
        });
    },
  };
}

function configuration(folder: string, port: number, { server, ca, asksForCertificate }: RsyslogOptions): string {
  return `
global(
  workDirectory="${folder}"
  maxMessageSize="64k"
  parser.escapeControlCharactersOnReceive="off"
  defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="${ca.certFile}"
  defaultNetstreamDriverCertFile="${server.certFile}"
  defaultNetstreamDriverKeyFile="${server.keyFile}"
)
module(
  load="imtcp"
  streamDriver.name="gtls"
  streamDriver.mode="1"
  streamDriver.authMode="${asksForCertificate ? 'x509/certvalid' : 'anon'}"
)
input(type="imtcp" port="${port}" address="127.0.0.1")
template(name="line" type="list" option.jsonf="on") {
  property(outname="facility" name="syslogfacility" format="jsonf")
  property(outname="severity" name="syslogseverity" format="jsonf")
  property(outname="appName" name="app-name" format="jsonf")
  property(outname="messageId" name="msgid" format="jsonf")
  property(outname="text" name="msg" format="jsonf")
}
action(type="omfile" file="${join(folder, 'messages')}" template="line" asyncWriting="off" flushOnTXEnd="on")
`;
}
