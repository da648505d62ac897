import { EventEmitter } from 'node:events';
import { DispatchError } from '@dicom-dispatch/core';
import SftpClient from 'ssh2-sftp-client';
import type { Algorithms, ConnectConfig, SFTPWrapper } from 'ssh2';
import { within } from '@dicom-dispatch/target-kit/flow';
import { hostKeyJudge, oldAlgorithms, oldAmong } from '../ssh/index.ts';
import { translateSshError } from './errors.ts';
import { openSocket } from './open-socket.ts';
import { prepareKeys } from './prepared-keys.ts';
import type { SftpTarget } from './schema.ts';

export interface Connection {
  readonly client: SftpClient;
  /** The session that the client has opened: for requests that the client does not offer, or not as we need them. */
  readonly sftp: SFTPWrapper;
  /** Algorithms of the connection that are no longer safe. */
  readonly oldAlgorithms: readonly string[];
  /** Aborted with the reason if the connection is lost or ended. */
  readonly lost: AbortSignal;
  end(): void;
}

/** Progress of connecting. */
export interface Reached {
  hostKey: boolean;
  login: boolean;
}

/** Replaces the client's listeners, which print the events of its connection. */
const quiet = { error: () => {}, end: () => {}, close: () => {} };

/**
 * Connects, compares the host key, logs in and opens an SFTP session.
 *
 * @param reached - updated with the progress, also if connecting fails
 * @throws {DispatchError} in stage `connect`
 */
export async function connectSftp(
  config: SftpTarget,
  signal: AbortSignal,
  reached: Reached = { hostKey: false, login: false },
): Promise<Connection> {
  const { host, port } = config;
  const judge = await hostKeyJudge(config.hostKey, host, port);
  const login = loginOf(config);
  const socket = await openSocket(config, signal);
  const lost = new AbortController();
  let refusal: DispatchError | undefined;
  // The client rejects with its own errors, without the `level` that distinguishes a rejected login from a broken connection.
  let failure: unknown;

  const client = quietClient();
  client.on('error', (thrown: unknown) => {
    failure ??= thrown;
    lost.abort(refusal ?? translateSshError(thrown, host));
  });
  client.on('close', () =>
    lost.abort(refusal ?? new DispatchError('target-connection-lost', `${host} closed the connection`)),
  );
  let old: readonly string[] = [];
  client.on('handshake', (negotiated: Negotiated) => {
    old = oldAmong([
      negotiated.kex,
      negotiated.serverHostKey ?? negotiated.srvHostKey,
      ...[negotiated.cs, negotiated.sc].flatMap((one) => [one?.cipher, one?.mac]),
    ]);
  });
  client.on('ready', () => {
    reached.login = true;
  });
  // For servers that request the password by keyboard-interactive authentication (PAM).
  client.on('keyboard-interactive', (...[, , , prompts, finish]: Dialogue) =>
    finish(prompts.map(() => config.password?.reveal() ?? '')),
  );
  const options: ConnectConfig = {
    ...login,
    sock: socket,
    readyTimeout: config.connectTimeout,
    hostVerifier: (blob: Buffer) => {
      refusal = judge.judge(blob);
      reached.hostKey = refusal === undefined;
      return reached.hostKey;
    },
    algorithms: algorithmsOf(config, judge.types),
  };
  const end = (): void => {
    client.end().catch(() => {});
    socket.destroy();
  };
  const limit = {
    timeoutMs: config.connectTimeout,
    signal,
    onTimeout: () =>
      new DispatchError(
        'target-timeout',
        `${host} did not ${reached.login ? 'open SFTP' : 'complete the login'} within ${config.connectTimeout / 1000} s`,
        { stage: 'connect' },
      ),
  };
  try {
    const sftp = await within(client.connect(options), limit);
    // An error of the channel rejects each running request; without a listener its event would end the process.
    sftp.on('error', () => {});
    return { client, sftp, lost: lost.signal, end, oldAlgorithms: old };
  } catch (thrown) {
    end();
    if (thrown instanceof DispatchError) throw thrown;
    if (reached.login && failure === undefined) throw noSftp(host, thrown);
    throw refusal ?? translateSshError(failure ?? thrown, host, 'connect');
  }
}

type Dialogue = [
  name: string,
  instructions: string,
  language: string,
  prompts: readonly unknown[],
  finish: (answers: string[]) => void,
];

function quietClient(): SftpClient {
  const client = new SftpClient('sftp', quiet);
  // Each running call of the client adds listeners to the connection, and many run at the same time.
  const { client: ssh } = client as unknown as { client?: unknown };
  if (ssh instanceof EventEmitter) {
    ssh.setMaxListeners(0);
    prepareKeys(ssh);
  }
  return client;
}

function noSftp(host: string, cause: unknown): DispatchError {
  return new DispatchError('target-misconfigured', `${host} accepts the login but offers no SFTP to this user`, {
    cause,
    stage: 'connect',
    remedy: 'Enable the sftp subsystem for this user at the server.',
  });
}

function loginOf(config: SftpTarget): ConnectConfig {
  const agent = config.agent === true ? process.env['SSH_AUTH_SOCK'] : config.agent;
  if (config.agent === true && agent === undefined) {
    throw new DispatchError('config-invalid', 'agent: SSH_AUTH_SOCK is not set', {
      stage: 'connect',
      remedy: 'Start an ssh agent for the dispatcher, or set the path of its socket.',
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

interface Negotiated {
  readonly kex?: string;
  readonly serverHostKey?: string;
  readonly srvHostKey?: string;
  readonly cs?: { readonly cipher?: string; readonly mac?: string };
  readonly sc?: { readonly cipher?: string; readonly mac?: string };
}

/** Cast, since the types of ssh2 allow only its own algorithms, and known_hosts may contain others, which ssh2 then rejects. */
function algorithmsOf({ algorithms }: SftpTarget, types: readonly string[] | undefined): Algorithms {
  const allowed = algorithms === 'old' ? oldAlgorithms : undefined;
  const hostKeys = types && algorithmsFor(types, algorithms);
  return {
    ...(hostKeys && { serverHostKey: hostKeys }),
    ...(allowed && {
      kex: { append: allowed.kex },
      cipher: { append: allowed.cipher },
      hmac: { append: allowed.hmac },
      ...(!hostKeys && { serverHostKey: { append: allowed.serverHostKey } }),
    }),
  } as unknown as Algorithms;
}

/** The signature algorithms for types of keys (RFC 8332 for RSA). */
function algorithmsFor(types: readonly string[], allowed: SftpTarget['algorithms']): string[] {
  const sha1 = allowed === 'old' ? ['ssh-rsa'] : [];
  const algorithms = types.flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', ...sha1] : [type]));
  return [...new Set(algorithms)];
}
