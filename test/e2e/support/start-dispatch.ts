import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { httpRequest, startServer, type RunningServer } from '@dicom-dispatch/harness';
import { stringify } from 'yaml';
import { commandLine } from './programs.ts';
import { compileCache } from './run-commands.ts';

export interface DispatchOptions {
  /** `up` (default), or one service. */
  readonly command?: 'up' | 'router' | 'dispatcher' | 'console';
  /** The configuration as it would be written in YAML; addresses to listen on are added. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Addresses of `health` that differ from that of the console. */
  readonly health?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Options for Node itself. */
  readonly execArgv?: readonly string[];
  /** Default true: resolves only when `/readyz` reports ready. False: resolves as soon as health is served. */
  readonly untilReady?: boolean;
  /** The command line of another version; default that of this one. */
  readonly main?: string;
  /** Runs it on another host: the address, and the command prefix. */
  readonly host?: { readonly address: string; readonly prefix: readonly string[] };
}

export interface RunningDispatch extends RunningServer {
  /** Base URL of the console, or of the health server. */
  readonly url: string;
  readonly configFile: string;
  get(path: string): Promise<{ status: number; body: unknown }>;
}

/** Our services as a separate process, started from the command line as an operator would. */
export async function startDispatch(options: DispatchOptions): Promise<RunningDispatch> {
  const command = options.command ?? 'up';
  const { address = '127.0.0.1', prefix = [] } = options.host ?? {};
  const server = await startServer({
    name: `dispatch-${command}`,
    async prepare(folder, [port]) {
      const listen = `${address}:${port}`;
      const config = {
        ...options.config,
        console: { listen, ...(options.config['console'] as object | undefined) },
        health: { router: listen, dispatcher: listen, ...options.health },
      };
      await writeFile(join(folder, 'dispatch.yaml'), stringify(config));
      const [program = process.execPath, ...args] = [
        ...prefix,
        process.execPath,
        ...(options.execArgv ?? []),
        options.main ?? commandLine,
        command,
        '--config',
        join(folder, 'dispatch.yaml'),
      ];
      return {
        command: program,
        args,
        cwd: folder,
        env: { NODE_COMPILE_CACHE: compileCache, ...process.env, ...options.env },
      };
    },
    async isReady([port]) {
      const answer = await httpRequest(
        `http://${address}:${port}${options.untilReady === false ? '/healthz' : '/readyz'}`,
      );
      return answer.status === 200;
    },
  });
  const url = `http://${address}:${server.ports[0]}`;
  return {
    ...server,
    url,
    configFile: join(server.folder, 'dispatch.yaml'),
    async get(path) {
      const answer = await httpRequest(`${url}${path}`);
      const text = answer.body.toString();
      return {
        status: answer.status,
        body: text.startsWith('{') || text.startsWith('[') ? (JSON.parse(text) as unknown) : text,
      };
    },
  };
}
