import { DispatchError, type ErrorCode } from '@dicom-dispatch/core';
import { sourceError, type OrthancClient } from '@dicom-dispatch/sources';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { OperationError } from '@dicom-dispatch/pipeline';
import { listPutOff, readFeedState, type PutOffStudy } from '@dicom-dispatch/state/feed';

const maxPutOff = 100;

/** A source as an operator sees it now. Times are ms since 1970. */
export interface SourceState {
  readonly name: string;
  /** Without credentials. */
  readonly url: string;
  /** Whether routers follow it, by the configuration. */
  readonly enabled: boolean;
  readonly reachable: boolean;
  /** Version of Orthanc, or why it cannot be queried. */
  readonly detail: string;
  /** Code of the error if it cannot be queried. */
  readonly code: ErrorCode | undefined;
  readonly remedy: string | undefined;
  /** Whether a router follows it. */
  readonly followed: boolean;
  /** The router that follows it, HOST:PID; others are standbys. */
  readonly leader: string | undefined;
  /** Number of the epoch of its database; undefined before it was first followed. */
  readonly epoch: number | undefined;
  readonly position: number | undefined;
  readonly newest: number | undefined;
  /** Unprocessed changes. */
  readonly lag: number | undefined;
  /** Number of studies that could not be read and are tried again later. */
  readonly triedLater: number;
  /** The first of them that are due. */
  readonly putOff: readonly PutOffStudy[];
  readonly sweep:
    | {
        readonly endedAt: number;
        readonly studies: number;
        readonly routed: number;
        readonly durationMs: number;
        readonly unread: number;
      }
    | undefined;
  /** Position of a running sweep. */
  readonly sweepAt: number | undefined;
}

/** @throws OperationError `not-found` */
export async function readSource(
  context: PipelineContext,
  name: string,
  client: (name: string) => Promise<OrthancClient>,
): Promise<SourceState> {
  const { redis, keys } = context;
  const config = context.config().sources[name];
  if (!config) throw new OperationError('not-found', `there is no source "${name}"`);
  const [feed, lease, sweep, putOff, asked] = await Promise.all([
    readFeedState(redis, context.config().redis.prefix, name),
    redis.get(keys.lease(name)),
    redis.hgetall(keys.sweep(name)),
    listPutOff(redis, context.config().redis.prefix, name, maxPutOff),
    askSource(name, client),
  ]);
  const place = Number(sweep['place'] ?? 0);
  return {
    name,
    url: withoutCredentials(config.url),
    enabled: config.enabled,
    reachable: asked.reachable,
    detail: asked.detail,
    code: asked.code,
    remedy: asked.remedy,
    followed: lease !== null,
    leader: lease?.split(' ')[0],
    epoch: feed?.epoch,
    position: feed?.seq,
    newest: asked.newest,
    lag: feed && asked.newest !== undefined ? Math.max(0, asked.newest - feed.seq) : undefined,
    triedLater: putOff.count,
    putOff: putOff.studies,
    sweep:
      sweep['endedAt'] === undefined
        ? undefined
        : {
            endedAt: Number(sweep['endedAt']),
            studies: Number(sweep['studies']),
            routed: Number(sweep['routed']),
            durationMs: Number(sweep['durationMs']),
            unread: Number(sweep['unread'] ?? 0),
          },
    sweepAt: place > 0 ? place : undefined,
  };
}

interface Asked {
  readonly reachable: boolean;
  readonly detail: string;
  readonly newest?: number;
  readonly code?: ErrorCode;
  readonly remedy?: string;
}

async function askSource(name: string, client: (name: string) => Promise<OrthancClient>): Promise<Asked> {
  try {
    const orthanc = await client(name);
    const options = { timeoutMs: 2_000 };
    const [system, last] = await Promise.all([orthanc.system(options), orthanc.lastChange(options)]);
    return { reachable: true, detail: `Orthanc ${system.Version}`, newest: last?.Seq ?? 0 };
  } catch (thrown) {
    const error = sourceError(thrown, name);
    if (!(error instanceof DispatchError)) return { reachable: false, detail: `source ${name}: it cannot be queried` };
    const { message, code, remedy } = error;
    return { reachable: false, detail: message, code, remedy };
  }
}

function withoutCredentials(text: string): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url.href;
}
