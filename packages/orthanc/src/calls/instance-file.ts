import type { CallContext } from '../call-context.ts';
import { requireFeature } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions, FileStream } from '../http/transport.ts';

export interface InstanceFileOptions extends CallOptions {
  /** Transfer syntax UID to hand the file out in (1.12.2 and newer; `instances.transcode` does it on every version). */
  transcode?: string | undefined;
}

/**
 * The DICOM file of an instance, on the fast path. The answer's head is here when this resolves; read `body` to its end
 * or leave it (`break`, `return()`, the signal): until then it holds one of the client's connections.
 *
 * @throws OrthancError `not-found`, `unsupported` when this server cannot transcode here, `protocol` when the answer is no
 * DICOM file (a page of a proxy, nothing), …
 */
export function readInstanceFile(
  context: CallContext,
  instanceId: string,
  options: InstanceFileOptions | undefined,
): Promise<FileStream> {
  const where = path`/instances/${instanceId}/file`;
  const transcode = options?.transcode;
  if (transcode === undefined) return context.transport.fastDicom(target(where), options);
  return context.features(options).then((features) => {
    requireFeature(features, features.transcodeFile, 'transcode', 'it requires 1.12.2, or instances.transcode');
    return context.transport.fastDicom(target(where, { transcode }), options);
  });
}
