import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ContainerClient, newPipeline, type RequestPolicyFactory } from '@azure/storage-blob';
import { DispatchError, type Stage } from '@dicom-dispatch/core';
import { until, withinDeadline } from '@dicom-dispatch/target-kit/flow';
import { tlsOptions } from '../http/tls-files.ts';
import { credentialOf } from './credential.ts';
import { silentCode, translateAzureError } from './errors.ts';
import type { AzureTarget } from './schema.ts';

/** An open container. Each request ends with its signal. */
export interface Container extends AsyncDisposable {
  readonly config: AzureTarget;
  /** Name of the server for messages. */
  readonly host: string;
  readonly client: ContainerClient;
  /**
   * Runs requests and translates their errors; `doing` is a verb with -ing for the error.
   *
   * @param bytes - transferred in either direction, for the timeout
   */
  act<T>(doing: string, signal: AbortSignal, request: Request<T>, bytes?: number): Promise<T>;
  /** Like `act`, but throws the errors of the SDK unchanged. */
  raw<T>(signal: AbortSignal, request: Request<T>, bytes?: number): Promise<T>;
}

type Request<T> = (options: { abortSignal: AbortSignal }) => Promise<T>;

export async function openContainer(config: AzureTarget, stage?: Stage): Promise<Container> {
  const address = config.endpoint ?? `https://${config.account}.blob.core.windows.net`;
  const { host, protocol } = new URL(address);
  const sockets = { keepAlive: true, maxSockets: config.maxParallel + 2 };
  const agent =
    protocol === 'https:' ? new HttpsAgent({ ...sockets, ...(await tlsOptions(config.tls)) }) : new HttpAgent(sockets);
  watchSilence(agent, config);
  const { credential, query, close } = await credentialOf(config);
  const pipeline = newPipeline(credential, {
    retryOptions: { maxTries: config.requestAttempts, retryDelayInMs: 200, maxRetryDelayInMs: 5_000 },
    userAgentOptions: { userAgentPrefix: 'dicom-dispatch' },
  });
  pipeline.factories.push(through(agent));
  const client = new ContainerClient(`${address}/${config.container}${query}`, pipeline);

  function raw<T>(signal: AbortSignal, request: Request<T>, bytes = 0): Promise<T> {
    return withinDeadline(
      signal,
      longestMs(config, bytes),
      () =>
        new DispatchError('target-timeout', `${host} did not respond in time, or was slower than minBytesPerSecond`),
      (limited) => until(request({ abortSignal: limited }), limited),
    );
  }

  return {
    config,
    host,
    client,
    raw,
    async act(doing, signal, request, bytes) {
      try {
        return await raw(signal, request, bytes);
      } catch (thrown) {
        throw translateAzureError(thrown, host, doing, stage);
      }
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await close();
    },
  };
}

/**
 * The SDK has one agent for all clients of a process: with our own its sockets are closed with the container, and TLS is as
 * configured.
 */
function through(agent: HttpAgent | HttpsAgent): RequestPolicyFactory {
  return {
    create: (next) => ({
      sendRequest(request) {
        request.agent = agent as never;
        return next.sendRequest(request);
      },
    }),
  };
}

/** The SDK has no idle timeout: a socket without data for too long is closed here. */
function watchSilence(agent: HttpAgent, { connectTimeout, timeout }: AzureTarget): void {
  const connecting = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = connecting(options, callback);
    if (!(socket instanceof Socket)) return socket;
    let code = 'ETIMEDOUT';
    if (connectTimeout > 0) socket.setTimeout(connectTimeout);
    socket.on('timeout', () => socket.destroy(Object.assign(new Error('silent for too long'), { code })));
    socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => {
      code = silentCode;
      socket.setTimeout(timeout);
    });
    return socket;
  };
}

/** Responses are short except for lists. */
const answerBytes = 500_000;

/** The longest time in milliseconds for a request with its repetitions, for a server that sends too slowly; 0 = no limit. */
function longestMs(
  { minBytesPerSecond, timeout, connectTimeout, requestAttempts }: AzureTarget,
  bytes: number,
): number {
  if (minBytesPerSecond === 0 || timeout === 0) return 0;
  const onceMs = connectTimeout + timeout + ((bytes + answerBytes) / minBytesPerSecond) * 1000;
  // A timer has at most this delay.
  return Math.min(requestAttempts * onceMs, 2 ** 31 - 1);
}
