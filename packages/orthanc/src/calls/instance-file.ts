import type { CallContext } from '../call-context.ts';
import { requireFeature } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions, FileStream } from '../http/transport.ts';

export interface InstanceFileOptions extends CallOptions {
  /** Transfer syntax UID of the returned file (1.12.2 and later; `instances.transcode` supports every version). */
  transcode?: string | undefined;
}

/**
 * The DICOM file of an instance, on the fast path. The header of the response has arrived when this resolves; read `body` to
 * its end or leave it (`break`, `return()`, the signal): until then it occupies one of the client's connections.
 *
 * @throws OrthancError `not-found`, `unsupported` if this server cannot transcode here, `protocol` if the response is not a
 * DICOM file (a page of a proxy, an empty one), …
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
