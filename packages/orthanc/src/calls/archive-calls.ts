import type { CallContext, Level } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { ByteStream, CallOptions } from '../http/transport.ts';
import { wholeZip } from '../whole-zip.ts';

export interface ArchiveOptions extends CallOptions {
  /** Transfer syntax UID for all instances. */
  transcode?: string | undefined;
  /** With a DICOMDIR, as a medium (PS3.10). Default false. */
  media?: boolean | undefined;
}

/**
 * ZIP files. Orthanc creates them while sending, and slowly (measured: 16 MB/s): to copy a study, retrieve its instances.
 * A truncated archive fails, even if the server announced no length.
 */
export function createArchiveCalls(context: CallContext, level: Exclude<Level, 'instances'>) {
  return {
    async archive(id: string, options?: ArchiveOptions): Promise<ByteStream> {
      const kind = options?.media === true ? 'media' : 'archive';
      const where = target(path`/${level}/${id}/${kind}`, { transcode: options?.transcode });
      return wholeZip(await context.transport.stream({ method: 'GET', target: where, options }), where.path);
    },
  };
}

/** One ZIP of any resources, of all levels. Orthanc omits resources that do not exist. */
export async function createArchive(
  context: CallContext,
  resources: readonly string[],
  options: ArchiveOptions | undefined,
): Promise<ByteStream> {
  const where = target(options?.media === true ? '/tools/create-media' : '/tools/create-archive');
  const json = { Resources: resources, ...(options?.transcode === undefined ? {} : { Transcode: options.transcode }) };
  const stream = await context.transport.stream({ method: 'POST', target: where, json, idempotent: true, options });
  return wholeZip(stream, where.path);
}
