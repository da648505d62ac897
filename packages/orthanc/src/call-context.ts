import type { Features } from './features.ts';
import type { CallOptions, Transport } from './http/transport.ts';
import { OrthancError } from './orthanc-error.ts';

/** Common objects of the calls of one client. */
export interface CallContext {
  transport: Transport;
  /** Features of the server; read once. */
  features(options?: CallOptions): Promise<Features>;
}

/** The four levels of DICOM's model, as Orthanc names them in its paths. */
export type Level = 'patients' | 'studies' | 'series' | 'instances';

/** @throws OrthancError `unsupported` when the server's version lacks `what`. */
export function requireFeature(features: Features, has: boolean, what: string, remedy: string): void {
  if (has) return;
  throw new OrthancError('unsupported', `${what}: Orthanc ${features.version} cannot; ${remedy}`);
}
