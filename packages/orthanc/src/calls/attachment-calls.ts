import { z } from 'zod';

import type { CallContext, Level } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import { headerOf } from '../http/transport.ts';
import type { CallOptions, FileStream, UploadBody } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import { ifMatch, writeRevision } from './revision.ts';
import type { RevisionOptions } from './revision.ts';

export interface AttachmentInfo {
  /** Of the attachment itself, uncompressed. */
  sizeBytes: number;
  /** Of the file on Orthanc's disk, possibly compressed. */
  compressedSizeBytes: number;
  /** Undefined where Orthanc's `StoreMD5ForAttachments` is off. */
  md5: string | undefined;
  compressedMd5: string | undefined;
  /** Revision, to be given to a later write. */
  etag: string | undefined;
}

const size = z.union([z.number(), z.string().transform(Number)]).pipe(z.number().nonnegative());

const infoSchema = z.object({
  UncompressedSize: size,
  CompressedSize: size,
  UncompressedMD5: z.string().optional(),
  CompressedMD5: z.string().optional(),
});

/** Attachments: the files of a resource; `dicom` of an instance is the instance itself. */
export function createAttachmentCalls(context: CallContext, level: Level) {
  const { transport } = context;

  function where(id: string, name: string, part = ''): string {
    return `${path`/${level}/${id}/attachments/${name}`}${part}`;
  }

  async function text(id: string, name: string, part: string, options?: CallOptions): Promise<string> {
    return transport.text({ method: 'GET', target: target(where(id, name, part)), options });
  }

  async function etagOf(id: string, name: string, options?: CallOptions): Promise<string | undefined> {
    const request = { method: 'GET', target: target(where(id, name, '/size')), options } as const;
    return headerOf((await transport.whole(request, 1024)).headers, 'etag');
  }

  /** MD5 of the attachment as it was stored, or undefined if Orthanc stores none. */
  async function attachmentMd5(id: string, name: string, options?: CallOptions): Promise<string | undefined> {
    return (await unlessMissing(text(id, name, '/md5', options))) || undefined;
  }

  return {
    attachmentMd5,

    /** Names of the attachments. */
    async attachments(id: string, options?: CallOptions): Promise<string[]> {
      const all = target(path`/${level}/${id}/attachments`);
      return transport.json(z.array(z.string()), { method: 'GET', target: all, options });
    },

    /** @throws OrthancError `not-found` */
    async attachmentInfo(id: string, name: string, options?: CallOptions): Promise<AttachmentInfo> {
      const etag = await etagOf(id, name, options);
      const features = await context.features(options);
      if (features.attachmentInfo) {
        const from = target(where(id, name, '/info'));
        const info = await transport.json(infoSchema, { method: 'GET', target: from, options });
        return {
          sizeBytes: info.UncompressedSize,
          compressedSizeBytes: info.CompressedSize,
          md5: info.UncompressedMD5 || undefined,
          compressedMd5: info.CompressedMD5 || undefined,
          etag,
        };
      }
      const sizeBytes = Number(await text(id, name, '/size', options));
      const compressedSizeBytes = Number(await text(id, name, '/compressed-size', options));
      const md5 = await attachmentMd5(id, name, options);
      const compressedMd5 = (await unlessMissing(text(id, name, '/compressed-md5', options))) || undefined;
      return { sizeBytes, compressedSizeBytes, md5, compressedMd5, etag };
    },

    /** The attachment, uncompressed, on the fast path. */
    async attachmentData(id: string, name: string, options?: CallOptions): Promise<FileStream> {
      const from = target(where(id, name, '/data'));
      return level === 'instances' && name === 'dicom'
        ? transport.fastDicom(from, options)
        : transport.fastGet(from, options);
    },

    /** Does the file on Orthanc's disk still have its MD5? */
    async verifyAttachment(id: string, name: string, options?: CallOptions): Promise<boolean> {
      const request = { method: 'POST', target: target(where(id, name, '/verify-md5')), options } as const;
      try {
        await transport.text({ ...request, idempotent: true });
        return true;
      } catch (error) {
        // Orthanc responds with 400 if the check fails: for a damaged file, and for a missing one, which has no size.
        const refused = error instanceof OrthancError && (error.status === 400 || error.status === 404);
        if (!refused) throw error;
        await text(id, name, '/size', options);
        return false;
      }
    },

    /** Adds or replaces an attachment. Its name is in Orthanc's `UserContentType`, or a number from 1024. */
    async setAttachment(id: string, name: string, body: UploadBody, options?: RevisionOptions): Promise<void> {
      const at = target(where(id, name));
      await writeRevision(
        options,
        () => etagOf(id, name, options),
        (etag) => {
          const headers = { 'content-type': 'application/octet-stream', ...ifMatch(etag) };
          return transport.text({ method: 'PUT', target: at, body, headers, idempotent: etag === undefined, options });
        },
      );
    },

    /** @throws OrthancError `forbidden` for an attachment of Orthanc's own */
    async deleteAttachment(id: string, name: string, options?: RevisionOptions): Promise<void> {
      const at = target(where(id, name));
      await writeRevision(
        options,
        () => etagOf(id, name, options),
        (etag) => transport.text({ method: 'DELETE', target: at, headers: ifMatch(etag), options }),
      );
    },
  };
}

function isMissing(error: unknown): boolean {
  return error instanceof OrthancError && error.code === 'not-found';
}

async function unlessMissing(answer: Promise<string>): Promise<string | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
