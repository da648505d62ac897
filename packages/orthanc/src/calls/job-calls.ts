import { setTimeout as sleep } from 'node:timers/promises';

import { z } from 'zod';

import type { CallContext } from '../call-context.ts';
import { requireFeature } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { ByteStream, CallOptions } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import { translateAbort } from '../translate-error.ts';
import { wholeZip } from '../whole-zip.ts';
import { jobSchema } from './job-schema.ts';
import type { Job } from './job-schema.ts';

export interface WatchOptions extends CallOptions {
  /** Time between two polls. Default 200 ms. */
  pollMs?: number | undefined;
}

/**
 * Jobs of Orthanc. Orthanc stores only the last `JobsHistorySize` (10) finished jobs, so a job followed by others between two
 * polls is `not-found`, regardless of its result.
 */
export function createJobCalls(context: CallContext) {
  const { transport } = context;

  async function read(id: string, options?: CallOptions): Promise<Job> {
    return transport.json(jobSchema, { method: 'GET', target: target(path`/jobs/${id}`), options });
  }

  async function act(id: string, name: string, options?: CallOptions): Promise<void> {
    const where = target(path`/jobs/${id}/${name}`);
    await transport.text({ method: 'POST', target: where, body: '', options });
  }

  /** The job whenever its state or progress has changed; ends after the final state. Leaving it does not stop the job. */
  async function* progress(id: string, options?: WatchOptions): AsyncGenerator<Job, undefined> {
    let seen = '';
    for (;;) {
      const job = await read(id, options);
      const now = `${job.State} ${job.Progress}`;
      if (now !== seen) yield job;
      if (isFinal(job)) return;
      seen = now;
      await pause(id, options);
    }
  }

  return {
    read,
    progress,

    async ids(options?: CallOptions): Promise<string[]> {
      return transport.json(z.array(z.string()), { method: 'GET', target: target('/jobs'), options });
    },

    async list(options?: CallOptions): Promise<Job[]> {
      return transport.json(z.array(jobSchema), { method: 'GET', target: target('/jobs', { expand: true }), options });
    },

    /**
     * Waits until the job has ended.
     *
     * @throws OrthancError `job-failed` with Orthanc's reason; `not-found` if Orthanc has removed it
     */
    async wait(id: string, options?: WatchOptions & { onProgress?: (job: Job) => void }): Promise<Job> {
      let last: Job | undefined;
      for await (const job of progress(id, options)) {
        last = job;
        options?.onProgress?.(job);
      }
      if (last?.State === 'Success') return last;
      const reason = last?.ErrorDescription ?? 'unknown';
      throw new OrthancError('job-failed', `job ${id} (${last?.Type ?? '?'}) failed: ${reason}`, {
        path: `/jobs/${id}`,
        orthancStatus: last?.ErrorCode,
      });
    },

    cancel: (id: string, options?: CallOptions) => act(id, 'cancel', options),
    pause: (id: string, options?: CallOptions) => act(id, 'pause', options),
    resume: (id: string, options?: CallOptions) => act(id, 'resume', options),
    /** Starts a failed job again. */
    resubmit: (id: string, options?: CallOptions) => act(id, 'resubmit', options),

    /** Removes a finished job from the history (1.12.2 and newer). */
    async delete(id: string, options?: CallOptions): Promise<void> {
      const features = await context.features(options);
      requireFeature(features, features.deleteJob, 'jobs.delete', 'it requires 1.12.2 or newer');
      await transport.text({ method: 'DELETE', target: target(path`/jobs/${id}`), options });
    },

    /** A file that the job has created: `archive` of an archive job. */
    async output(id: string, name: string, options?: CallOptions): Promise<ByteStream> {
      const where = target(path`/jobs/${id}/${name}`);
      const stream = await transport.stream({ method: 'GET', target: where, options });
      return name === 'archive' ? wholeZip(stream, where.path) : stream;
    },
  };
}

function isFinal(job: Job): boolean {
  return job.State === 'Success' || job.State === 'Failure';
}

async function pause(id: string, options: WatchOptions | undefined): Promise<void> {
  const signal = options?.signal;
  try {
    await sleep(options?.pollMs ?? 200, undefined, signal === undefined ? {} : { signal });
  } catch {
    throw translateAbort(signal?.reason, { method: 'GET', path: `/jobs/${id}` });
  }
}
