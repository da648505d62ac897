import type { Check } from '../contract/index.ts';
import { HttpConnection } from '../http/http-connection.ts';
import type { HttpOptions, HttpTls } from '../http/http-options.ts';
import { tlsOptions } from '../http/tls-files.ts';
import { networkSteps } from './network-steps.ts';
import { runChecks, type CheckStep } from './run-checks.ts';

/** The checks `resolve`, `connect` and, for https, `tls` of a service with an address. */
export function urlSteps(url: URL, timeoutMs: number, tls: HttpTls | undefined): CheckStep[] {
  const secure = url.protocol === 'https:';
  return networkSteps({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (secure ? 443 : 80),
    timeoutMs,
    tls: secure ? () => tlsOptions(tls) : undefined,
  });
}

/**
 * The checks of its network, then those of the service itself, which share one connection.
 *
 * @param steps - `opening` gives the connection, made when it is first asked for
 */
export async function* checkHttpService(
  url: URL,
  config: HttpOptions,
  steps: (opening: () => Promise<HttpConnection>) => CheckStep[],
  signal: AbortSignal,
): AsyncGenerator<Check, void, undefined> {
  let http: HttpConnection | undefined;
  const opening = async (): Promise<HttpConnection> => (http ??= await HttpConnection.open(config, { connections: 1 }));
  try {
    yield* runChecks([...urlSteps(url, config.connectTimeout, config.tls), ...steps(opening)], signal);
  } finally {
    await http?.close();
  }
}
