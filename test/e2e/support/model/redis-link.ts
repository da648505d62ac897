import type { Redis } from '@dicom-dispatch/runtime';

/** The product's connection, which can be lost at a chosen command. */
export interface RedisLink {
  /**
   * The connection is lost after this many commands; all later commands fail until {@link RedisLink.back}. Every second time
   * the lost command still reaches Redis, and only its reply is lost.
   */
  lose(after: number): void;
  back(): void;
}

/** Makes a connection to a real Redis fail in the middle of an action, always at the same command for the same script. */
export function linkOf(redis: Redis): RedisLink {
  const send = redis.sendCommand.bind(redis) as (command: Command, stream?: object, node?: unknown) => Promise<unknown>;
  /** Number of commands until the connection is lost; undefined while it is up. */
  let left: number | undefined;
  let losesAnswer = false;
  /** A pipeline is written completely or not at all. */
  const pipelines = new WeakMap<object, boolean>();

  function isLost(stream: object | undefined): boolean {
    const known = stream && pipelines.get(stream);
    if (known !== undefined) return known;
    if (left !== undefined) left -= 1;
    const lost = left !== undefined && left < 0;
    if (stream) pipelines.set(stream, lost);
    return lost;
  }

  Object.assign(redis, {
    sendCommand(command: Command, stream?: object, node?: unknown): Promise<unknown> {
      if (!isLost(stream)) return send(command, stream, node);
      if (losesAnswer && left === -1 && !stream) {
        return send(command).then(
          () => Promise.reject(new LinkLost()),
          () => Promise.reject(new LinkLost()),
        );
      }
      command.reject(new LinkLost());
      return command.promise;
    },
  });
  return {
    lose(after) {
      left = after;
      losesAnswer = after % 2 === 0;
    },
    back() {
      left = undefined;
    },
  };
}

export class LinkLost extends Error {
  constructor() {
    super('Connection is closed.');
  }
}

interface Command {
  readonly promise: Promise<unknown>;
  reject(error: Error): void;
}
