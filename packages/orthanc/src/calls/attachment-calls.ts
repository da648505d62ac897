import { z } from 'zod';

import type { CallContext, Level } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions, FileStream, UploadBody } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import type { RevisionOptions } from './metadata-calls.ts';

export interface AttachmentInfo {
  /** As it was stored. */
  sizeBytes: number;
  /** As it lies on Orthanc's disk, which may be compressed. */
  compressedSizeBytes: number;
  /** Undefined where Orthanc's `StoreMD5ForAttachments` is off. */
  md5: string | undefined;
  compressedMd5: string | undefined;
}

const size = z.union([z.number(), z.string().transform(Number)]).pipe(z.number().nonnegative());

const infoSchema = z.object({
  UncompressedSize: size,
  CompressedSize: size,
  UncompressedMD5: z.string().optional(),
  CompressedMD5: z.string().optional(),
});

/** Attachments: the files that belong to a resource; `dicom` of an instance is the instance itself. */
export function createAttachmentCalls(context: CallContext, level: Level) {
  const { transport } = context;

  function where(id: string, name: string, part = ''): string {
    return `/${level}${path`/${id}/attachments/${name}`}${part}`;
  }

  async function text(id: string, name: string, part: string, options?: CallOptions): Promise<string> {
    return transport.text({ method: 'GET', target: target(where(id, name, part)), options });
  }

  /** MD5 of the attachment as it was stored, or undefined where Orthanc keeps none. */
  async function attachmentMd5(id: string, name: string, options?: CallOptions): Promise<string | undefined> {
    return (await unlessMissing(text(id, name, '/md5', options))) || undefined;
  }

  return {
    attachmentMd5,

    /** Names of the attachments. */
    async attachments(id: string, options?: CallOptions): Promise<string[]> {
      const all = target(`/${level}${path`/${id}/attachments`}`);
      return transport.json(z.array(z.string()), { method: 'GET', target: all, options });
    },

    /** @throws OrthancError `not-found` */
    async attachmentInfo(id: string, name: string, options?: CallOptions): Promise<AttachmentInfo> {
      const features = await context.features(options);
      if (features.attachmentInfo) {
        const from = target(where(id, name, '/info'));
        const info = await transport.json(infoSchema, { method: 'GET', target: from, options });
        return {
          sizeBytes: info.UncompressedSize,
          compressedSizeBytes: info.CompressedSize,
          md5: info.UncompressedMD5 || undefined,
          compressedMd5: info.CompressedMD5 || undefined,
        };
      }
      const sizeBytes = Number(await text(id, name, '/size', options));
      const compressedSizeBytes = Number(await text(id, name, '/compressed-size', options));
      const md5 = await attachmentMd5(id, name, options);
      const compressedMd5 = (await unlessMissing(text(id, name, '/compressed-md5', options))) || undefined;
      return { sizeBytes, compressedSizeBytes, md5, compressedMd5 };
    },

    /** The attachment as it was stored, on the fast path. */
    async attachmentData(id: string, name: string, options?: CallOptions): Promise<FileStream> {
      return transport.fastGet(target(where(id, name, '/data')), options);
    },

    /** Does the file on Orthanc's disk still have its MD5? */
    async verifyAttachment(id: string, name: string, options?: CallOptions): Promise<boolean> {
      const request = { method: 'POST', target: target(where(id, name, '/verify-md5')), options } as const;
      try {
        await transport.text({ ...request, idempotent: true });
        return true;
      } catch (error) {
        // Orthanc says 404 both to a broken file and to a missing one; the latter has no size either.
        if (!isMissing(error)) throw error;
        await text(id, name, '/size', options);
        return false;
      }
    },

    /** Adds or replaces an attachment. Its name is of `UserContentType`, or a number from 1024. */
    async setAttachment(id: string, name: string, body: UploadBody, options?: RevisionOptions): Promise<void> {
      const headers = { 'content-type': 'application/octet-stream', ...ifMatch(options?.etag) };
      const idempotent = options?.etag === undefined;
      await transport.text({ method: 'PUT', target: target(where(id, name)), body, headers, idempotent, options });
    },

    /** @throws OrthancError `forbidden` for an attachment of Orthanc's own */
    async deleteAttachment(id: string, name: string, options?: RevisionOptions): Promise<void> {
      const headers = ifMatch(options?.etag);
      await transport.text({ method: 'DELETE', target: target(where(id, name)), headers, options });
    },
  };
}

function ifMatch(etag: string | undefined): Record<string, string> {
  return etag === undefined ? {} : { 'if-match': etag };
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
