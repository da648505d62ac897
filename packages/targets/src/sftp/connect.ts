import { DispatchError } from '@dicom-dispatch/core';
import { Client, type ConnectConfig, type SFTPWrapper } from 'ssh2';
import { within } from '../flow/index.ts';
import { hostKeyJudge } from '../ssh/index.ts';
import { translateSshError } from './errors.ts';
import { openSocket } from './open-socket.ts';
import type { SftpTarget } from './schema.ts';

export interface Connection {
  readonly client: Client;
  /** Aborted with the reason when the connection is lost or ended. */
  readonly lost: AbortSignal;
  end(): void;
}

/**
 * Connects, compares the host key and logs in.
 *
 * @throws {DispatchError} in stage `connect`
 */
export async function connectSsh(config: SftpTarget, signal: AbortSignal): Promise<Connection> {
  const { host, port } = config;
  const judge = await hostKeyJudge(config.hostKey, host, port);
  const client = new Client();
  const lost = new AbortController();
  const ready = Promise.withResolvers<void>();
  let refusal: DispatchError | undefined;

  const fail = (thrown: unknown): void => {
    const error = refusal ?? translateSshError(thrown, host);
    ready.reject(error);
    lost.abort(error);
  };
  client.on('error', fail);
  client.on('close', () => fail(new DispatchError('target-connection-lost', `${host} closed the connection`)));
  client.on('ready', () => ready.resolve());
  // Servers that ask for the password in a dialogue (PAM) get it there.
  client.on('keyboard-interactive', (_name, _instructions, _language, prompts, finish) =>
    finish(prompts.map(() => config.password?.reveal() ?? '')),
  );
  const login = loginOf(config);
  const socket = await openSocket(config, signal);
  const options: ConnectConfig = {
    ...login,
    sock: socket,
    readyTimeout: config.connectTimeout,
    hostVerifier: (blob: Buffer) => {
      refusal = judge.judge(blob);
      return refusal === undefined;
    },
    ...(judge.types && { algorithms: { serverHostKey: algorithmsFor(judge.types) } }),
  };
  try {
    client.connect(options);
    const limit = {
      timeoutMs: config.connectTimeout,
      signal,
      onTimeout: () =>
        new DispatchError(
          'target-timeout',
          `${host} did not complete the login within ${config.connectTimeout / 1000} s`,
          { stage: 'connect' },
        ),
    };
    await within(ready.promise, limit);
  } catch (thrown) {
    client.destroy();
    socket.destroy();
    throw refusal ?? translateSshError(thrown, host, 'connect');
  }
  return {
    client,
    lost: lost.signal,
    end() {
      client.end();
      client.destroy();
    },
  };
}

/** Opens the SFTP subsystem. */
export async function openSftp(
  { client, lost }: Connection,
  config: SftpTarget,
  signal: AbortSignal,
): Promise<SFTPWrapper> {
  const limit = {
    timeoutMs: config.timeout,
    signal: AbortSignal.any([signal, lost]),
    onTimeout: () =>
      new DispatchError('target-timeout', `${config.host} did not open SFTP in time`, { stage: 'connect' }),
  };
  const opening = new Promise<SFTPWrapper>((resolve, reject) => {
    client.sftp((error, sftp) => (error ? reject(error) : resolve(sftp)));
  });
  try {
    const sftp = await within(opening, limit);
    // An error of the channel is told to each request under way; nobody else has to hear of it.
    sftp.on('error', () => {});
    return sftp;
  } catch (thrown) {
    if (thrown instanceof DispatchError) throw thrown;
    throw new DispatchError('target-misconfigured', `${config.host} lets us in but offers no SFTP to this user`, {
      cause: thrown,
      stage: 'connect',
      remedy: 'Enable the sftp subsystem at the server for this user.',
    });
  }
}

function loginOf(config: SftpTarget): ConnectConfig {
  const agent = config.agent === true ? process.env['SSH_AUTH_SOCK'] : config.agent;
  if (config.agent === true && agent === undefined) {
    throw new DispatchError('config-invalid', 'agent: SSH_AUTH_SOCK is not set', {
      stage: 'connect',
      remedy: 'Start an ssh agent for the dispatcher, or give the path of its socket.',
    });
  }
  return {
    username: config.username,
    ...(config.password && { password: config.password.reveal(), tryKeyboard: true }),
    ...(config.privateKey && { privateKey: config.privateKey.reveal() }),
    ...(config.passphrase && { passphrase: config.passphrase.reveal() }),
    ...(agent !== undefined && { agent }),
  };
}

/** Signature algorithms that go with types of keys (RFC 8332 for RSA). */
function algorithmsFor(types: readonly string[]): never[] {
  const algorithms = types.flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]));
  // The types of ssh2 list its algorithms; known_hosts may name others, which ssh2 then refuses by name.
  return [...new Set(algorithms)] as never[];
}
