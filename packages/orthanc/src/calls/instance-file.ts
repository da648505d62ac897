import type { Features } from '../features.ts';
import { path, target } from '../http/path.ts';
import type { FileStream, CallOptions, Transport } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';

export interface InstanceFileOptions extends CallOptions {
  /** Transfer syntax UID to hand the file out in (1.12.2 and newer; for older servers see `instances.modify`). */
  transcode?: string | undefined;
}

/**
 * The DICOM file of an instance, on the fast path. The answer's head is here when this resolves; read `body` to its end
 * or leave it (`break`, `return()`, the signal): until then it holds one of the client's connections.
 *
 * @throws OrthancError `not-found`, `unsupported` when this server cannot transcode here, …
 */
export function readInstanceFile(
  transport: Transport,
  features: () => Promise<Features>,
  instanceId: string,
  options: InstanceFileOptions | undefined,
): Promise<FileStream> {
  const where = path`/instances/${instanceId}/file`;
  const transcode = options?.transcode;
  if (transcode === undefined) return transport.fastGet(target(where), options);
  return features().then((can) => {
    if (!can.transcodeFile) {
      throw new OrthancError(
        'unsupported',
        `transcode: Orthanc ${can.version} cannot; 1.12.2 or newer, or instances.modify`,
      );
    }
    return transport.fastGet(target(where, { transcode }), options);
  });
}
