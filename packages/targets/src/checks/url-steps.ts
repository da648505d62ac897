import type { HttpTls } from '../http/http-options.ts';
import { tlsOptions } from '../http/tls-files.ts';
import { type CheckStep, networkSteps } from '@dicom-dispatch/target-kit/checks';

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
