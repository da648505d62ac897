import { z } from 'zod';

import type { CallContext } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { ByteStream, CallOptions } from '../http/transport.ts';
import { readTags } from './tag-calls.ts';
import type { TagFormat, TagOptions, Tags } from './tag-calls.ts';

export interface PreviewOptions extends CallOptions {
  /** Frame, from 0. Default 0. */
  frame?: number | undefined;
  /** Default `png`. */
  format?: 'png' | 'jpeg' | undefined;
  /**
   * - `preview`: stretched to the range of values in the image (default)
   * - `rendered`: with the window of the file, and `width` and `height`
   * - `image-uint8`, `image-uint16`, `image-int16`: values as they are, limited to the range
   */
  mode?: 'preview' | 'rendered' | 'image-uint8' | 'image-uint16' | 'image-int16' | undefined;
  /** Pixels, `rendered` only. The aspect ratio is preserved. */
  width?: number | undefined;
  height?: number | undefined;
}

/** Calls that only instances have. */
export function createInstanceCalls(context: CallContext) {
  const { transport } = context;

  return {
    /** Tags of the dataset up to the pixel data. */
    async tags<F extends TagFormat = 'simplified'>(id: string, options?: TagOptions<F>): Promise<Tags<F>> {
      return readTags(context, path`/instances/${id}/tags`, options);
    },

    /** File meta information (PS3.10, section 7.1). */
    async header<F extends TagFormat = 'simplified'>(id: string, options?: TagOptions<F>): Promise<Tags<F>> {
      return readTags(context, path`/instances/${id}/header`, options);
    },

    async frameCount(id: string, options?: CallOptions): Promise<number> {
      const where = target(path`/instances/${id}/frames`);
      return (await transport.json(z.array(z.number()), { method: 'GET', target: where, options })).length;
    },

    /**
     * A frame as a picture.
     *
     * @throws OrthancError `bad-request` with status 415 when Orthanc cannot decode it, `not-found` past the last frame
     */
    async preview(id: string, options: PreviewOptions = {}): Promise<ByteStream> {
      const { frame = 0, format = 'png', mode = 'preview', width, height } = options;
      const where = target(path`/instances/${id}/frames/${String(frame)}/${mode}`, { width, height });
      return transport.stream({ method: 'GET', target: where, headers: { accept: `image/${format}` }, options });
    },
  };
}
