import type { Check } from '@dicom-dispatch/target-kit';
import { HttpConnection } from '../http/http-connection.ts';
import type { HttpOptions } from '../http/http-options.ts';
import { runChecks, type CheckStep } from '@dicom-dispatch/target-kit/checks';
import { urlSteps } from './url-steps.ts';

/**
 * The network checks, then those of the service itself, which share one connection.
 *
 * @param steps - `opening` returns the connection, created on first use
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
